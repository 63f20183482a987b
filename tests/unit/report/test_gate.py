"""Conditions of --fail-if: what they may say, what becomes of them, and how the command exits."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlhf_core.cli import main
from rlhf_core.errors import ConfigError
from rlhf_core.report.gate import judge, known_names, parse_condition
from rlhf_core.report.measures import NAMES
from rlhf_core.report.parts import Measure
from tests.run_factory import write_run

KL = Measure("kl", "", 6.4, 5.1, 7.7)
PROMPTS = Measure("prompts", "", 12.0, None, None)
TOXICITY = Measure("toxicity", "", 0.02, None, None)


@pytest.mark.parametrize(
    ("text", "fails"),
    [
        ("kl<6.4", False), ("kl<=6.4", True), ("kl>6.4", False), ("kl>=6.4", True), ("kl==6.4", True),
        ("kl_low < 5.2", True), ("kl_high>7.8", False), (" kl_high > 7.69 ", True), ("kl>-1e1", True), ("kl<.5", False),
        ("prompts<13", True), ("prompts<12", False),
    ],
)  # fmt: skip
def test_conditions_by_hand(text: str, fails: bool):
    (found,) = judge([parse_condition(text)], [KL, PROMPTS])
    assert found.fails is fails
    assert found.sentence.startswith(f"{text.strip()} {'holds' if fails else 'does not hold'}: ")


def test_the_sentence_gives_figure_and_interval():
    (found,) = judge([parse_condition("kl_low<5.2")], [KL])
    assert found.sentence == "kl_low<5.2 holds: kl is 6.4 [5.1, 7.7]."


def test_missing_evidence_fails():
    found = judge([parse_condition("win_rate_low<0.5"), parse_condition("toxicity_high>0.5")], [KL, TOXICITY])
    assert [one.fails for one in found] == [True, True]
    assert found[0].sentence == (
        "win_rate_low<0.5 cannot be told: the run has no win_rate (people’s win rate, a tie or both bad counting half)."
    )
    assert found[1].sentence == "toxicity_high>0.5 cannot be told: toxicity is 0.02, without such an end."


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_an_end_without_bound_is_missing_evidence(value: float):
    (found,) = judge([parse_condition("kl_high<9")], [Measure("kl", "", 6.4, 5.1, value)])
    assert found.fails and "cannot be told" in found.sentence


@pytest.mark.parametrize(
    "text",
    [
        "",
        "kl",
        "kl<",
        "<5",
        "kl<a",
        "kl<<5",
        "kl=5",
        "kl!=5",
        "kl<5 or kl>6",
        "__import__('os')",
        "kl<5;",
        "kl<1_0",
        "5<kl",
        "kl<nan",
    ],
)
def test_what_is_no_condition_is_refused(text: str):
    with pytest.raises(ConfigError, match=r"--fail-if: not a condition \(found .*'win_rate_low<0.5'"):
        parse_condition(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("win_rte<1", r"no such figure \(found 'win_rte'\)\. Did you mean win_rate\?"),
        ("votes_low<1", r"found 'votes_low'\)\. Did you mean votes\?"),
        ("zzz<1", r"`rlhf report RUN --list-figures` lists them"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(text: str, said: str):
    with pytest.raises(ConfigError, match=said):
        parse_condition(text)


def test_every_known_name_is_understood_and_none_hides_another():
    for name in known_names():
        condition = parse_condition(f"{name}<1")
        assert condition.name in NAMES and condition.name + condition.end == name


def exits(*arguments: object) -> object:
    """Run `rlhf report` and return its exit status."""
    with pytest.raises(SystemExit) as caught:
        main(["report", *map(str, arguments)])
    return caught.value.code or 0


def test_the_command_exits_with_0_1_or_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run, out = write_run(tmp_path / "demo"), ("--out", tmp_path / "out", "--format", "md")
    assert exits(run, *out, "--fail-if", "kl>8", "--fail-if", "score_difference_low<0") == 0
    said = capsys.readouterr().out
    assert "ok: kl>8 does not hold: kl is 6.4 [5.1, 7.7]." in said and said.startswith(
        str(tmp_path / "out" / "report.md")
    )
    assert exits(run, *out, "--fail-if", "kl>8", "--fail-if", "kl>6") == 1
    said = capsys.readouterr().out
    assert "ok: kl>8" in said and "FAIL: kl>6 holds" in said
    assert exits(run, *out, "--fail-if", "win_rate_low<0.5") == 1
    assert "FAIL: win_rate_low<0.5 cannot be told" in capsys.readouterr().out
    assert exits(run, *out, "--fail-if", "win_rate_low<half") == 2
    assert exits(tmp_path / "gone", *out, "--fail-if", "kl>8") == 2
    assert "no such run" in capsys.readouterr().err
    (run / "evaluation" / "scores.json").write_text("{")
    assert exits(run, *out, "--fail-if", "kl>8") == 2
    assert "scores.json: not JSON" in capsys.readouterr().err


def test_the_command_lists_every_figure_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = write_run(tmp_path / "demo")
    assert exits(run, "--out", tmp_path / "out", "--list-figures") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(NAMES) and not (tmp_path / "out").exists()
    assert "6.4 [5.1, 7.7]" in next(line for line in lines if line.startswith("kl "))
    assert next(line for line in lines if line.startswith("win_rate ")).split()[1] == "–"
