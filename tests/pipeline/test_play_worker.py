"""`rlhf play` as a process: what it answers, that it outlives bad requests, and that it leaves no orphan."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rlhf_core.playground.worker import run_config
from rlhf_core.stages import answer
from tests.play_factory import ROOT, write_playable_run

pytestmark = pytest.mark.slow
ASKED: dict[str, Any] = {"prompt": "Why?", "contenders": ["base", "tuned"], "temperature": 0.7, "seed": 3}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_playable_run(tmp_path_factory.mktemp("runs"), "generate.max_new_tokens=12")


class Worker:
    """A worker and the lines to it and from it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def say(self, line: object) -> None:
        assert self.process.stdin
        self.process.stdin.write((line if isinstance(line, str) else json.dumps(line)) + "\n")
        self.process.stdin.flush()

    def events(self, *last: str) -> Iterator[dict[str, Any]]:
        """Yield events up to the first of those kinds."""
        assert self.process.stdout
        for line in self.process.stdout:
            event = json.loads(line)
            yield event
            if event["event"] in last:
                return


@contextmanager
def worker(run: Path) -> Iterator[Worker]:
    command = [sys.executable, "-m", "rlhf_core", "play", str(run)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield Worker(process)
        finally:
            process.kill()


def test_a_worker_answers_lives_on_stops_and_ends_with_its_stdin(run: Path):
    with worker(run) as playing:
        playing.say(ASKED | {"id": "1", "max_new_tokens": 12})
        told = list(playing.events("end"))
        kinds = [event["event"] for event in told]
        assert kinds[0] == "loading" and kinds.index("ready") < kinds.index("text") < kinds.index("done")
        texts = [event["text"] for event in told if event["event"] == "done"]
        elsewhere = dict(answer(run_config(run), "Why?", seed=3))
        assert texts == [elsewhere["base"], elsewhere["tuned"]]

        playing.say("nonsense")
        playing.say({"id": "2"})
        playing.say(ASKED | {"id": "3", "contenders": ["base", "tunid"], "max_new_tokens": 4})
        failures = [event for _ in range(3) for event in playing.events("failed")]
        assert [(event["event"], event["id"]) for event in failures] == [
            ("failed", None), ("failed", None), ("failed", "3"),
        ]  # fmt: skip
        assert "not JSON" in failures[0]["why"] and "prompt: Field required" in failures[1]["why"]
        assert "no such contender" in failures[2]["why"]

        playing.say(ASKED | {"id": "4", "max_new_tokens": 900})
        next(playing.events("text"))
        playing.say({"stop": "4"})
        *_, end = playing.events("end")
        assert end == {"event": "end", "id": "4", "stopped": True}

        playing.say(ASKED | {"id": "5", "max_new_tokens": 12})
        playing.say(ASKED | {"id": "6", "max_new_tokens": 2})
        assert playing.process.stdin
        playing.process.stdin.close()  # what was asked is answered first
        again = list(playing.events())
        assert [event["text"] for event in again if event["event"] == "done"][:2] == texts
        assert again[-1]["id"] == "6" and playing.process.wait(10) == 0


def test_a_worker_whose_reader_is_gone_ends_by_itself(run: Path):
    with worker(run) as playing:
        playing.say(ASKED | {"id": "1", "max_new_tokens": 900})
        next(playing.events("ready"))
        assert playing.process.stdout and playing.process.stderr
        playing.process.stdout.close()
        assert playing.process.wait(30) == 0
        assert "Traceback" not in playing.process.stderr.read()


def test_a_run_that_is_none_is_refused_in_one_line(tmp_path: Path):
    with worker(tmp_path / "none") as playing:
        assert playing.process.wait(60) == 1 and playing.process.stderr
        assert playing.process.stderr.read() == (
            f"error: {tmp_path}/none: no such run. `rlhf runs` lists the runs that are there\n"
        )
