"""What a report says about a run: verdict, caveats, votes kept apart, examples, and what is missing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from rlhf_core.errors import DataError, RunError
from rlhf_core.report.caveats import caveats
from rlhf_core.report.facts import build_facts
from rlhf_core.report.parts import Facts
from rlhf_core.report.verdict import figures, verdict
from tests.run_factory import read_json, vote_frame, write_run


@pytest.fixture(scope="module")
def judged(tmp_path_factory) -> Facts:
    """The facts of a complete run with people's and simulated votes."""
    return build_facts(write_run(tmp_path_factory.mktemp("runs") / "demo", votes="simulated"), vote_frame())


def edit(path: Path, change) -> None:
    """Change a JSON file in place."""
    content = read_json(path)
    change(content)
    path.write_text(json.dumps(content))


def with_gain(facts: Facts, **changes) -> Facts:
    """The facts with another overall reward-model comparison."""
    rows = [
        replace(c, **changes) if (c.scorer, c.category, c.contender) == ("reward model", "", "tuned") else c
        for c in facts.comparisons
    ]
    return replace(facts, comparisons=tuple(rows), human_votes=())


def with_rate(facts: Facts, value: float, low: float, high: float) -> Facts:
    """The facts with another win rate by people."""
    (votes,) = facts.human_votes
    return replace(
        facts, human_votes=(replace(votes, win_rate=replace(votes.win_rate, value=value, low=low, high=high)),)
    )


def test_win_rate_and_outcomes_by_hand(judged):
    # Of 24 votes 18 for tuned, 3 for base, 2 ties, 1 both bad: (18 + 1.5)/24.
    (votes,) = judged.human_votes
    assert votes.win_rate.value == 19.5 / 24
    counts = {name: round(24 * share.value) for name, share in votes.shares.items()}
    assert counts == {"contender": 18, "baseline": 3, "tie": 2, "both_bad": 1}
    assert (votes.n, votes.prompts, votes.labellers, votes.simulated) == (24, 12, 2, False)


def test_people_and_simulated_votes_are_never_mixed(judged):
    (people,), (simulated,) = judged.human_votes, judged.simulated_votes
    assert (people.n, simulated.n) == (24, 24)
    assert simulated.simulated and not people.simulated
    assert "24 votes" in judged.verdict


def test_without_people_the_verdict_says_so(tmp_path):
    facts = build_facts(write_run(tmp_path / "demo", votes="simulated"))
    assert facts.human_votes == ()
    assert facts.verdict.startswith("No person has judged this run yet; by its own reward model the tuned model scores")
    assert "No votes by people: `rlhf dashboard` opens the Judge page." in facts.missing
    assert facts.figures[0].interval == "no votes by people"


def test_a_vote_given_twice_counts_once(tmp_path):
    run = write_run(tmp_path / "demo", votes="simulated")
    facts = build_facts(run, pd.concat([vote_frame(), vote_frame(simulated=True)]))
    assert (facts.human_votes[0].n, facts.simulated_votes[0].n) == (24, 24)


def test_labellers_are_numbered_not_named(judged):
    names = {row["labeller"] for row in judged.vote_rows}
    assert names == {"labeller 1", "labeller 2", "simulated 1", "simulated 2"}


def test_each_pair_of_contenders_has_its_own_summary(tmp_path):
    votes = pd.concat([vote_frame(), vote_frame().assign(baseline="sft")])
    facts = build_facts(write_run(tmp_path / "demo"), votes)
    assert [(v.baseline, v.contender, v.n) for v in facts.human_votes] == [("base", "tuned", 24), ("sft", "tuned", 24)]


@pytest.mark.parametrize(
    ("rate", "start"),
    [
        (
            (0.612, 0.549, 0.671),
            "People prefer the tuned model to the base model: it wins 61.2% [54.9, 67.1] of 24 votes",
        ),
        ((0.30, 0.20, 0.41), "People prefer the base model to the tuned model, which wins only 30.0% [20.0, 41.0]"),
        ((0.53, 0.45, 0.61), "People’s votes do not settle it: the tuned model wins 53.0% [45.0, 61.0] of 24 votes"),
    ],
)
def test_verdict_by_people(judged, rate, start):
    assert verdict(with_rate(judged, *rate)).startswith(start)


@pytest.mark.parametrize(
    ("low", "high", "part"),
    [
        (0.4, 1.8, "the tuned model scores higher than the base model (+1.1 base SD [0.4, 1.8], 12 held-out prompts)"),
        (-1.8, -0.4, "the tuned model scores lower than the base model"),
        (-0.4, 1.8, "the tuned model scores no certain difference from the base model"),
        (
            None,
            None,
            "the tuned model scores no certain difference from the base model (+1.12 base SD, 12 held-out prompts)",
        ),
    ],
)
def test_verdict_by_reward_model(judged, low, high, part):
    assert part in verdict(with_gain(judged, low=low, high=high))


def test_headline_figures(judged):
    people, reward, toxicity, drift = judged.figures
    assert (people.value, people.interval) == ("81.2%", "[52.3, 94.5]")
    assert (reward.value, reward.interval) == ("+1.1 base SD", "[0.4, 1.8]")
    assert toxicity.source == "profanity by profanity-check; 12 prompts"
    assert (drift.value, drift.interval) == ("6.4 nats", "[5.1, 7.7]")


def test_toxicity_leads_with_the_general_measure(judged):
    more = [replace(c, scorer="detoxify", measure="toxicity") for c in judged.comparisons if c.measure == "profanity"]
    assert figures(replace(judged, comparisons=judged.comparisons + tuple(more)))[2].source.startswith(
        "toxicity by detox"
    )


def test_examples_follow_the_stated_rule(judged):
    # Gains (tuned − base) by hand: p09 2.6, p01 2.5, p05 2.1; the two losses p08 −1.6 and p12 −0.7.
    assert [(e.answer.prompt_id, round(e.gain, 6)) for e in judged.best] == [("p09", 2.6), ("p01", 2.5), ("p05", 2.1)]
    assert [(e.answer.prompt_id, round(e.gain, 6)) for e in judged.worst] == [("p08", -1.6), ("p12", -0.7)]


def test_thresholds_by_hand(judged):
    # At 0.5 or above: p09 (0.71) and p11 (0.97) before, none after. Two changes one way: p = 2 · ½² = 0.5.
    (flagged,) = judged.flagged
    assert (flagged.before, flagged.after, flagged.only_before, flagged.only_after) == (2, 0, 2, 0)
    assert flagged.p_value == pytest.approx(0.5)


def has(facts: Facts, text: str) -> bool:
    """Whether some caveat holds the text."""
    return any(text in caveat for caveat in caveats(facts))


def test_caveats_of_the_complete_run(judged):
    assert has(judged, "2 people judged 12 prompts. Others may judge differently.")
    assert has(judged, "trained to please this very reward model")
    assert has(judged, "2 of 12 prompts scored lower than before.")
    assert has(judged, "Only 12 prompts were compared")
    assert has(judged, "A rule made them, not people")
    assert not has(judged, "drifted") and not has(judged, "Side A won") and not has(judged, "Answers became")


def test_a_look_that_a_fixed_number_of_votes_would_call_settled_is_a_caveat(judged):
    (votes,) = judged.human_votes
    open_end = replace(votes.stop, low=0.45, high=0.9, settled_at=None, more=30)
    told = replace(with_rate(judged, 0.7, 0.55, 0.8), human_votes=(replace(votes, stop=open_end),))
    assert has(told, "holds for a number of votes fixed beforehand. Go on: over 12 prompts")
    settled = replace(open_end, low=0.52, settled_at=9)
    assert not has(replace(told, human_votes=(replace(votes, stop=settled),)), "fixed beforehand")
    undecided = with_rate(told, 0.5, 0.4, 0.6)
    assert not has(undecided, "fixed beforehand")


def test_agreement_and_judges_by_hand(judged, tmp_path):
    # Two labellers differ on the last of 12 prompts only: they agree on 11, and that item's votes are split.
    (agreed,) = judged.agreement
    assert (agreed.items, agreed.raw.value) == (12, 11 / 12)
    rewards = [j for j in judged.judges if j.scorer == "reward model" and not j.category]
    assert [(j.items, j.unjudged) for j in rewards] == [(11, 0)]
    # It never ties, people do once among these, and it always sides with the higher score as they do: 10 of 11.
    assert rewards[0].agreement.value == pytest.approx(10 / 11) and rewards[0].decided.value == 1.0
    alone = build_facts(write_run(tmp_path / "alone", votes="simulated"))
    assert alone.agreement == alone.judges == ()  # simulated votes are no people


def test_caveats_appear_when_their_rule_holds(judged):
    (votes,) = judged.human_votes
    bias = replace(votes.position_bias, value=0.7, low=0.6, high=0.8)
    bad = votes.shares | {"both_bad": replace(votes.shares["both_bad"], value=0.25)}
    told = replace(judged, human_votes=(replace(votes, position_bias=bias, shares=bad, labellers=8),))
    assert has(told, "Side A won 70.0% [60.0, 80.0] of decided votes.")
    assert has(told, "called both answers bad in 25.0% of votes")
    assert not has(told, "Others may judge differently")
    other_side = replace(votes, position_bias=replace(bias, value=0.3, low=0.2, high=0.4))
    assert has(replace(judged, human_votes=(other_side,)), "Side A won 30.0% [20.0, 40.0] of decided votes.")
    assert has(replace(judged, kl={"value": 10.5, "low": 9.0, "high": 12.0, "n": 12}), "drifted more than 10 nats")
    assert has(with_gain(judged, low=None, high=None), "rest on a single prompt")
    assert not has(with_gain(judged, n=30), "were compared")


def test_caveats_on_length_and_endings(judged):
    def changed(measure: str, **change) -> Facts:
        rows = [replace(c, **change) if c.measure == measure else c for c in judged.comparisons]
        return replace(judged, comparisons=tuple(rows))

    assert has(changed("words", difference=9.42, low=5.0, high=13.0), "longer by 9.4 words on average")
    assert has(changed("words", difference=-9.42, low=-13.0, high=-5.0), "shorter by 9.4 words on average")
    assert has(changed("finished", low=-0.5, high=-0.1), "cut off by the length limit")


def test_an_empty_run_says_what_is_missing(tmp_path):
    (tmp_path / "new").mkdir()
    facts = build_facts(tmp_path / "new")
    assert facts.verdict == "There is no result yet: 0 of 5 stages are complete."
    assert "No comparison of contenders: `rlhf evaluate` writes it." in facts.missing
    assert "Supervised fine-tuning is waiting." in facts.missing
    assert facts.comparisons == facts.answers == facts.best == ()
    assert facts.reward_model is None and facts.kl is None


def test_a_failed_stage_is_in_the_verdict(tmp_path):
    run = write_run(tmp_path / "demo")
    shutil.rmtree(run / "evaluation")
    edit(run / "status.json", lambda s: s["stages"]["ppo"].update(state="failed", step=7))
    facts = build_facts(run)
    assert facts.verdict == "There is no result yet: PPO failed at step 7 of 24."


def test_without_the_tuned_model_sft_is_compared(tmp_path):
    run = write_run(tmp_path / "demo")
    (run / "completions" / "tuned.jsonl").unlink()
    facts = build_facts(run)
    assert (facts.baseline, facts.contender) == ("base", "sft")
    assert "the SFT model scores" in facts.verdict


def test_a_missing_run_names_the_remedy(tmp_path):
    with pytest.raises(RunError, match="no such run"):
        build_facts(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("comparisons", lambda c: c["rows"][0].pop("method"), r"comparisons.json: a row lacks method"),
        ("comparisons", lambda c: c["kl"].pop("n"), r"comparisons.json: a row lacks n"),
        ("comparisons", lambda c: c.update(rows="many"), r"`rows` is not a list of objects \(found 'many'"),
        ("scores", lambda c: c["rows"][3].pop("value"), r"scores.json: a row lacks value"),
        (
            "reward_model",
            lambda c: c.pop("accuracy"),
            r"reward_model.json: a row lacks accuracy.*`rlhf evaluate` again",
        ),
    ],
)
def test_damaged_evaluation_files_are_named(tmp_path, name, change, message):
    run = write_run(tmp_path / "demo")
    edit(run / "evaluation" / f"{name}.json", change)
    with pytest.raises(RunError, match=message):
        build_facts(run)


def test_recorded_votes_must_be_marked_as_simulated(tmp_path):
    run = write_run(tmp_path / "demo")
    vote_frame().to_json(run / "votes.jsonl", orient="records", lines=True)
    with pytest.raises(RunError, match=r"votes.jsonl: a vote is not marked as simulated"):
        build_facts(run)
    (run / "votes.jsonl").write_text('{"simulated": true')
    with pytest.raises(RunError, match=r"votes.jsonl: damaged votes"):
        build_facts(run)


def test_votes_need_their_columns(tmp_path):
    with pytest.raises(DataError, match=r"votes: columns are missing \(found \['contender_side'\]"):
        build_facts(write_run(tmp_path / "demo"), vote_frame().drop(columns="contender_side"))


def test_facts_fit_into_json(judged):
    content = json.loads(json.dumps(judged.as_json(), allow_nan=False))
    assert content["verdict"] == judged.verdict
    assert content["metrics"]["ppo"][0]["val/explained_variance"] is None


def test_reports_do_without_torch():
    code = "import sys, rlhf_core.report.exports; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_declining_more_safe_prompts_or_fewer_unsafe_ones_is_a_caveat(tmp_path):
    run = write_run(tmp_path / "demo", refusals=True)
    worse = "It declines more safe prompts than the base model: +12.0 points [2.0, 22.0]."
    assert worse in build_facts(run).caveats

    def turn_round(content):
        tuned_safe, tuned_unsafe = content["rows"][-2:]
        tuned_safe |= {"difference": 0.02, "difference_low": -0.04, "difference_high": 0.08}
        tuned_unsafe |= {"difference": -0.3, "difference_low": -0.4, "difference_high": -0.2}

    edit(run / "evaluation" / "refusals.json", turn_round)
    (said,) = [text for text in build_facts(run).caveats if "declines" in text]
    assert said == "It declines fewer unsafe prompts than the base model: −30.0 points [−40.0, −20.0]."


@pytest.mark.parametrize(
    "content", [{"rows": 3}, {"rows": []}, {"rows": [{"n": 1}]}, {"rows": [[]], "blind_spots": ""}]
)
def test_a_damaged_test_of_refusals_is_named(tmp_path, content):
    run = write_run(tmp_path / "demo")
    (run / "evaluation" / "refusals.json").write_text(json.dumps(content))
    with pytest.raises(RunError, match=r"refusals\.json: .*Run `rlhf evaluate` again"):
        build_facts(run)
