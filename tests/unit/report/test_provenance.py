"""What a report rests on: hashes that anyone can check, and the one date."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from rlhf_core.errors import ConfigError
from rlhf_core.models.shipped import PACKAGED
from rlhf_core.report.exports import render_json
from rlhf_core.report.facts import build_facts
from rlhf_core.report.provenance import made_at, votes_digest
from tests.run_factory import vote_frame, write_run


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_the_digest_of_votes_by_hand():
    # Sorted keys, no spaces, letters as they are, lines sorted, each ended by a line feed.
    expected = sha256('{"a":1,"b":"é"}\n{"a":2,"b":null}\n'.encode())
    assert votes_digest([{"b": None, "a": 2}, {"b": "é", "a": 1}]) == expected
    assert votes_digest([{"b": "é", "a": 1}, {"a": 2, "b": None}]) == expected
    assert votes_digest([]) == sha256(b"")


def test_whoever_has_the_json_file_can_check_the_votes(tmp_path: Path):
    facts = build_facts(write_run(tmp_path / "demo", votes="simulated"), vote_frame())
    held = json.loads(render_json(facts))
    assert votes_digest(held["vote_rows"]) == held["provenance"]["vote_log"] and held["provenance"]["votes"] == 48


def test_the_order_of_votes_does_not_matter_and_each_of_them_does(tmp_path: Path):
    run, votes = write_run(tmp_path / "demo"), vote_frame()
    one = build_facts(run, votes).provenance.vote_log
    assert build_facts(run, votes.iloc[::-1]).provenance.vote_log == one
    assert build_facts(run, votes.assign(reading_seconds=votes["reading_seconds"] + 1)).provenance.vote_log != one
    assert build_facts(run, votes.iloc[1:]).provenance.vote_log != one


def test_files_are_hashed_as_they_are(tmp_path: Path):
    run = write_run(tmp_path / "demo")
    for stage in ("reward", "ppo"):
        (run / stage / "model").mkdir()
    (run / "ppo" / "model" / "adapter_model.safetensors").write_bytes(b"adapter")
    (run / "reward" / "model" / "model.safetensors").write_bytes(b"weights")
    found = build_facts(run).provenance
    assert found.config == sha256((run / "config.yaml").read_bytes())
    assert [(w.path, w.size, w.sha256) for w in found.weights] == [
        ("reward/model/model.safetensors", 7, sha256(b"weights")),
        ("ppo/model/adapter_model.safetensors", 7, sha256(b"adapter")),
    ]
    assert [a.path for a in found.answers] == [f"completions/{name}.jsonl" for name in ("base", "sft", "tuned")]
    assert found.answers[0].sha256 == sha256((run / "completions" / "base.jsonl").read_bytes())
    assert [s.sha256 for s in found.sources] == [PACKAGED["smollm2-135m-instruct"].sha256, PACKAGED["minilm-l6"].sha256]
    assert not any("weights are not kept" in text for text in build_facts(run).limitations)
    (run / "ppo" / "model" / "adapter_model.safetensors").write_bytes(b"changed!")
    assert build_facts(run).provenance.weights[1].sha256 == sha256(b"changed!")


def test_an_empty_run_has_hashes_of_nothing(tmp_path: Path):
    (tmp_path / "new").mkdir()
    found = build_facts(tmp_path / "new").provenance
    assert (found.config, found.answers, found.weights, found.sources, found.votes) == ("", (), (), (), 0)


def test_the_date_can_be_given(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert made_at() == "1970-01-01T00:00:00+00:00"
    for wrong in ("today", "1.5", "9" * 30):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", wrong)
        with pytest.raises(ConfigError, match="SOURCE_DATE_EPOCH: not seconds since 1970"):
            made_at()
