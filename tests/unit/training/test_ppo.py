"""PPO: what one iteration computes, what it logs, and what it must leave alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rlhf_core.config import LoraConfig, OptimConfig
from rlhf_core.models.sampling import SamplingConfig
from rlhf_core.models.scorers import Component, Mixture
from rlhf_core.runs.metrics import REGISTRY, find_metric
from rlhf_core.training.heldout import HeldOut
from rlhf_core.training.optim import learning_rate
from rlhf_core.training.ppo import FIRST_RATIO, episodes_at, iterate, prepare, train_ppo
from rlhf_core.training.rollout import Rollout, sample
from tests.engine import LORA, episodes, learner_on, logged, make_stage, ppo_config, tiny_policy, vowels


def made(*, scores: list[float], logr: list[list[float]], values: list[list[float]], finished: list[bool]) -> Rollout:
    """A rollout of given numbers: `logr` is log π − log π_ref of each token; rows of one length."""
    kl = torch.tensor(logr)
    shape = kl.shape
    return Rollout(
        ids=torch.zeros(shape, dtype=torch.long), mask=torch.ones(shape, dtype=torch.bool),
        counts=torch.ones(shape, dtype=torch.bool),
        responses=torch.zeros(shape, dtype=torch.long), response_mask=torch.ones(shape, dtype=torch.bool),
        finished=torch.tensor(finished), scores=torch.tensor(scores), logprobs=kl - 1.0, reference=torch.full(shape, -1.0),
        values=torch.tensor(values), entropy=torch.full(shape, 0.5),
    )  # fmt: skip


TWO = {
    "scores": [2.0, 1.0],
    "logr": [[0.1, 0.3], [-0.2, 0.0]],
    "values": [[0.5, 1.0], [0.0, 0.0]],
    "finished": [True, False],
}


def test_the_objective_of_a_batch_by_hand():
    """Claims 16, 22 and 27, β = 0.5, penalty 1: scores 2 and 1 − 1 = 0; ΣKL 0.4 and −0.2; rewards 2 − 0.2 and 0 + 0.1."""
    _, metrics = prepare(made(**TWO), ppo_config(missing_eos_penalty=1.0), 0.5)
    expected = {
        "objective/scores": 1.0,
        "objective/kl": 0.1,
        "objective/non_score_reward": -0.05,
        "objective/rlhf_reward": 0.95,
        "objective/kl_coef": 0.5,
        "objective/entropy": (2 - 0.4 + 2 + 0.2) / 2,  # −Σ log π: 0.9 + 0.7 and 1.2 + 1.0
        "policy/entropy": 0.5,
        "tokens/response_length": 2.0,
        "tokens/eos_frac": 0.5,
        "tokens/distinct_2": 0.5,  # two bigrams, both of token 0
    }
    assert {name: metrics[name] for name in expected} == pytest.approx(expected, abs=1e-6)


def test_returns_come_from_advantages_before_whitening():
    """Claim 18, γ = λ = 1, β = 0.5: row 1 is rewarded −0.05, −0.15 + 2; row 2 0.1, 0. Returns are rewards to go."""
    config = ppo_config(gamma=1.0, lam=1.0, missing_eos_penalty=1.0)
    targets, metrics = prepare(made(**TWO), config, 0.5)
    returns = torch.tensor([[1.8, 1.85], [0.1, 0.0]])
    torch.testing.assert_close(targets.returns, returns)
    raw = returns - torch.tensor(TWO["values"])
    torch.testing.assert_close(targets.advantages, (raw - raw.mean()) / raw.std(unbiased=False), atol=1e-4, rtol=1e-4)
    assert metrics["returns/mean"] == pytest.approx(3.75 / 4)
    assert metrics["val/error"] == pytest.approx(raw.square().mean().item())
    assert metrics["val/explained_variance"] == pytest.approx(
        1 - raw.var(unbiased=False).item() / returns.var(unbiased=False).item(), abs=1e-5
    )


def test_whitened_rewards_keep_their_mean():
    """Claim 19: with γ = λ = 0 a token's return is its reward, so the returns show them."""
    config = ppo_config(gamma=1e-6, lam=0.0, whiten_rewards=True)
    targets, _ = prepare(made(**TWO | {"values": [[0.0, 0.0], [0.0, 0.0]]}), config, 0.5)
    # rewards −0.05, 1.85, 0.1, 0: mean 0.475
    assert targets.returns.mean().item() == pytest.approx(0.475, abs=1e-4)
    assert targets.returns.var(unbiased=False).item() == pytest.approx(1.0, abs=1e-4)


def test_an_unfinished_response_may_score_the_penalty_alone():
    """Claim 22, `replace`: 2 for the finished response, −1.5 for the other whatever it scored."""
    config = ppo_config(missing_eos_penalty=1.5, missing_eos_mode="replace")
    assert prepare(made(**TWO), config, 0.0)[1]["objective/scores"] == (2.0 - 1.5) / 2


def test_equal_returns_have_no_explained_variance():
    """Claim 27: NaN, which is written as null, not as a number."""
    rollout = made(scores=[1.0], logr=[[0.0, 0.0]], values=[[0.0, 0.0]], finished=[True])
    assert math.isnan(prepare(rollout, ppo_config(gamma=1.0, lam=1.0), 0.0)[1]["val/explained_variance"])


@pytest.mark.parametrize("lora", [LORA, None])
@pytest.mark.parametrize("value_network", ["shared", "separate"])
def test_one_iteration_starts_at_ratio_one_and_kl_zero_and_moves_everything_that_learns(
    lora: LoraConfig | None, value_network: str, tmp_path: Path
):
    """Claims 3, 16, 25 and 26."""
    policy, config = tiny_policy(lora), ppo_config(value_network=value_network, epochs=2, target_kl=None)
    learner = learner_on(policy, make_stage(tmp_path), config)
    weights = {n: p.detach().clone() for n, p in [*policy.trainable().items(), *learner.value_model.named_parameters()]}
    metrics = iterate(learner, episodes(policy)[:4], 0.1, 0, 1e-3)
    assert metrics["objective/kl"] == 0.0
    assert metrics[FIRST_RATIO] < 1e-4
    assert metrics["optim/grad_norm"] > 0 and metrics["policy/entropy"] > 0
    now = dict([*policy.trainable().items(), *learner.value_model.named_parameters()])
    learning = [n for n, p in now.items() if p.requires_grad]
    moved = [n for n in learning if not torch.equal(now[n], weights[n])]
    assert any("lora_B" in n or "embed" in n for n in moved) and "head.weight" in moved
    assert any(n.startswith("lm.") and n in dict(learner.value_model.named_parameters()) for n in moved) == (
        value_network == "separate"
    )


@pytest.mark.parametrize("value_network", ["shared", "separate"])
def test_the_update_sees_the_policy_that_sampled_at_any_temperature_and_without_dropout(
    value_network: str, tmp_path: Path
):
    """Claims 3 and 5: one T for rollout, reference and update, and no unit dropped; else the first ratio is not 1."""
    config = ppo_config(temperature=0.3, value_network=value_network)
    learner = learner_on(tiny_policy(), make_stage(tmp_path), config)
    for module in (m for part in (learner.policy, learner.value_model) for m in part.modules()):
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.5
    metrics = iterate(learner, episodes(learner.policy)[:4], 0.1, 0, 1e-3)
    assert metrics[FIRST_RATIO] < 1e-4 and metrics["objective/kl"] == 0.0


def test_at_a_price_of_zero_an_iteration_never_runs_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Claim 23."""
    learner = learner_on(tiny_policy(), make_stage(tmp_path), ppo_config(kl_coef=0.0))
    monkeypatch.setattr(learner.policy, "reference", lambda: pytest.fail("the reference was run"))
    metrics = iterate(learner, episodes(learner.policy)[:4], 0.0, 0, 1e-3)
    assert metrics["objective/non_score_reward"] == 0.0
    assert math.isnan(metrics["objective/kl"])  # nobody measured it


def test_every_metric_of_an_iteration_is_registered_and_in_range(tmp_path: Path):
    """Claim 27: ranges and the identity of the rewards, on three real iterations."""
    policy, stage, config = tiny_policy(), make_stage(tmp_path), ppo_config(kl_coef=0.2)
    rows = episodes(policy)
    train_ppo(policy, vowels, rows[:4], HeldOut(rows[4:], vowels, config, stage), config, stage)
    for row in logged(stage):
        for name, value in row.items():
            if name != "step" and value is not None:
                assert REGISTRY[name].low - 1e-6 <= value <= REGISTRY[name].high + 1e-6, (name, value)
    steps = [row for row in logged(stage) if "objective/kl" in row]
    assert [row["progress/episodes"] for row in steps] == [4, 8, 12]
    assert steps[0]["objective/kl"] == 0.0 and steps[2]["objective/kl"] != 0.0
    for row in steps:
        reward = row["objective/scores"] + row["objective/non_score_reward"]
        assert row["objective/rlhf_reward"] == pytest.approx(reward, abs=1e-5)
        assert row["objective/non_score_reward"] == pytest.approx(-0.2 * row["objective/kl"], abs=1e-5)
        assert row["loss/total"] == pytest.approx(row["loss/policy"] + config.value_coef * row["loss/value"], abs=1e-5)
    assert [row["optim/lr"] for row in steps] == [learning_rate(n, 3, config.optim) for n in range(3)]


def test_prompts_are_used_up_before_any_comes_again(tmp_path: Path):
    """Claim 24: six prompts in iterations of four; every six in a row are all of them."""
    policy, stage = tiny_policy(), make_stage(tmp_path)
    rows = episodes(policy)
    order = [e.id for step in range(6) for e in episodes_at(rows, step, 4, stage)]
    thirds = [order[n : n + 6] for n in range(0, 24, 6)]
    assert all(sorted(part) == [e.id for e in rows] for part in thirds)
    assert len({tuple(part) for part in thirds}) > 1


def test_the_price_of_kl_adapts_between_iterations(tmp_path: Path):
    """Claim 23: at step 0 the KL is 0, clipped at −20%, times n/horizon = 4/8: β becomes 0.9·β."""
    policy, stage = tiny_policy(), make_stage(tmp_path)
    config = ppo_config(iterations=2, kl_coef=0.5, kl_target=3.0, kl_horizon=8)
    rows = episodes(policy)
    train_ppo(policy, vowels, rows[:4], HeldOut(rows[4:], vowels, config, stage), config, stage)
    betas = [row["objective/kl_coef"] for row in logged(stage) if "objective/kl_coef" in row]
    assert betas == pytest.approx([0.5, 0.45])


def test_training_stops_at_max_steps(tmp_path: Path):
    """Claim 28."""
    policy, stage, config = tiny_policy(), make_stage(tmp_path), ppo_config(iterations=5, max_steps=2)
    rows = episodes(policy)
    train_ppo(policy, vowels, rows[:4], HeldOut(rows[4:], vowels, config, stage), config, stage)
    assert max(row["step"] for row in logged(stage)) == 2


def test_two_runs_of_one_seed_are_one_run(tmp_path: Path):
    """Claim 6: metrics and completions to the last bit; another seed differs, in the first held-out answers already."""
    logs = []
    for n, seed in enumerate((0, 0, 1)):
        policy, stage, config = tiny_policy(), make_stage(tmp_path / str(n), seed=seed), ppo_config(iterations=2)
        rows = episodes(policy)
        train_ppo(policy, vowels, rows[:4], HeldOut(rows[4:], vowels, config, stage), config, stage)
        logs.append((logged(stage), logged(stage, "samples.jsonl")))
    assert logs[0] == logs[1] and logs[0] != logs[2]
    assert logs[0][1][:2] != logs[2][1][:2]


def test_the_parts_of_a_mixture_are_logged_and_only_their_weighted_sum_is_optimised(tmp_path: Path):
    """Claim 15: the identity objective/scores = Σ weight·part, without a penalty for eos; registered, each by its family."""
    mixture = Mixture(
        (Component("vowels", 2.0, vowels), Component("letters", -0.5, letters), Component("audit", 0.0, letters))
    )
    config = ppo_config(missing_eos_penalty=0.0)
    rows = []
    for n, scorer in enumerate((mixture, lambda p, r: 2 * vowels(p, r) - 0.5 * letters(p, r))):
        learner = replace(learner_on(tiny_policy(), make_stage(tmp_path / str(n)), config), scorer=scorer)
        rows.append(iterate(learner, episodes(learner.policy)[:4], 0.1, 0, 1e-3))
    mixed, plain = rows
    part = {name: mixed[f"objective/score_{name}"] for name in ("vowels", "letters", "audit")}
    assert mixed["objective/scores"] == pytest.approx(2 * part["vowels"] - 0.5 * part["letters"], abs=1e-5)
    assert part["audit"] == part["letters"] != 0.0
    assert {name: mixed[name] for name in plain if "time/" not in name} == pytest.approx(
        {name: value for name, value in plain.items() if "time/" not in name}, nan_ok=True
    )
    assert {find_metric(name).name for name in mixed.keys() - plain.keys()} == {"objective/score_*"}


def letters(prompts: Sequence[str], responses: Sequence[str]) -> torch.Tensor:
    """Score a response by the letters in it: one byte in five is one, so there is something to climb."""
    return torch.tensor([float(sum(c.isascii() and c.isalpha() for c in text)) for text in responses])


@pytest.mark.slow
def test_ppo_raises_the_reward_it_is_given(tmp_path: Path):
    """An untrained policy writes 8·52/259 = 1.6 letters in 8 tokens; a few iterations make it four or more."""
    policy, stage = tiny_policy(None), make_stage(tmp_path)
    config = ppo_config(
        iterations=12, batch_size=16, minibatch_size=8, micro_batch_size=8, kl_coef=0.0, response_length=8, eval_every=12,
        checkpoint_every=12, target_kl=None, missing_eos_penalty=0.0, optim=OptimConfig(lr=6e-3, warmup_ratio=0.0),
    )  # fmt: skip
    rows = episodes(policy)
    train_ppo(policy, letters, rows[:4], HeldOut(rows[4:], letters, config, stage), config, stage)
    scores = [row["objective/scores"] for row in logged(stage) if "objective/scores" in row]
    assert scores[0] < 2.5 and scores[-1] > 4.0


@pytest.mark.parametrize("temperature", [1.0, 0.05])
def test_the_scorer_reads_prompts_and_finished_texts(temperature: float, tmp_path: Path):
    """Claims 3 and 4: text goes to the reward model only, one text a prompt, without special tokens; sampled at T."""
    seen: list[tuple[str, str]] = []

    def scorer(prompts, responses):
        seen.extend(zip(prompts, responses, strict=True))
        return vowels(prompts, responses)

    stage = make_stage(tmp_path)
    learner = replace(learner_on(tiny_policy(), stage, ppo_config(temperature=temperature)), scorer=scorer)
    rows = episodes(learner.policy)[:4]
    iterate(learner, rows, 0.1, 0, 1e-3)
    settings = SamplingConfig(max_new_tokens=6, temperature=temperature, top_p=1.0)
    expected = sample(tiny_policy(), rows, settings, stage.generator("rollout", 0)).texts
    assert seen == list(zip([e.prompt for e in rows], expected, strict=True))
