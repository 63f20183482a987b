"""Pauses: the step under way is finished and kept, none is done twice, and the rest is the uninterrupted run to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from rlhf_core import stopping
from rlhf_core.config import GuardsConfig, OptimConfig
from rlhf_core.stopping import Paused
from rlhf_core.training import ppo as ppo_module
from rlhf_core.training import supervised
from rlhf_core.training.heldout import HeldOut
from rlhf_core.training.optim import step_optimizer
from rlhf_core.training.ppo import train_ppo
from rlhf_core.training.reward import member_stage, train_members
from rlhf_core.training.stage import Stage
from tests.engine import LORA, Pauser, episodes, make_stage, ppo_config, rankings, reward_config, tiny_policy, vowels
from tests.unit.training.test_guards import BEST
from tests.unit.training.test_guards import train as guarded
from tests.unit.training.test_pretrain import train as pretrain
from tests.unit.training.test_resume import logs, ppo, reward, same_weights, sft

Train = Callable[..., tuple[Stage, torch.nn.Module]]
SELDOM = 50
"""Steps between two checkpoints: more than there are, so that all are a pause's or the last."""


class Steps:
    """Counts the steps of optimisers, and asks `stop` for a pause in the midst of each."""

    def __init__(self) -> None:
        self.done = 0
        self.stop: stopping.Stop | None = None

    def __call__(self, *args: Any) -> Tensor:
        self.done += 1
        if self.stop and not self.stop.asked:
            self.stop.ask()
        return step_optimizer(*args)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    counted = Steps()
    for module in (ppo_module, supervised):
        monkeypatch.setattr(module, "step_optimizer", counted)
    return counted


def pause_in_first_step(steps: Steps, train: Callable[..., object], path: Path) -> None:
    """Begin or go on, and be asked to pause in the first step of this attempt."""
    pauser = Pauser()
    steps.stop = pauser.stop
    with pytest.raises(Paused):
        train(path, pauser)
    steps.stop = None


def checkpoints(path: Path) -> list[int]:
    return sorted(int(folder.name.removeprefix("step-")) for folder in (path / "checkpoints").glob("step-*"))


@pytest.mark.parametrize(
    ("name", "train", "total"),
    [
        ("sft", sft, 5),
        ("reward", reward, 6),
        ("pretrain", partial(pretrain, checkpoint_every=SELDOM), 12),
        ("ppo", partial(ppo, checkpoint_every=SELDOM), 5),
        ("ppo", partial(ppo, checkpoint_every=SELDOM, value_network="separate", lora=None), 5),
    ],
)
def test_a_pause_in_every_step_changes_nothing_and_does_nothing_twice(
    name: str, train: Train, total: int, tmp_path: Path, steps: Steps
) -> None:
    """Each attempt does the one step in which it is asked; what is written stays as it is, times and all."""
    stage, model = train(tmp_path / "whole", None)
    once, steps.done, rows = steps.done, 0, tmp_path / "cut" / name / "metrics.jsonl"
    before = b""
    for step in range(1, total + 1):
        pause_in_first_step(steps, train, tmp_path / "cut")
        assert steps.done == once * step / total
        assert checkpoints(rows.parent)[-1] == step
        assert rows.read_bytes().startswith(before) and len(rows.read_bytes()) > len(before)
        before = rows.read_bytes()
    resumed, resumed_model = train(tmp_path / "cut", None)
    assert steps.done == once and rows.read_bytes() == before
    assert logs(resumed) == logs(stage) and same_weights(resumed_model, model)


def test_an_ensemble_is_paused_within_a_member(tmp_path: Path, steps: Steps) -> None:
    """Two members of two steps each; the second one begins once the first is whole."""
    config = reward_config(members=2, epochs=1, eval_every=SELDOM, lora=LORA, optim=OptimConfig(lr=1e-3))

    def train(path: Path, report: Pauser | None) -> list[Any]:
        stage = make_stage(path, "reward", report=report)
        models = train_members(config, rankings(4), rankings(2), stage)
        return [*(logs(member_stage(stage, n, 2)) for n in (0, 1)), *(same.state_dict() for same in models)]

    whole, steps.done = train(tmp_path / "whole", None), 0
    for done in range(1, 5):
        pause_in_first_step(steps, train, tmp_path / "cut")
        assert steps.done == done
    resumed = train(tmp_path / "cut", None)
    assert steps.done == 4 and resumed[:2] == whole[:2]
    for mine, theirs in zip(resumed[2:], whole[2:], strict=True):
        assert all(torch.equal(mine[name], weight) for name, weight in theirs.items())


def test_a_pause_in_mid_rollout_ends_with_its_iteration(tmp_path: Path) -> None:
    """Asked for while the third batch is scored; the policy is sampled for a batch once, whatever happens."""
    pauser, scored = Pauser(), []

    def scorer(prompts: Sequence[str], responses: Sequence[str]) -> Tensor:
        scored.append(tuple(responses))
        if len(scored) == 3:
            pauser.stop.ask()
        return vowels(prompts, responses)

    def train(report: Pauser | None) -> Stage:
        policy, stage = tiny_policy(), make_stage(tmp_path, report=report)
        config = ppo_config(iterations=4, eval_every=SELDOM, checkpoint_every=SELDOM)
        rows = episodes(policy)
        train_ppo(policy, scorer, rows[:4], HeldOut(rows[4:], vowels, config, stage), config, stage)
        return stage

    with pytest.raises(Paused):
        train(pauser)
    assert len(scored) == 3 and checkpoints(tmp_path / "ppo") == [3]
    stage = train(None)
    assert len(scored) == 4
    assert [row["step"] for row in logs(stage)[0] if "objective/kl" in row] == [1, 2, 3, 4]


def test_a_wish_after_the_checkpoint_of_the_last_step_is_still_a_pause(tmp_path: Path) -> None:
    """Told of step 5 of 5, for which it is too late to wait: all is kept, and the run stops before it does anything else."""

    class Late(Pauser):
        def __call__(self, done: int, total: int, message: str) -> None:
            if done == total:
                self.stop.ask()

    with pytest.raises(Paused):
        sft(tmp_path, Late())
    before = (tmp_path / "sft" / "metrics.jsonl").read_bytes()
    sft(tmp_path, None)
    assert (tmp_path / "sft" / "metrics.jsonl").read_bytes() == before


def test_before_the_first_step_there_is_nothing_to_wait_for(tmp_path: Path) -> None:
    """While the untrained model is measured a run stops at once."""
    pauser = Pauser()

    def scorer(prompts: Sequence[str], responses: Sequence[str]) -> Tensor:
        pauser.stop.ask()
        return vowels(prompts, responses)

    policy, stage = tiny_policy(), make_stage(tmp_path, report=pauser)
    config, rows = ppo_config(), episodes(policy)
    with pytest.raises(KeyboardInterrupt) as caught:
        train_ppo(policy, vowels, rows[:4], HeldOut(rows[4:], scorer, config, stage), config, stage)
    assert not isinstance(caught.value, Paused) and checkpoints(tmp_path / "ppo") == []


@pytest.mark.parametrize(
    ("guards", "attempts", "kept", "there"),
    [
        (BEST, 5, 1, ["1", "4", "5"]),  # the best held-out score is state 1's
        (GuardsConfig(kl_budget=5.0), 4, 2, ["2", "3", "4"]),  # batch 4 condemns the state that wrote it, 3
    ],
)
def test_a_pause_takes_no_state_away_that_guards_go_back_to(
    guards: GuardsConfig,
    attempts: int,
    kept: int,
    there: list[str],
    tmp_path: Path,
    steps: Steps,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The checkpoints of pauses are among the newest two that are kept; what may become the model is spared."""
    plain, far = ppo_module.iterate, (0.0, 1.0, 2.0, 9.0, 9.0)

    def iterate(*args: Any) -> dict[str, float]:
        return plain(*args) | {"objective/kl": far[args[3]]}

    monkeypatch.setattr(ppo_module, "iterate", iterate)
    scores = (0.0, 2.0, 1.0, 1.9, 1.5, 1.0)

    def train(path: Path, report: Pauser | None) -> tuple[Stage, torch.nn.Module, dict[str, Any]]:
        return guarded(path, guards, scores, report, eval_every=1, checkpoint_every=SELDOM)

    stage, model, outcome = train(tmp_path / "whole", None)
    assert outcome["kept"] == kept
    for _ in range(attempts):
        pause_in_first_step(steps, train, tmp_path / "cut")
    resumed, resumed_model, resumed_outcome = train(tmp_path / "cut", None)
    assert resumed_outcome == outcome
    assert logs(resumed) == logs(stage) and same_weights(resumed_model, model)
    assert [str(step) for step in checkpoints(resumed.path)] == there
