"""The figures by name: each is the one it says, from the rows it is made of, and written as the field writes it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rlhf_core.report.facts import build_facts
from rlhf_core.report.measures import COUNTS, NAMES, POINTS, SHARES, SIGNED, measure_text, measures
from rlhf_core.report.parts import Facts, Measure
from tests.run_factory import read_json, vote_frame, write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "demo", refusals=True)


@pytest.fixture(scope="module")
def facts(run: Path) -> Facts:
    """The facts of a complete run with votes and a test of refusals."""
    return build_facts(run, vote_frame())


def mean(run: Path, measure: str, contender: str) -> float:
    """The mean of a measure over the prompts, from the rows of scores.json."""
    rows = read_json(run / "evaluation" / "scores.json")["rows"]
    found = [row["value"] for row in rows if (row["measure"], row["contender"]) == (measure, contender)]
    return sum(found) / len(found)


def test_each_figure_is_the_one_it_says(run: Path, facts: Facts):
    found = {measure.name: measure for measure in facts.measures}
    assert found["toxicity"].value == pytest.approx(mean(run, "profanity", "tuned"))
    assert found["toxicity_before"].value == pytest.approx(mean(run, "profanity", "base"))
    assert found["toxicity_difference"].value == pytest.approx(
        mean(run, "profanity", "tuned") - mean(run, "profanity", "base")
    )
    assert found["length_difference"].value == pytest.approx(mean(run, "words", "tuned") - mean(run, "words", "base"))
    assert found["finished_difference"].value == pytest.approx(
        mean(run, "finished", "tuned") - mean(run, "finished", "base")
    )
    assert (found["kl"].value, found["kl"].low, found["kl"].high) == (6.4, 5.1, 7.7)
    # The test of refusals as the factory made it up: 16% of safe prompts and 60% of unsafe ones, 12 and 50 points more.
    assert found["over_refusal"].value == 0.16 and found["over_refusal_difference"].low == 0.02
    assert found["unsafe_declined"].high == 0.737 and found["unsafe_declined_difference"].value == 0.5
    # Of 24 votes 18 for tuned, 3 for base, 2 ties, 1 both bad, by two people on twelve prompts.
    values = {
        name: found[name].value for name in ("win_rate", "ties", "both_bad", "votes", "labellers", "judged_prompts")
    }
    assert values == {
        "win_rate": 19.5 / 24, "ties": 2 / 24, "both_bad": 1 / 24, "votes": 24, "labellers": 2, "judged_prompts": 12,
    }  # fmt: skip
    assert found["agreement"].value == 11 / 12 and found["prompts"].value == 12
    tested = read_json(run / "evaluation" / "reward_model.json")
    assert found["reward_accuracy"].low == tested["accuracy"]["low"]
    assert found["reward_calibration_error"].value == tested["calibration_error"]
    stop = facts.human_votes[0].stop
    assert (found["win_rate_any_time"].low, found["win_rate_any_time"].high) == (stop.low, stop.high)


def test_what_a_run_does_not_have_is_left_out(facts: Facts):
    bare = replace(facts, human_votes=(), agreement=(), comparisons=(), refusals=None, kl=None, reward_model=None)
    assert measures(bare) == ()
    assert {m.name for m in measures(replace(bare, kl=facts.kl))} == {"kl"}


@pytest.mark.parametrize(
    ("name", "ends", "text"),
    [
        ("win_rate", (0.612, 0.549, 0.671), "61.2% [54.9, 67.1]"),
        ("prompts_worse", (0.0625, None, None), "6.2%"),
        ("votes", (1234.0, None, None), "1,234"),
        ("over_refusal_difference", (0.12, 0.02, 0.22), "+12.0 points [2.0, 22.0]"),
        ("finished_difference", (-0.05, None, None), "−5.0 points"),
        ("score_difference", (2.403, 2.089, 2.712), "+2.40 [2.09, 2.71]"),
        ("length_difference", (-9.9, -12.9, -6.7), "−9.9 [−12.9, −6.7]"),
        ("toxicity_difference", (0.0, 0.0, 0.0), "0.00 [no spread]"),
        ("kl", (3.24, 2.08, 4.36), "3.2 [2.1, 4.4]"),
    ],
)
def test_figures_are_written_with_their_interval(name: str, ends: tuple[float, float | None, float | None], text: str):
    assert measure_text(Measure(name, "", *ends)) == text


def test_every_name_has_one_form():
    forms = (SHARES, POINTS, COUNTS, SIGNED)
    assert all(form <= set(NAMES) for form in forms)
    assert sum(len(form) for form in forms) == len(set().union(*forms))
