"""`rlhf data import`, `export` and `formats` as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rlhf_core.cli import main
from rlhf_core.data.exchange.registry import FORMATS
from rlhf_core.runs.foreign import FORMATS as CURVES
from rlhf_core.runs.reader import RunReader
from tests.command import succeed
from tests.exchange_rows import ROWS, read_rows, write_rows


def test_an_import_says_the_format_and_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", ROWS["summarize-from-feedback"] * 2)
    said = succeed(capsys, "data", "import", source, tmp_path / "votes.jsonl", "--as", "votes")
    assert said.splitlines() == [
        "2 rows read as summarize-from-feedback, 2 votes written",
        "2 × a judge's name became a pseudonym, so that nobody is known by it",
    ]
    assert len(read_rows(tmp_path / "votes.jsonl")) == 2


def test_a_dry_run_shows_five_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", ROWS["alpaca"] * 7)
    out = tmp_path / "out.jsonl"
    said = succeed(capsys, "data", "import", source, out, "--as", "demonstrations", "--dry-run").splitlines()
    assert said[0] == f"{source} reads as alpaca. The first demonstrations would be:"
    assert [json.loads(line)["response"] for line in said[1:]] == ["Water."] * 5
    assert not out.exists()


def test_what_is_shown_cannot_act_on_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{"input_text": "a\u202eb\u2028c"}])
    said = succeed(capsys, "data", "import", source, tmp_path / "o.jsonl", "--as", "prompts", "--dry-run")
    assert "\u202e" not in said and "\u2028" not in said


def test_a_named_format_is_asked_of_every_row(tmp_path: Path, fail) -> None:
    source = write_rows(tmp_path / "rows.jsonl", ROWS["alpaca"])
    said = fail("data", "import", source, tmp_path / "o.jsonl", "--as", "demonstrations", "--format", "sharegpt")
    assert said == f"error: {source}:1: sharegpt has conversations; this row has: input, instruction, output"


def test_bad_rows_can_be_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [*ROWS["alpaca"], {"instruction": 1}])
    said = succeed(capsys, "data", "import", source, tmp_path / "o.jsonl", "--as", "demonstrations", "--skip-bad")
    assert "1 rejected" in said and (tmp_path / "o.rejects.jsonl").exists()


def test_an_unknown_kind_is_refused_with_those_there_are(tmp_path: Path, fail) -> None:
    said = fail("data", "import", tmp_path / "x", tmp_path / "o", "--as", "poems", status=2)
    assert "poems" in said and "prompts" in said and "votes" in said


def test_an_export_says_what_is_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_rows(tmp_path / "votes.jsonl", ROWS["studio-votes"])
    said = succeed(capsys, "data", "export", source, tmp_path / "o.jsonl", "--to", "arena").splitlines()
    assert said == ["1 vote read, 1 row of arena written", FORMATS["arena"].cannot_hold]


def test_every_format_is_listed_with_what_it_is_good_for(capsys: pytest.CaptureFixture[str]) -> None:
    said = succeed(capsys, "data", "formats")
    for form in FORMATS.values():
        assert f"{form.name}: " in said
    assert "written from votes" in said and "`rlhf pretrain` learns from it" in said.replace("\n", " ")


def test_curves_become_a_run_beside_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "log.csv", tmp_path / "runs" / "theirs"
    source.write_text("step,loss,learning_rate\n1,2.5,0.1\n2,2.25,0.05\n")
    command = ("data", "import", source, out, "--as", "curves", "--stage", "sft")
    assert f"{out}: would be written" in succeed(capsys, *command, "--dry-run") and not out.exists()
    said = succeed(capsys, *command)
    assert f"{source}: CSV" in said and f"{out}: written" in said
    assert RunReader(out).metrics("sft")["train/loss"].tolist() == [2.5, 2.25]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--as", "curves", "--skip-bad"), "curves are imported whole or not at all"),
        (("--as", "votes", "--stage", "sft"), "only curves are of a stage"),
    ],
)
def test_options_that_say_nothing_are_refused(
    options: tuple[str, ...], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["data", "import", str(tmp_path / "a"), str(tmp_path / "b"), *options])
    assert caught.value.code == 2 and why in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_curve_formats_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    said = succeed(capsys, "data", "formats")
    assert all(f"{name}: {form.title}" in said for name, form in CURVES.items()) and "read as curves" in said
