"""Guards of a PPO run (claim 28): each on a made-up sequence of metrics, then on real runs of the tiny policy."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from rlhf_core.config import GuardsConfig, PPOConfig
from rlhf_core.errors import CheckpointError
from rlhf_core.models.policy import Policy
from rlhf_core.runs.outcome import ALARMS
from rlhf_core.training import ppo
from rlhf_core.training.checkpoint import trainable_state
from rlhf_core.training.guards import GuardState, conclude, model_step, must_save, watch_batch, watch_score
from rlhf_core.training.heldout import HeldOut
from rlhf_core.training.stage import Stage
from tests.engine import Stop, episodes, logged, make_stage, ppo_config, stop_at, tiny_policy, vowels

SOUND = {"objective/kl": 0.0, "policy/entropy": 2.0, "tokens/response_length": 10.0, "tokens/distinct_2": 0.8}
KL, LENGTH = "objective/kl", "tokens/response_length"


def batches(config: GuardsConfig, *changes: Mapping[str, float]) -> tuple[GuardState, list[list[str]]]:
    """Watch a sound first batch, then one a change; return the last state and the alarms of each batch by short name."""
    state, heard = GuardState(), []
    for change in ({}, *changes):
        state, alarms = watch_batch(state, {**SOUND, **change}, config)
        assert alarms.keys() == ALARMS.keys() and set(alarms.values()) <= {0.0, 1.0}
        heard.append([name.removeprefix("alarm/") for name, on in alarms.items() if on])
    return state, heard


def scores(config: GuardsConfig, *values: float) -> GuardState:
    """Watch held-out scores of states 0, 1, 2 …"""
    state = GuardState()
    for step, value in enumerate(values):
        state = watch_score(state, step, value, config)
    return state


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("policy/entropy", 1.01, []),  # half of 2.0 is 1.0
        ("policy/entropy", 0.99, ["entropy"]),
        (LENGTH, 4.1, []),  # 0.4 and 2 times 10
        (LENGTH, 3.9, ["length"]),
        (LENGTH, 19.9, []),
        (LENGTH, 20.1, ["length"]),
        ("tokens/distinct_2", 0.61, []),  # three quarters of 0.8
        ("tokens/distinct_2", 0.59, ["diversity"]),
        ("tokens/distinct_2", math.nan, []),
        (KL, 2.9, []),
        (KL, 3.1, ["kl"]),
    ],
)
def test_each_alarm_goes_off_just_past_its_limit(name: str, change: float, expected: list[str]):
    config = GuardsConfig(entropy_floor=0.5, length_floor=0.4, length_ceiling=2.0, diversity_floor=0.75, kl_jump=3.0)
    state, heard = batches(config, {name: change})
    assert heard == [[], expected] and not state.reason


def test_collapse_is_measured_from_the_first_batch_and_a_jump_from_the_batch_before():
    """Entropy falls 2 → 1.5 → 0.9, below half of 2; KL grows 2, 4, 6 by 2 at a time, then by 4."""
    config = GuardsConfig(entropy_floor=0.5, kl_jump=3.0)
    entropies = [{"policy/entropy": value} for value in (1.5, 0.9)]
    assert batches(config, *entropies)[1] == [[], [], ["entropy"]]
    kls = [{KL: value} for value in (2.0, 4.0, 6.0, 10.0)]
    assert batches(config, *kls)[1] == [[], [], [], [], ["kl"]]


def test_an_alarm_ends_the_run_where_it_is_told_to():
    state, _ = batches(GuardsConfig(on_alarm="stop"), {LENGTH: 1.0})
    assert state.condemned and state.reason == f"alarm, {ALARMS['alarm/length']}"


def test_the_budget_is_passed_not_reached():
    config = GuardsConfig(kl_budget=4.0, kl_jump=100)
    assert not batches(config, {KL: 4.0})[0].reason
    state, _ = batches(config, {KL: 4.26})
    assert state.condemned and state.reason == "KL of 4.26 nats passed the budget of 4"


def test_patience_counts_evaluations_since_the_best_and_a_tie_is_no_improvement():
    config = GuardsConfig(patience=2)
    assert not scores(config, 0.0, 1.0, 0.5).reason
    assert not scores(config, 0.0, 1.0, 0.5, 1.1, 0.5).reason
    state = scores(config, 0.0, 1.0, 0.5, 1.0)
    assert state.reason == "held-out score no better than 1.00 (step 1) in 2 evaluations"
    assert (state.best_step, state.best_score, state.condemned) == (1, 1.0, False)


def test_the_threshold_is_reached():
    config = GuardsConfig(score_threshold=1.5)
    assert not scores(config, 0.0, 1.49).reason
    assert scores(config, 0.0, 1.5).reason == "held-out score of 1.50 reached the threshold of 1.5"


def test_a_run_that_has_ended_hears_no_more_scores():
    ended, _ = batches(GuardsConfig(kl_budget=4.0), {KL: 9.0})
    assert watch_score(ended, 2, 99.0, GuardsConfig(kl_budget=4.0)) is ended


BEST = GuardsConfig(keep_best=True)


@pytest.mark.parametrize(
    ("state", "config", "expected"),
    [
        (GuardState(best_step=2), GuardsConfig(), 6),
        (GuardState(best_step=2), BEST, 2),
        (GuardState(best_step=2), GuardsConfig(patience=3), 2),
        (
            GuardState(condemned=True),
            GuardsConfig(kl_budget=1.0),
            4,
        ),  # batch 6 condemns state 5; batch 5 passed state 4
        (GuardState(condemned=True, best_step=4), BEST, 4),
        (GuardState(condemned=True, best_step=5), BEST, 4),  # the best is the condemned one
        (GuardState(condemned=True, best_step=2), BEST, 2),
    ],
)
def test_which_state_becomes_the_model_after_six_iterations(state: GuardState, config: GuardsConfig, expected: int):
    assert model_step(state, 6, config) == expected


def test_states_that_may_become_the_model_are_saved():
    assert not must_save(GuardState(best_step=3), 3, GuardsConfig())
    assert must_save(GuardState(best_step=3), 3, BEST) and not must_save(GuardState(best_step=3), 4, BEST)
    assert must_save(GuardState(), 4, GuardsConfig(kl_budget=9.0)) and must_save(
        GuardState(), 4, GuardsConfig(on_alarm="stop")
    )
    assert must_save(GuardState(reason="over"), 4, GuardsConfig())


def test_the_outcome_names_the_measurement_of_the_model():
    """Kept as the best: its own. Gone back to: the one at the end. Otherwise the last."""
    said = conclude(GuardState(best_step=2), 6, GuardsConfig(), "all 6 iterations are done")
    assert (said.reason, said.early, said.kept, said.measured) == ("all 6 iterations are done", False, 6, 6)
    said = conclude(GuardState(best_step=2), 6, BEST, "")
    assert (said.kept, said.measured) == (2, 2)
    said = conclude(GuardState(reason="why", condemned=True), 6, GuardsConfig(kl_budget=1.0), "")
    assert (said.early, said.kept, said.measured) == (True, 4, 6)
    assert said.sentence == "Training ended at step 6: why. The model is that of step 4."


class Scripted(HeldOut):
    """Held-out measurement that really measures, and then says what a script says."""

    script: Sequence[float] = ()

    def measure(self, *arguments: Any) -> float:
        super().measure(*arguments)
        return self.script[arguments[-1]]


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[int, Any]]:
    """Let batches say what a script says by iteration; return the policy's weights by the iterations done before each."""

    def write(**script: Sequence[float]) -> dict[int, Any]:
        names, seen = {"kl": KL, "length": LENGTH}, {}
        plain = ppo.iterate

        def iterate(learner: Any, rows: Any, kl_coef: float, step: int, rate: float) -> dict[str, float]:
            (seen[step],) = trainable_state(learner.policy)
            return plain(learner, rows, kl_coef, step, rate) | {names[n]: s[step] for n, s in script.items()}

        monkeypatch.setattr(ppo, "iterate", iterate)
        return seen

    return write


def train(
    folder: Path, guards: GuardsConfig, script: Sequence[float] = (0.0,) * 9, report: Any = None, **fields: Any
) -> tuple[Stage, Policy, dict[str, Any]]:
    """Train the tiny policy for five iterations or until a guard ends it; return what was written of its end."""
    small = {"iterations": 5, "batch_size": 2, "response_length": 3, "checkpoint_every": 5, "epochs": 1}
    config: PPOConfig = ppo_config(**(small | fields), guards=guards)
    policy, stage = tiny_policy(), make_stage(folder, report=report)
    rows = episodes(policy)
    held_out = Scripted(rows[4:], vowels, config, stage)
    held_out.script = script
    ppo.train_ppo(policy, vowels, rows[:4], held_out, config, stage)
    return stage, policy, json.loads((stage.path / "outcome.json").read_text())


def equal(policy: Policy, weights: Mapping[str, torch.Tensor]) -> bool:
    (mine,) = trainable_state(policy)
    return all(torch.equal(mine[name], weights[name]) for name in weights)


def test_past_the_budget_the_last_state_within_it_is_the_model(tmp_path: Path, states: Callable[..., dict[int, Any]]):
    """Batch 4 shows state 3 past the budget; batch 3 was within it, so state 2 is kept, and measured at the end."""
    seen, said = states(kl=(0.0, 1.0, 2.0, 9.0, 9.0)), []
    stage, policy, end = train(
        tmp_path, GuardsConfig(kl_budget=5.0), report=lambda *words: said.append(words), eval_every=9
    )
    assert end == {
        "reason": "KL of 9.00 nats passed the budget of 5", "early": True, "step": 4, "kept": 2, "measured": 4,
    }  # fmt: skip
    assert equal(policy, seen[2]) and not equal(policy, seen[3])
    assert [row["step"] for row in logged(stage) if "eval/score" in row] == [0, 4]
    assert said[-1][:2] == (4, 4) and said[-1][2].startswith("Training ended at step 4: KL of 9.00 nats")


def test_what_is_measured_at_the_end_is_the_state_gone_back_to(tmp_path: Path, states: Callable[..., dict[int, Any]]):
    """State 1, kept when batch 3 condemns state 2, answers at step 3 what it answered at step 1."""
    states(kl=(0.0, 1.0, 9.0))
    stage, _, _ = train(tmp_path, GuardsConfig(kl_budget=5.0), eval_every=1)
    texts = {n: [r["text"] for r in logged(stage, "samples.jsonl") if r["step"] == n] for n in (1, 3)}
    assert texts[1] == texts[3] and texts[1]


def test_without_an_improvement_the_best_state_is_the_model(tmp_path: Path, states: Callable[..., dict[int, Any]]):
    """The best, state 1, outlives the newest two checkpoints, 3 and 4."""
    seen, script = states(), (0.0, 2.0, 1.0, 1.9, 2.0, 9.0)
    stage, policy, end = train(tmp_path, GuardsConfig(patience=3), script, checkpoint_every=1)
    assert (end["step"], end["kept"], end["measured"], end["early"]) == (4, 1, 1, True)
    assert equal(policy, seen[1]) and not equal(policy, seen[3])
    assert sorted(p.name[-1] for p in stage.directory.checkpoints.iterdir()) == ["1", "3", "4"]


def test_a_run_to_its_end_can_keep_its_best_state_too(tmp_path: Path, states: Callable[..., dict[int, Any]]):
    seen = states()
    _, policy, end = train(tmp_path, BEST, script=(3.0, 2.0, 2.5, 0.0, 0.0, 0.0))
    assert end == {"reason": "all 5 iterations are done", "early": False, "step": 5, "kept": 0, "measured": 0}
    assert equal(policy, seen[0]) and equal(policy, trainable_state(tiny_policy())[0])


def test_a_run_ends_at_its_score(tmp_path: Path, states: Callable[..., dict[int, Any]]):
    seen = states()
    _, policy, end = train(tmp_path, GuardsConfig(score_threshold=1.0), script=(0.0, 0.5, 1.2))
    assert (end["step"], end["kept"]) == (2, 2) and not equal(policy, seen[1])


def test_an_alarm_only_warns_unless_told_to_stop(tmp_path: Path, states: Callable[..., dict[int, Any]]):
    """The responses of batch 3 are a tenth of those of batch 1."""
    seen = states(length=(10.0, 9.0, 1.0, 9.0, 9.0))
    stage, _, end = train(tmp_path / "warn", GuardsConfig())
    assert [row["alarm/length"] for row in logged(stage) if "alarm/length" in row] == [0, 0, 1, 0, 0]
    assert (end["early"], end["step"], end["kept"]) == (False, 5, 5)
    _, policy, end = train(tmp_path / "stop", GuardsConfig(on_alarm="stop"))
    assert (end["early"], end["step"], end["kept"]) == (True, 3, 1)
    assert equal(policy, seen[1])


def test_the_limit_on_steps_is_named(tmp_path: Path):
    _, _, end = train(tmp_path, GuardsConfig(), max_steps=1)
    assert (end["reason"], end["early"], end["step"]) == ("max_steps is reached", False, 1)
    assert PPOConfig().max_steps == 20_000


@pytest.mark.parametrize(
    ("guards", "kl"),
    [
        (GuardsConfig(patience=2), (0.0,) * 5),
        (GuardsConfig(kl_budget=5.0, keep_best=True), (0.0, 1.0, 1.0, 9.0, 9.0)),
    ],
)
@pytest.mark.parametrize("stops", [[1, 3], [2], [4]])
def test_guards_remember_over_a_kill(
    guards: GuardsConfig, kl: Sequence[float], stops: list[int], tmp_path: Path, states: Callable[..., dict[int, Any]]
):
    """Claim 29: the same rows, end and weights, whether stopped before, at or after the best state, or at the end."""
    states(kl=kl)
    script, rare = (0.0, 1.0, 2.0, 1.5, 1.6, 1.7), {"checkpoint_every": 2}
    whole, policy, end = train(tmp_path / "whole", guards, script, **rare)
    assert end["early"] and end["kept"] == 2 and end["step"] == 4
    for step in stops:
        with pytest.raises(Stop):
            train(tmp_path / "cut", guards, script, stop_at(step), **rare)
    resumed, mine, resumed_end = train(tmp_path / "cut", guards, script, **rare)
    assert resumed_end == end and equal(mine, trainable_state(policy)[0])
    for file in ("metrics.jsonl", "samples.jsonl"):
        assert logged(resumed, file) == logged(whole, file)


def test_a_lost_best_state_is_an_error_that_says_so(tmp_path: Path):
    with pytest.raises(Stop):
        train(tmp_path, BEST, (0.0, 2.0, 1.0, 1.0, 1.0, 1.0), stop_at(3), checkpoint_every=1)
    (tmp_path / "ppo" / "checkpoints" / "step-000001" / "state.pt").unlink()
    with pytest.raises(
        CheckpointError, match=r"should become the model is not there any more \(found 1\).*run it again"
    ):
        train(tmp_path, BEST, (0.0, 2.0, 1.0, 1.0, 1.0, 1.0), checkpoint_every=1)
