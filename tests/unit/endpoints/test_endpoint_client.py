"""Asking an endpoint: what is sent, what is tried again and what is not, and what errors say."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rlhf_core.config.endpoint import EndpointConfig
from rlhf_core.endpoints.asking import ask_all
from rlhf_core.endpoints.cache import Reply
from rlhf_core.endpoints.client import Request
from rlhf_core.endpoints.limits import Pace
from rlhf_core.errors import EndpointError
from tests.endpoint_server import Fault, Served, completion, serving

SECRET = "sk-test-0123456789abcdef"


@pytest.fixture(autouse=True)
def _no_cache_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLHF_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


class Sleeps(list[float]):
    """Records pauses instead of making them."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    now = 0.0


def requests(*texts: str) -> list[Request]:
    return [Request(f"prompt {n}", ({"role": "user", "content": text},)) for n, text in enumerate(texts)]


def ask(
    served: Served | str, texts: Sequence[str] = ("Why?",), sleeps: Sleeps | None = None, **settings: Any
) -> list[Reply]:
    url = served if isinstance(served, str) else served.url
    sleeps = sleeps if sleeps is not None else Sleeps()
    pace = Pace(None, lambda: sleeps.now, sleeps)
    endpoint = EndpointConfig(url=url, model="m", **settings)
    return ask_all(endpoint, requests(*texts), lambda *_: None, pace)


def fails(served: Served | str, sleeps: Sleeps | None = None, **settings: Any) -> str:
    with pytest.raises(EndpointError) as caught:
        ask(served, sleeps=sleeps, **settings)
    return str(caught.value)


def test_what_is_sent_and_what_comes_back():
    with serving() as served:
        replies = ask(served, temperature=0.5, max_tokens=9, extra={"min_p": 0.1, "user": None}, top_p=None)
    assert replies == [Reply(text="Answer to: Why?", finish="stop", tokens=7, model="served-1")]
    messages = [{"role": "user", "content": "Why?"}]
    assert served.bodies == [{"model": "m", "messages": messages, "temperature": 0.5, "max_tokens": 9, "min_p": 0.1}]
    assert served.paths == ["/v1/chat/completions"]
    assert "Authorization" not in served.headers[0]


def test_an_address_may_name_the_whole_path():
    with serving() as served:
        ask(f"{served.url}/chat/completions/")
    assert served.paths == ["/v1/chat/completions"]


@pytest.mark.parametrize(("variable", "named"), [("OPENAI_API_KEY", None), ("MY_KEY", "MY_KEY")])
def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, variable: str, named: str | None):
    monkeypatch.setenv(variable, f" {SECRET}\n")
    with serving() as served:
        ask(served, key_variable=named)
    assert served.headers[0]["Authorization"] == f"Bearer {SECRET}"


def test_a_named_variable_that_is_not_set_is_said():
    with serving() as served:
        said = fails(served, key_variable="MY_KEY")
    assert said == f"{served.url}: the environment variable MY_KEY is not set. export MY_KEY=…"
    assert served.bodies == []


def test_a_key_with_spaces_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret one")
    said = fails("http://127.0.0.1:1/v1")
    assert said == "what OPENAI_API_KEY holds is no key: it has spaces or signs that keys never have"


def test_an_endpoint_that_says_the_key_back_does_not_have_it_repeated(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with serving([Fault(401, {"error": {"message": f"Incorrect API key provided: {SECRET}."}})]) as served:
        said = fails(served)
        served.answer = lambda _: f"You sent {SECRET}"
        assert [reply.text for reply in ask(served)] == ["You sent [key]"]
    assert said == (
        f"{served.url}: the key is missing or wrong (401), at prompt 0: Incorrect API key provided: [key]. "
        "Set the key in OPENAI_API_KEY, or name its environment variable: --set key_variable=NAME"
    )


def test_after_too_many_requests_it_waits_as_long_as_it_is_asked_to():
    sleeps = Sleeps()
    with serving([Fault(429, {"error": "slow down"}, {"Retry-After": "17"})]) as served:
        assert ask(served, sleeps=sleeps)[0].text == "Answer to: Why?"
    assert sleeps == [17] and len(served.bodies) == 2


def test_a_server_that_failed_is_asked_again_after_growing_pauses():
    """1, 2 and 4 seconds, less up to half of each by chance."""
    sleeps = Sleeps()
    with serving([Fault(500, "oops"), Fault(502), Fault(503)]) as served:
        assert ask(served, sleeps=sleeps)[0].text == "Answer to: Why?"
    assert len(sleeps) == 3
    assert all(longest / 2 <= pause <= longest for pause, longest in zip(sleeps, (1, 2, 4), strict=True))


def test_a_server_that_goes_on_failing_is_given_up():
    with serving([Fault(500, {"detail": "out of\nmemory"})] * 9) as served:
        said = fails(served, retries=2)
    assert len(served.bodies) == 3
    assert said == (
        f"{served.url}: the server failed (500), 3 times, at prompt 0: out of memory. "
        "The same command goes on where it was: what was answered is kept"
    )


def test_an_answer_that_is_cut_off_is_asked_for_again():
    with serving([Fault(body=completion("half of th"), cut=True)]) as served:
        assert ask(served)[0].text == "Answer to: Why?"
        assert len(served.bodies) == 2
        served.faults = [Fault(body=completion("half"), cut=True)]
        assert "the answer was cut off, at prompt 0: " in fails(served, retries=0, seed=1)


def test_an_answer_that_takes_too_long_is_given_up():
    with serving(seconds=1.0) as served:
        began = time.monotonic()
        said = fails(served, timeout=0.2, retries=1)
        assert time.monotonic() - began < 1
    assert f"{served.url}: no answer within 0.2 s, 2 times, at prompt 0. Allow more with --set timeout=…" in said


@pytest.mark.parametrize(
    ("status", "words", "remedy"),
    [
        (401, "the key is missing or wrong (401)", "OPENAI_API_KEY"),
        (403, "the key may not do this (403)", "name another model"),
        (404, "there is no such address or model (404)", "The address mostly ends with /v1"),
        (400, "the request was refused (400)", "--set temperature=null"),
        (422, "the request was refused (422)", "--set temperature=null"),
        (405, "the endpoint answered with status 405", "Check the address"),
    ],
)
def test_what_cannot_get_better_is_asked_once(status: int, words: str, remedy: str):
    with serving([Fault(status, {"error": {"message": "no\u202e"}})]) as served:
        said = fails(served)
    assert len(served.bodies) == 1
    assert f"{served.url}: {words}, at prompt 0: no⟨U+202E⟩. " in said and remedy in said


def test_a_redirect_is_named_and_not_followed():
    with serving([Fault(307, headers={"Location": "https://elsewhere.example/v1"})]) as served:
        said = fails(served)
    assert "redirects (307), at prompt 0: https://elsewhere.example/v1. Give the address it redirects to" in said


def test_an_endpoint_that_wants_to_rest_for_hours_is_left_alone():
    with serving([Fault(429, "quota", {"Retry-After": "7200"})]) as served:
        said = fails(served)
    assert "too many requests (429); it wants 7,200 s of rest, at prompt 0: quota. Come back later" in said
    assert len(served.bodies) == 1


@pytest.mark.parametrize("body", ["<html>", "[]", {"choices": []}, {"choices": [{"message": {"content": 3}}]}, {}])
def test_what_is_no_chat_completion_is_said(body: Any):
    with serving([Fault(body=body)] * 2) as served:
        said = fails(served, retries=1)
    assert len(served.bodies) == 2
    assert f"{served.url}: the answer is no chat completion, 2 times, at prompt 0" in said


def test_half_of_a_surrogate_pair_is_no_text():
    """It could not be written to a file in UTF-8."""
    body = '{"choices": [{"message": {"content": "\\ud83d"}}]}'
    with serving([Fault(body=body)]) as served:
        assert "the answer is no chat completion" in fails(served, retries=0)


def test_a_refusal_is_an_answer_and_a_limit_cuts_one():
    refusal = {"choices": [{"message": {"content": None, "refusal": "I can't."}, "finish_reason": "stop"}]}
    with serving([Fault(body=refusal), Fault(body=completion("So", "length")), Fault(body=completion(None))]) as served:
        replies = ask(served, ["a", "b", "c"], concurrency=1)
    assert [(reply.text, reply.cut) for reply in replies] == [("I can't.", False), ("So", True), ("", False)]


def test_where_nothing_listens_is_said_at_once():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    sleeps = Sleeps()
    said = fails(url, sleeps)
    assert said.startswith(f"{url}: cannot be reached, at prompt 0: ") and "Start the server" in said
    assert sleeps == []


def test_a_server_that_answered_before_may_come_back():
    sleeps = Sleeps()
    with serving() as served, pytest.raises(EndpointError, match="cannot be reached, 3 times, at prompt 1"):
        _ask_with_the_end_of_the_server(served, sleeps)
    assert len(sleeps) == 2


def _ask_with_the_end_of_the_server(served: Served, sleeps: Sleeps) -> None:
    """The second request finds nothing there."""
    from rlhf_core.endpoints.client import Client

    endpoint = EndpointConfig(url=served.url, model="m", retries=2)

    async def go() -> None:
        async with Client(endpoint, Pace(None, lambda: sleeps.now, sleeps)) as client:
            first, second = requests("a", "b")
            await client.ask(first)
            client.endpoint = endpoint.model_copy(update={"url": "http://127.0.0.1:1/v1"})
            await client.ask(second)

    asyncio.run(go())


def test_no_more_requests_at_once_than_allowed():
    with serving(seconds=0.05) as served:
        replies = ask(served, [f"q{n}" for n in range(9)], concurrency=3)
    assert [reply.text for reply in replies] == [f"Answer to: q{n}" for n in range(9)]
    assert served.most_at_once == 3


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    with serving() as served:
        assert ask(served)[0].text == "Answer to: Why?"


def test_the_default_key_is_not_sent_unencrypted_to_another_machine(monkeypatch: pytest.MonkeyPatch):
    from rlhf_core.endpoints.keys import read_key

    def key_for(url: str, variable: str | None = None) -> str | None:
        endpoint = EndpointConfig(url=url, model="m", key_variable=variable)
        return read_key(endpoint, {"OPENAI_API_KEY": "sk-default", "MINE": "sk-mine"})

    assert key_for("http://gpu.lan:8000/v1") is None
    assert key_for("http://gpu.lan:8000/v1", "MINE") == "sk-mine"
    assert {key_for(f"{base}/v1") for base in ("https://api.example", "http://localhost:8", "http://[::1]:8")} == {
        "sk-default"
    }
