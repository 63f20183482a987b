"""What a request may ask, what a line that is none is told, and who can be asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rlhf_core.errors import DataError
from rlhf_core.playground.contenders import Contender, contenders_of
from rlhf_core.playground.protocol import Request, Stop, Text, parse_event, parse_request

ASKED: dict[str, Any] = {
    "id": "1", "prompt": "Why?", "contenders": ["base", "tuned"], "temperature": 0.7, "seed": 3, "max_new_tokens": 8,
}  # fmt: skip


def line(**changes: Any) -> bytes:
    return json.dumps(ASKED | changes).encode()


def test_a_request_and_an_event_come_back_as_they_were_sent():
    request = parse_request(line(history=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]))
    assert isinstance(request, Request) and request.transcript == "User: Hi\n\nAssistant: Yes?\n\nUser: Why?"
    assert parse_request(request.model_dump_json().encode()) == request
    assert request.system_prompt == "" and parse_request(line(system_prompt=" \n")) == parse_request(line())
    assert parse_request(b'{"stop": "1"}') == Stop(stop="1")
    said = Text(id="1", side=1, text="é\u2028\n", tokens=2)
    assert parse_event(said.model_dump_json().encode()) == said and b"\n" not in said.model_dump_json().encode()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"prompt": "  "}, "prompt: is empty; expected some text"),
        ({"contenders": ["base", "base"]}, "contenders: a contender cannot be compared with itself"),
        ({"contenders": ["base"]}, "contenders.1: Field required"),
        ({"temperature": -1}, "temperature: Input should be greater than or equal to 0"),
        ({"temperature": float("nan")}, "temperature: Input should be"),
        ({"top_p": 0}, "top_p: Input should be greater than 0 (found 0)"),
        ({"history": [{"role": "system", "content": "x"}]}, "history.0.role: Input should be 'user' or 'assistant'"),
        (
            {"history": [{"role": "user", "content": "x"}]},
            "history: expected turns of user and assistant in alternation",
        ),
        ({"max_new_tokens": 0}, "max_new_tokens: Input should be greater than or equal to 1"),
        ({"seed": -1}, "seed: Input should be greater than or equal to 0"),
        ({"kl": 1}, "kl: Extra inputs are not permitted"),
    ],
)
def test_what_is_wrong_with_a_request_is_named(changes: dict[str, Any], problem: str):
    with pytest.raises(DataError) as caught:
        parse_request(line(**changes))
    assert str(caught.value).startswith(f"request: {problem}")


@pytest.mark.parametrize("text", [b"nonsense", b"\xff{}", b'{"stop": "\\ud800"}'])
def test_what_is_no_json_is_told(text: bytes):
    with pytest.raises(DataError, match="line: not JSON"):
        parse_request(text)
    with pytest.raises(DataError, match="line: not JSON"):
        parse_event(text)
    with pytest.raises(DataError, match="worker: not an event"):
        parse_event(b'{"event": "song"}')


def test_who_can_be_asked_is_who_has_left_a_model(tmp_path: Path):
    """Base and an earlier round need nothing of this run; best-of-n needs its base's model and the reward model."""
    config = {"generate": {"contenders": ["base", "sft", "tuned"], "models": {"round-1": "x"}}}
    config["generate"]["best_of"] = {"n": 4, "contender": "sft"}  # pyright: ignore[reportArgumentType]
    (tmp_path / "sft" / "model").mkdir(parents=True)
    assert contenders_of(config, tmp_path) == [
        Contender("base"), Contender("sft"), Contender("round-1"), Contender("best-of-4", ("reward",)),
        Contender("tuned", ("ppo",)),
    ]  # fmt: skip
    (tmp_path / "sft" / "model").rmdir()
    assert Contender("best-of-4", ("sft", "reward")) in contenders_of(config, tmp_path)
    assert contenders_of({}, tmp_path) == []  # a run that only pretrains
