"""The loop that pretraining, fine-tuning and reward models share: when it looks up, what it keeps, when it has had enough."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import nn

from rlhf_core.config import OptimConfig
from rlhf_core.training.supervised import Best, Schedule, fit, perplexity
from tests.engine import make_stage


def test_patience_counts_evaluations_since_the_best_and_a_tie_is_no_improvement():
    module = nn.Linear(1, 1)
    best, seen = Best(math.inf, []), []
    for loss in (3.0, 4.0, 2.0, 2.0, 2.5):
        best.judge(loss, module)
        seen.append((best.loss, best.waited))
    assert seen == [(3.0, 0), (3.0, 1), (2.0, 0), (2.0, 1), (2.0, 2)]


def test_the_parameters_kept_are_those_of_the_lowest_loss():
    module, best = nn.Linear(1, 1, bias=False), Best(math.inf, [])
    for value, loss in ((1.0, 0.5), (2.0, 0.2), (3.0, 0.9)):
        with torch.no_grad():
            module.weight.fill_(value)
        best.judge(loss, module)
    assert best.parameters[0]["weight"].item() == 2.0


def test_when_a_schedule_evaluates_saves_and_gives_up():
    plain = Schedule(total=7, eval_every=3)
    assert [step for step in range(1, 8) if plain.evaluates(step)] == [3, 6, 7]
    assert [step for step in range(1, 8) if plain.saves(step)] == [3, 6, 7]
    assert not plain.exhausted(1000)
    own = Schedule(total=7, eval_every=3, checkpoint_every=2, patience=2)
    assert [step for step in range(1, 8) if own.saves(step)] == [2, 4, 6, 7]
    assert [own.exhausted(waited) for waited in (1, 2, 3)] == [False, True, True]


def test_no_unit_is_dropped_while_it_learns(tmp_path: Path):
    """Claim 5: two passes of a model that asks for dropout agree bit for bit, in every step of training."""
    model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5)).eval()
    inputs, seen = torch.ones(4, 8), []

    def learn(step: int) -> dict[str, float]:
        first, second = model(inputs), model(inputs)
        seen.append(torch.equal(first, second))
        first.sum().backward()
        return {"train/loss": 0.0}

    stage = make_stage(tmp_path, "sft")
    fit(model, learn, lambda: {"eval/loss": 0.0}, Schedule(total=3, eval_every=1), OptimConfig(), stage, "x")
    assert seen == [True] * 3


def test_perplexity_is_the_exponential_and_stays_finite():
    assert perplexity(math.log(259)) == math.exp(math.log(259))
    assert perplexity(1e6) == math.exp(50.0)
