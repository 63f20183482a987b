"""Nothing is asked twice: replies are kept by what was asked of whom, through errors, interruptions and damage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rlhf_core.config.endpoint import EndpointConfig
from rlhf_core.endpoints.asking import ask_all
from rlhf_core.endpoints.cache import Reply, ReplyCache, request_key
from rlhf_core.endpoints.client import Request
from rlhf_core.errors import EndpointError
from tests.endpoint_server import Fault, Served, serving


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RLHF_CACHE", str(tmp_path))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return tmp_path / "answers"


def ask(served: Served, *texts: str, told: list[tuple[int, int]] | None = None, **settings: Any) -> list[str]:
    asked = [Request(text, ({"role": "user", "content": text},)) for text in texts]
    endpoint = EndpointConfig(url=served.url, **({"model": "m", "retries": 0} | settings))
    replies = ask_all(endpoint, asked, lambda done, total, _: told.append((done, total)) if told is not None else None)
    return [reply.text for reply in replies]


def test_what_was_answered_is_not_asked_again():
    with serving() as served:
        first = ask(served, "a", "b")
        told: list[tuple[int, int]] = []
        assert ask(served, "c", "b", "a", told=told) == ["Answer to: c", first[1], first[0]]
    assert sorted(served.asked) == ["a", "b", "c"]
    assert told == [(2, 3), (3, 3)]


def test_the_same_request_twice_is_one():
    with serving() as served:
        assert ask(served, "a", "a") == ["Answer to: a"] * 2
    assert served.asked == ["a"]


@pytest.mark.parametrize("change", [{"temperature": 0.1}, {"model": "other"}, {"seed": 1}, {"extra": {"min_p": 0.2}}])
def test_another_parameter_or_model_is_another_question(change: dict[str, Any]):
    with serving() as served:
        ask(served, "a")
        ask(served, "a", **change)
        ask(served, "a", timeout=7, concurrency=1, per_minute=6000)
    assert len(served.bodies) == 2


def test_after_an_error_what_was_answered_before_is_kept():
    """One at a time: the third of four is refused, so two are kept, and two are asked when the command is repeated."""
    with serving() as served:
        served.answer = lambda body: {"error": "no"} if body["messages"][-1]["content"] == "c" else "Yes"
        with pytest.raises(EndpointError, match="the answer is no chat completion, at c"):
            ask(served, "a", "b", "c", "d", concurrency=1)
        served.answer = lambda _: "Now"
        assert ask(served, "a", "b", "c", "d", concurrency=1) == ["Yes", "Yes", "Now", "Now"]
    assert served.asked == ["a", "b", "c", "c", "d"]


def test_an_error_ends_what_is_still_waiting():
    with serving([Fault(401)], seconds=5) as served, pytest.raises(EndpointError, match="401"):
        ask(served, *map(str, range(20)), concurrency=2, timeout=20)
    assert len(served.bodies) <= 3


def test_a_damaged_line_costs_one_more_request(cache: Path):
    with serving() as served:
        ask(served, "a", "b", concurrency=1)
        (file,) = cache.iterdir()
        whole = file.read_bytes().splitlines(keepends=True)
        file.write_bytes(whole[0] + whole[1][:20])
        assert ask(served, "a", "b") == ["Answer to: a", "Answer to: b"]
    assert served.asked == ["a", "b", "b"]


def test_a_line_after_a_torn_one_is_not_lost_for_good(tmp_path: Path):
    """The torn line swallows the next; what is asked after that is found again."""
    first = ReplyCache("http://a", "m", tmp_path)
    first.keep("k1", Reply(text="one"))
    first.path.write_bytes(first.path.read_bytes()[:-9])
    second = ReplyCache("http://a", "m", tmp_path)
    second.keep("k2", Reply(text="two"))
    second.keep("k3", Reply(text="three"))
    found = ReplyCache("http://a", "m", tmp_path)
    assert [found.find(key) for key in ("k1", "k3")] == [None, Reply(text="three")]


def test_models_and_addresses_do_not_share_replies():
    body = {"model": "m", "messages": [{"role": "user", "content": "é"}]}
    assert request_key("http://a/v1", body) != request_key("http://b/v1", body)
    assert request_key("http://a/v1", body) == request_key("http://a/v1", dict(reversed(body.items())))
    assert ReplyCache("http://a", "m").path != ReplyCache("http://a", "n").path
