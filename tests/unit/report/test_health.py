"""What stands out in a run's metrics: a sound run is left alone, each planted fault is found with its figures."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from rlhf_core.report.health import Finding, examine, looked_at

STEPS = range(1, 13)
SOUND: dict[str, Any] = {
    "objective/kl": [0.5 * n for n in STEPS], "policy/ratio": [1.0] * 12, "policy/clipfrac": [0.1] * 12,
    "loss/total": [0.1] * 12, "loss/value": [0.5, 0.4, 0.6] * 4, "val/explained_variance": [-0.2, -0.1, 0.1, *[0.3] * 9],
    "tokens/response_length": [40, 44, 38, 42] * 3, "tokens/eos_frac": [0.9] * 12, "optim/lr": [1e-3] * 12,
    "policy/entropy": [2.0] * 12, "alarm/entropy": [0.0] * 12, "tokens/distinct_2": [0.8] * 12,
}  # fmt: skip
HELD_OUT = {
    "eval/score": [0.0, 0.4, 0.8],
    "eval/distinct_2": [0.9, 0.9, 0.9],
    "eval/perplexity_ref": [20.0, 21.0, 22.0],
}


def ppo(held_out: dict[str, list[float]] | None = None, **changed: list[float]) -> pd.DataFrame:
    """Twelve sound updates and three held-out measurements, as the reader returns them, with some columns changed."""
    renamed = {name.replace("__", "/"): values for name, values in changed.items()}
    updates = pd.DataFrame({"step": STEPS} | SOUND | renamed)
    return pd.concat([updates, pd.DataFrame({"step": [0, 6, 12]} | (held_out or HELD_OUT))], ignore_index=True)


def only(stage: str, metrics: pd.DataFrame, config: dict[str, Any] | None = None) -> Finding:
    (found,) = examine(stage, metrics, config or {})
    return found


def test_a_sound_run_is_left_alone_and_what_was_looked_at_is_named():
    assert examine("ppo", ppo(), {}) == []
    assert {"drift", "over-optimisation", "the critic"} <= set(looked_at("ppo"))
    assert examine("ppo", pd.DataFrame({"step": []}), {}) == []
    assert examine("sft", pd.DataFrame({"step": [1, 2], "train/loss": [2.0, 1.0], "optim/lr": [1e-3, 1e-3]}), {}) == []


def test_drift_is_held_against_the_runs_own_budget_or_the_healthy_range():
    assert only("ppo", ppo(), {"ppo": {"guards": {"kl_budget": 5}}}).evidence == (
        "KL was 6.00 nats per response at step 12, above 5, the budget of guards.kl_budget; the first time at step 11."
    )
    far = only("ppo", ppo(objective__kl=[float(n) for n in STEPS]))
    assert "12.00 nats per response at step 12, above 10" in far.evidence and "ppo.kl_coef" in far.advice
    assert examine("ppo", ppo(), {"ppo": {"guards": {"kl_budget": None}}}) == []


@pytest.mark.parametrize(
    ("changed", "title", "evidence"),
    [
        ({"policy__ratio": [1.0] * 9 + [1.2] * 3}, "mean probability ratio", "Outside 0.9 … 1.1 since step 10, last 1.20."),
        ({"policy__clipfrac": [0.1, *[0.4] * 11]}, "clipped", "Outside 0.0 … 0.3 since step 2, last 0.40."),
        ({"loss__value": [0.5] * 9 + [4.0, 5.0, 6.0]}, "value loss explodes", "5 times its median before (0.50), last 6.00."),
        ({"val__explained_variance": [0.1] * 8 + [-0.5] * 4}, "critic", "below 0 since step 9, last −0.50"),
        ({"tokens__eos_frac": [0.9] * 4 + [0.2] * 8}, "never end", "Since step 5 fewer than half", ),
        ({"tokens__response_length": [30 + 2 * n for n in STEPS]}, "grow longer", "34 tokens on average in the first quarter of"),
        ({"tokens__response_length": [60 - 3 * n for n in STEPS]}, "grow shorter", "(rank correlation with the step −1.00)"),
        ({"loss__total": [0.1] * 7 + [math.nan] * 5}, "not a number", "From step 8 on, 5 updates had no finite loss."),
    ],
)  # fmt: skip
def test_a_level_that_lasts_is_found_with_its_figures(changed: dict[str, list[float]], title: str, evidence: str):
    found = only("ppo", ppo(**changed))
    assert title in found.title and evidence in found.evidence and found.advice


@pytest.mark.parametrize(
    ("name", "odd"),
    [("policy__ratio", 50.0), ("policy__clipfrac", 0.9), ("tokens__eos_frac", 0.1), ("loss__value", 50.0)],
)
def test_two_odd_batches_are_no_finding(name: str, odd: float):
    sound = SOUND[name.replace("__", "/")]
    assert examine("ppo", ppo(**{name: [*sound[:10], odd, odd]}), {}) == []
    assert examine("ppo", ppo(**{name: [*sound[:8], odd, odd, odd, sound[0]]}), {}) == []  # and what is over is over
    assert len(examine("ppo", ppo(**{name: [*sound[:9], odd, odd, odd]}), {})) == 1


def test_little_is_said_of_a_few_updates():
    """A critic begins below a constant, and four batches show no trend in length."""
    young = ppo(val__explained_variance=[-0.2] * 12, tokens__response_length=[30 + 4 * n for n in STEPS])
    assert examine("ppo", young.iloc[:4], {}) == []
    assert len(examine("ppo", young, {})) == 2


def test_an_alarm_is_found_with_what_it_went_off_for():
    fell = ppo(policy__entropy=[2.0] * 6 + [0.4] * 6, alarm__entropy=[0.0] * 6 + [1.0] * 6)
    assert only("ppo", fell).evidence == (
        "Alarm at step 7: entropy fell far below that of the first batch. It began at 2.00 and was 0.40 then."
    )
    grown = ppo(tokens__response_length=[10 * n for n in STEPS], alarm__length=[0.0] * 3 + [1.0] * 9)
    assert only("ppo", grown).title == "Answers have become much shorter or longer"  # and not once more as a trend


@pytest.mark.parametrize(
    ("beside", "config", "said"),
    [
        ({"eval/distinct_2": [0.9, 0.8, 0.7]}, {}, "different bigrams 0.90 → 0.70"),
        ({"eval/perplexity_ref": [20.0, 30.0, 40.0]}, {}, "perplexity under the reference 20.00 → 40.00"),
        ({"eval/audit_tox": [0.1, 0.1, 0.2]}, {"kind": "toxicity", "name": "tox"}, "tox 0.10 → 0.20"),
        ({"eval/audit_gold": [0.5, 0.6, 0.2]}, {"kind": "learned", "name": "gold"}, "gold 0.50 → 0.20"),
        ({"eval/audit_tox": [0.2, 0.1, 0.1]}, {"kind": "toxicity", "name": "tox"}, ""),
        ({"eval/audit_gold": [0.2, 0.6, 0.5]}, {"kind": "learned", "name": "gold"}, ""),
        ({"eval/audit_who": [0.5, 0.6, 0.2]}, {}, ""),  # nobody knows which way is better
    ],
)
def test_a_score_that_rises_while_others_give_way(beside: dict[str, list[float]], config: dict[str, str], said: str):
    found = examine("ppo", ppo(HELD_OUT | beside), {"ppo": {"audits": [config] if config else []}})
    assert [one.evidence for one in found] == ([f"Held-out score 0.00 → 0.80; meanwhile {said}."] if said else [])
    if said:
        assert (
            examine("ppo", ppo(HELD_OUT | beside | {"eval/score": [0.0, 0.3, 0.1]}), {"ppo": {"audits": [config]}})
            == []
        )


def test_a_score_that_never_rose():
    assert "at best −0.10 in 2 measurements" in only("ppo", ppo({"eval/score": [0.0, -0.2, -0.1]})).evidence


def test_supervised_stages_overfit_and_reward_models_guess():
    rising = pd.DataFrame({"step": [0, 10, 20, 30], "eval/loss": [0.7, 0.5, 0.55, 0.6]})
    assert only("sft", rising).evidence == "It was lowest at step 10, 0.500, and is 0.600 at step 30."
    assert examine("pretrain", rising.iloc[:2], {}) == []
    assert examine("sft", pd.DataFrame({"step": [0, 10, 20], "eval/loss": [0.7, 0.5, 0.505]}), {}) == []  # 1% is noise
    guessing = pd.DataFrame({"step": [0, 10], "eval/accuracy": [0.48, 0.53], "eval/calibration_error": [0.02, 0.04]})
    assert "53.0% of held-out pairs" in only("reward", guessing).evidence
    sure = pd.DataFrame({"step": [0, 10], "eval/accuracy": [0.5, 0.7], "eval/calibration_error": [0.02, 0.14]})
    assert only("reward", sure).evidence == "Calibration error 0.140 at step 10, above 0.1."


def test_a_step_that_was_logged_again_counts_once():
    again = pd.concat([ppo(), ppo().iloc[[11]].assign(**{"objective/kl": 30.0})])
    assert "30.00 nats per response at step 12" in only("ppo", again).evidence
