"""Measuring on held-out prompts during PPO."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from rlhf_core.training.heldout import HeldOut, win_rate_metrics
from rlhf_core.training.ppo import train_ppo
from tests.engine import episodes, logged, make_stage, move, ppo_config, tiny_policy, vowels


def test_held_out_prompts_are_measured_every_n_steps_and_at_both_ends(tmp_path: Path):
    """Claim 30: every 2 of 3 iterations, with one row a prompt kept for the dashboard."""
    policy, stage, config = tiny_policy(), make_stage(tmp_path), ppo_config(eval_every=2)
    rows = episodes(policy)
    train_ppo(policy, vowels, rows[:4], HeldOut(rows[4:], vowels, config, stage), config, stage)
    assert [row["step"] for row in logged(stage) if "eval/score" in row] == [0, 2, 3]
    samples = logged(stage, "samples.jsonl")
    assert [(row["step"], row["prompt_id"]) for row in samples] == [(s, p) for s in (0, 2, 3) for p in ("p4", "p5")]
    assert set(samples[0]) == {"step", "prompt_id", "prompt", "text", "score", "kl"}
    for row in samples:
        assert row["score"] == vowels([], [row["text"]]).item()
    for step in (0, 2, 3):
        (score,) = (row["eval/score"] for row in logged(stage) if row["step"] == step and "eval/score" in row)
        assert score == pytest.approx(sum(row["score"] for row in samples if row["step"] == step) / 2)


def test_an_unmoved_policy_ties_with_its_reference_everywhere(tmp_path: Path):
    """Claims 16 and 30: with the same random numbers it gives the same answers, at a KL of exactly 0."""
    policy, stage, config = tiny_policy(), make_stage(tmp_path), ppo_config()
    HeldOut(episodes(policy), vowels, config, stage).measure(policy, stage.directory, 0)
    assert logged(stage)[0]["eval/win_rate"] == 0.5
    assert all(row["kl"] == 0.0 for row in logged(stage, "samples.jsonl"))


def test_every_measurement_draws_the_same_numbers(tmp_path: Path):
    """Claim 30: the policy has not moved between two measurements, so nothing else has either."""
    policy, stage, config = move(tiny_policy()), make_stage(tmp_path), ppo_config()
    held_out = HeldOut(episodes(policy), vowels, config, stage)
    held_out.measure(policy, stage.directory, 1)
    torch.rand(7)
    held_out.measure(policy, stage.directory, 1)
    first, second = logged(stage)
    samples = logged(stage, "samples.jsonl")
    assert first == second and samples[:6] == samples[6:]


def test_the_kl_of_a_response_is_the_sum_over_its_tokens(tmp_path: Path):
    """Claim 17: log π − log π_ref of the sampled ids, from plain forward passes over one row."""
    policy, stage, config = move(tiny_policy()), make_stage(tmp_path), ppo_config(temperature=0.7)
    rows = episodes(policy)[:2]
    held_out = HeldOut(rows, vowels, config, stage)
    held_out.measure(policy, stage.directory, 0)
    sampled = held_out._sample(policy)
    for row, episode, response in zip(logged(stage, "samples.jsonl"), rows, sampled.responses, strict=True):
        ids = torch.tensor([episode.ids + response])
        with torch.no_grad():
            mine = (policy.lm(ids).logits[0] / 0.7).log_softmax(-1)
            with policy.reference() as lm:
                theirs = (lm(ids).logits[0] / 0.7).log_softmax(-1)
        places = range(len(episode.ids) - 1, len(episode.ids) - 1 + len(response))
        expected = sum((mine[n, t] - theirs[n, t]).item() for n, t in zip(places, response, strict=True))
        assert row["kl"] == pytest.approx(expected, abs=1e-3)
        assert abs(row["kl"]) > 1e-2


def test_what_the_score_is_not_is_measured_beside_it(tmp_path: Path):
    """From the completions and plain forward passes: KL, length, bigrams, exp(−Σ log π_ref/Σ 1), and an audit's mean."""
    policy, stage, config = move(tiny_policy()), make_stage(tmp_path), ppo_config(temperature=0.7)
    rows = episodes(policy)[:3]
    held_out = HeldOut(
        rows, vowels, config, stage, {"size": lambda _, texts: torch.tensor([float(len(t)) for t in texts])}
    )
    score = held_out.measure(policy, stage.directory, 4)
    (row,), samples = logged(stage), logged(stage, "samples.jsonl")
    assert score == row["eval/score"]
    responses = held_out._sample(policy).responses
    nll = 0.0
    for episode, response in zip(rows, responses, strict=True):
        with torch.no_grad(), policy.reference() as lm:
            logits = lm(torch.tensor([episode.ids + response])).logits[0] / 0.7
        predicted = logits.log_softmax(-1)[len(episode.ids) - 1 : -1]
        nll -= sum(predicted[n, token].item() for n, token in enumerate(response))
    tokens = sum(map(len, responses))
    bigrams = [pair for r in responses for pair in pairwise(r)]
    assert row["eval/perplexity_ref"] == pytest.approx(math.exp(nll / tokens), rel=1e-3)
    assert row["eval/kl"] == pytest.approx(sum(s["kl"] for s in samples) / 3, abs=1e-5)
    assert row["eval/response_length"] == pytest.approx(tokens / 3)
    assert row["eval/distinct_2"] == pytest.approx(len(set(bigrams)) / len(bigrams))
    assert row["eval/audit_size"] == pytest.approx(sum(len(s["text"]) for s in samples) / 3)


@pytest.mark.parametrize(("steps", "expected"), [((0, 1, 2), 3), ((4, 6), 3)])
def test_the_references_answers_are_scored_once(steps: tuple[int, ...], expected: int, tmp_path: Path):
    """Claim 30: at step 0 the policy's answers are the reference's; a resumed run scores those once more."""
    policy, stage, config = tiny_policy(), make_stage(tmp_path), ppo_config()
    calls = []

    def counted(prompts, responses):
        calls.append(len(responses))
        return vowels(prompts, responses)

    held_out = HeldOut(episodes(policy)[:2], counted, config, stage)
    for step in steps:
        held_out.measure(policy, stage.directory, step)
    assert calls == [2] * expected


def test_win_rate_counts_a_tie_as_half():
    """Two wins, one tie, one loss of four: (2 + ½)/4 = 0.625, inside its interval."""
    found = win_rate_metrics(torch.tensor([3.0, 2.0, 1.0 + 1e-7, 0.0]), torch.tensor([1.0, 1.0, 1.0, 1.0]))
    assert found["eval/win_rate"] == pytest.approx(0.625)
    assert 0 <= found["eval/win_rate_low"] < 0.625 < found["eval/win_rate_high"] <= 1
