"""A real OpenAI-compatible server on this machine: `transformers serve` with a tiny model, asked by `rlhf contender`."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from rlhf_core.data.io import read_jsonl, write_jsonl
from rlhf_core.data.records import ContenderCompletion
from rlhf_core.evaluation.auto_judge import AutoVerdict
from rlhf_core.feedback.store import VoteStore
from rlhf_core.models.tiny import tiny_folder
from tests.vote_factory import make_spec

pytestmark = pytest.mark.slow

SECRET = "sk-served-0123456789abcdef"
PATIENCE = 240.0
"""Seconds for the server to load on a busy machine."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, which samples where it is served."""
    folder = tiny_folder(tmp_path_factory.mktemp("served"))
    (folder / "generation_config.json").write_text(
        json.dumps({"do_sample": True, "eos_token_id": 2, "pad_token_id": 0})
    )
    return folder


@pytest.fixture(scope="module")
def url(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("log") / "serve.log"
    line = [Path(sys.executable).with_name("transformers"), "serve", model, "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as out:
        server = subprocess.Popen([*map(str, line), "--device", "cpu"], stdout=out, stderr=out)
    try:
        _wait(f"http://127.0.0.1:{port}/health", server, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(30)


def _wait(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with suppress(OSError), urllib.request.urlopen(address, timeout=5) as response:
            assert response.status == 200
            return
        assert server.poll() is None, log.read_text()
        time.sleep(0.2)
    raise AssertionError(log.read_text())


def rlhf(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"RLHF_CACHE": str(folder / "cache"), "OPENAI_API_KEY": SECRET}
    line = [sys.executable, "-m", "rlhf_core", *map(str, words)]
    return subprocess.run(line, capture_output=True, text=True, timeout=300, env=environment)


def test_a_served_model_answers_every_prompt_once(url: str, model: Path, tmp_path: Path):
    """Eight tokens of a byte tokenizer each; repeated, the command finds them all, and the key stands in no file."""
    write_jsonl(tmp_path / "p.jsonl", [{"id": f"p{n}", "prompt": f"What is {n}?"} for n in range(6)])
    out = tmp_path / "answers" / "served.jsonl"
    line = ("contender", "write", tmp_path / "p.jsonl", out, "--endpoint", url, "--model", model)
    line = (*line, "--set", "max_tokens=8", "--set", "temperature=1", "--set", "seed=3", "--set", "system=Be brief.")
    first = rlhf(tmp_path, *line)
    assert first.returncode == 0, first.stderr
    assert f"{out}: 6 answers" in first.stdout
    rows = read_jsonl(out, ContenderCompletion)
    assert [row.prompt_id for row in rows] == [f"p{n}" for n in range(6)]
    assert all(0 < row.tokens <= 8 and row.finished == (row.tokens < 8) for row in rows)
    assert len({row.text for row in rows}) > 1
    assert "known before" not in first.stdout
    again = rlhf(tmp_path, *line)
    assert "served: 6/6 6 were known before" in again.stdout
    assert read_jsonl(out, ContenderCompletion) == rows
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) == 4 and not any(SECRET.encode() in file.read_bytes() for file in files)
    assert SECRET not in first.stdout + first.stderr


def test_a_model_that_is_not_served_is_said_with_the_servers_words(url: str, tmp_path: Path):
    write_jsonl(tmp_path / "p.jsonl", [{"id": "a", "prompt": "Why?"}])
    done = rlhf(
        tmp_path,
        "contender",
        "write",
        tmp_path / "p.jsonl",
        tmp_path / "x.jsonl",
        "--endpoint",
        url,
        "--model",
        "no/such",
    )
    assert done.returncode == 1
    assert f"error: {url}: the request was refused (400), at prompt a: Server is pinned to " in done.stderr
    assert "requested 'no/such'. Check the model's name" in done.stderr


def test_a_served_model_that_cannot_judge_gives_no_verdict(url: str, model: Path, tmp_path: Path):
    """The tiny model writes bytes at random: two pairs are asked for in both orders, and nothing is made of the answers."""
    votes = tmp_path / "votes.db"
    with closing(VoteStore(votes)) as store:
        task = store.ensure_task(make_spec(2))
    line = ("auto-judge", task, "--endpoint", url, "--model", model, "--name", "tiny", "--votes", votes)
    done = rlhf(tmp_path, *line, "--set", "max_tokens=8")
    assert done.returncode == 0, done.stderr
    assert "tiny: no verdict on the tuned model against the base model." in done.stdout
    rows = read_jsonl(tmp_path / "auto_judge" / f"task-{task}" / "tiny.jsonl", AutoVerdict)
    assert [(row.outcome, [bool(one.answer) for one in row.readings]) for row in rows] == [(None, [True, True])] * 2
