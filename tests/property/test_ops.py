"""Properties of the tensor functions: each agrees with a slow, obvious version over lists of floats."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from rlhf_core.data.collate import Example, collate_packed, collate_padded
from rlhf_core.ops.advantages import gae, shape_rewards
from rlhf_core.ops.kl import adapt_kl_coef, kl_k2, kl_k3
from rlhf_core.ops.logprobs import sample_tokens, token_entropy, token_logprobs
from rlhf_core.ops.losses import kwise_loss, pairwise_loss, ppo_policy_loss, ppo_value_loss, response_nll
from rlhf_core.ops.masking import masked_mean, masked_var, masked_whiten
from rlhf_core.ops.text_masks import last_true, pad_rows, position_ids, response_mask

NUMBER = st.floats(-5, 5, width=32)
CLOSE: Any = {"abs": 1e-4, "rel": 1e-4}


@st.composite
def masked_batch(draw: st.DrawFn, columns: int = 1) -> tuple[list[Tensor], Tensor]:
    """Some tensors of one shape and a mask that starts every row with True, as response masks do; garbage elsewhere."""
    rows, width = draw(st.integers(1, 3)), draw(st.integers(1, 6))
    lengths = [draw(st.integers(1, width)) for _ in range(rows)]
    mask = torch.arange(width) < torch.tensor(lengths).unsqueeze(1)
    size = rows * width
    tensors = [torch.tensor(draw(st.lists(NUMBER, min_size=size, max_size=size))) for _ in range(columns)]
    return [t.reshape(rows, width).masked_fill(~mask, float("nan")) for t in tensors], mask


def kept(values: Tensor, mask: Tensor) -> list[float]:
    """The numbers that count, as a list."""
    return [v for v, m in zip(values.flatten().tolist(), mask.flatten().tolist(), strict=True) if m]


@given(masked_batch())
def test_moments_equal_those_of_the_numbers_that_count(batch: tuple[list[Tensor], Tensor]):
    (values,), mask = batch
    numbers = kept(values, mask)
    mean = sum(numbers) / len(numbers)
    assert masked_mean(values, mask).item() == pytest.approx(mean, **CLOSE)
    variance = sum((v - mean) ** 2 for v in numbers) / len(numbers)
    assert masked_var(values, mask).item() == pytest.approx(variance, **CLOSE)


@given(masked_batch())
def test_whitened_numbers_have_mean_zero_and_at_most_unit_variance(batch: tuple[list[Tensor], Tensor]):
    """At most, because of the 1e-8 that keeps equal numbers finite."""
    (values,), mask = batch
    white = kept(masked_whiten(values, mask, keep_mean=False), mask)
    assert sum(white) / len(white) == pytest.approx(0, abs=1e-2)
    assert sum(v * v for v in white) / len(white) <= 1.01


@given(masked_batch(), st.booleans(), st.booleans())
def test_whitening_equals_the_formula_over_the_numbers_that_count(
    batch: tuple[list[Tensor], Tensor], keep_mean: bool, unbiased: bool
):
    """Claim 19: (v − mean)/√(variance + 1e-8), the mean added again when it is kept; zero under the mask."""
    (values,), mask = batch
    numbers = kept(values, mask)
    mean = sum(numbers) / len(numbers)
    assume(max(numbers) - min(numbers) > 0.01)
    variance = sum((v - mean) ** 2 for v in numbers) / (len(numbers) - unbiased)
    expected = [(v - mean) / math.sqrt(variance + 1e-8) + keep_mean * mean for v in numbers]
    white = masked_whiten(values, mask, keep_mean=keep_mean, unbiased=unbiased)
    assert kept(white, mask) == pytest.approx(expected, abs=1e-2, rel=1e-3)
    assert not white[~mask].any()


@given(masked_batch())
def test_the_likelihood_of_a_response_equals_a_sum_over_its_tokens(batch: tuple[list[Tensor], Tensor]):
    """Claim 7."""
    (logprobs,), mask = batch
    nll, count = response_nll(logprobs, mask)
    assert nll.item() == pytest.approx(-sum(kept(logprobs, mask)), **CLOSE) and count == len(kept(logprobs, mask))


@given(masked_batch(2), st.floats(0.5, 1), st.floats(0, 1))
def test_gae_equals_the_double_sum(batch: tuple[list[Tensor], Tensor], gamma: float, lam: float):
    """Claim 18: A_t = Σ_k (γλ)^k δ_{t+k}, in O(T²)."""
    (rewards, values), mask = batch
    advantages, returns = gae(rewards, values, mask, gamma, lam)
    for row, counts in enumerate(mask.sum(1).tolist()):
        r, v = rewards[row, :counts].tolist(), [*values[row, :counts].tolist(), 0.0]
        delta = [r[t] + gamma * v[t + 1] - v[t] for t in range(counts)]
        for t in range(counts):
            expected = sum((gamma * lam) ** k * delta[t + k] for k in range(counts - t))
            assert advantages[row, t].item() == pytest.approx(expected, abs=1e-3, rel=1e-3)
            assert returns[row, t].item() == pytest.approx(expected + v[t], abs=1e-3, rel=1e-3)
    assert not advantages[~mask].any() and not returns[~mask].any()


@given(masked_batch(), st.floats(0, 2, width=32), st.data())
def test_shaped_rewards_sum_to_score_less_kl(batch: tuple[list[Tensor], Tensor], kl_coef: float, data: st.DataObject):
    """Claim 16."""
    (kl,), mask = batch
    scores = data.draw(st.lists(NUMBER, min_size=len(kl), max_size=len(kl)))
    total = shape_rewards(torch.tensor(scores), kl, mask, kl_coef).sum(1).tolist()
    for row, score in enumerate(scores):
        assert total[row] == pytest.approx(score - kl_coef * sum(kept(kl[row], mask[row])), abs=1e-3, rel=1e-3)


@given(masked_batch(3), st.floats(0.05, 0.5))
def test_ppo_losses_equal_the_formulas_token_by_token(batch: tuple[list[Tensor], Tensor], clip: float):
    """Claim 21: max(−Aρ, −A·clip ρ), and ½·max of the two squared errors."""
    (new, old, third), mask = batch
    policy, value = ppo_policy_loss(new, old, third, mask, clip), ppo_value_loss(new, old, third, mask, clip)
    for n, o, x, p, v in zip(*(kept(t, mask) for t in (new, old, third, policy, value)), strict=True):
        ratio = math.exp(n - o)
        assert p == pytest.approx(max(-x * ratio, -x * min(max(ratio, 1 - clip), 1 + clip)), abs=1e-3, rel=1e-3)
        near = min(max(n, o - clip), o + clip)
        assert v == pytest.approx(max((n - x) ** 2, (near - x) ** 2) / 2, abs=1e-3, rel=1e-3)
    assert not policy[~mask].any() and not value[~mask].any()


@given(st.lists(st.tuples(st.integers(0, 4), NUMBER), min_size=2, max_size=12))
def test_kwise_loss_equals_a_loop_over_prompts(completions: list[tuple[int, float]]):
    """Claim 10: the mean over prompts of the mean over a prompt's pairs, earlier completions winning."""
    pairs = [
        (a, b, completions[a][0])
        for a in range(len(completions))
        for b in range(a + 1, len(completions))
        if completions[a][0] == completions[b][0]
    ]
    scores = torch.tensor([score for _, score in completions])
    index = torch.tensor(pairs, dtype=torch.long).reshape(-1, 3)
    found = kwise_loss(scores, index[:, 0], index[:, 1], index[:, 2]).item()
    of_prompt: dict[int, list[float]] = {}
    for a, b, prompt in pairs:
        of_prompt.setdefault(prompt, []).append(math.log1p(math.exp(completions[b][1] - completions[a][1])))
    means = [sum(costs) / len(costs) for costs in of_prompt.values()]
    assert found == pytest.approx(sum(means) / len(means) if means else 0.0, **CLOSE)


@given(NUMBER, NUMBER, st.floats(0, 3))
def test_preferring_more_costs_less(chosen: float, rejected: float, margin: float):
    """Claim 9: never negative, falling in the lead, rising in the margin."""
    c, r = torch.tensor([chosen]), torch.tensor([rejected])
    assert pairwise_loss(c, r).item() >= 0
    assert pairwise_loss(c + 1, r).item() <= pairwise_loss(c, r).item() <= pairwise_loss(c, r, margin).item()


@given(NUMBER, NUMBER, st.floats(0, 3), st.floats(0, 0.5, exclude_max=True))
def test_pairwise_loss_equals_the_formula(chosen: float, rejected: float, margin: float, smoothing: float):
    """Claims 9 and 11, with σ written out: log σ(d) = −log(1 + e^−d); and another order is the same lead below zero."""
    c, r = torch.tensor([chosen]), torch.tensor([rejected])
    lead = chosen - rejected - margin
    expected = (1 - smoothing) * math.log1p(math.exp(-lead)) + smoothing * math.log1p(math.exp(lead))
    assert pairwise_loss(c, r, margin, smoothing).item() == pytest.approx(expected, **CLOSE)
    assert (pairwise_loss(c, r) - pairwise_loss(r, c)).item() == pytest.approx(rejected - chosen, **CLOSE)


@given(st.lists(NUMBER, min_size=2, max_size=8), st.floats(0.3, 3), st.floats(0, 1, exclude_max=True, width=32))
def test_log_probabilities_entropy_and_samples_follow_one_distribution(
    row: list[float], temperature: float, uniform: float
):
    """Claims 3 and 27: softmax by hand at temperature T, its entropy, and its inverse CDF."""
    weights = [math.exp(z / temperature) for z in row]
    p = [w / sum(weights) for w in weights]
    logits = torch.tensor(row).reshape(1, 1, -1)
    for token, chance in enumerate(p):
        assert token_logprobs(logits, torch.tensor([[token]]), temperature).item() == pytest.approx(
            math.log(chance), **CLOSE
        )
    entropy = token_entropy(logits, temperature).item()
    assert entropy == pytest.approx(-sum(x * math.log(x) for x in p), **CLOSE)
    assert -1e-5 <= entropy <= math.log(len(p)) + 1e-5
    drawn = int(sample_tokens(logits[0], temperature, 1.0, torch.tensor([uniform])).item())
    assert sum(p[:drawn]) - 1e-5 <= uniform <= sum(p[: drawn + 1]) + 1e-5


@given(NUMBER, NUMBER)
def test_k2_and_k3_are_never_negative(policy: float, reference: float):
    """Claim 17."""
    mine, theirs = torch.tensor([policy]), torch.tensor([reference])
    assert kl_k2(mine, theirs).item() >= 0 and kl_k3(mine, theirs).item() >= -1e-6


@given(st.floats(1e-3, 1), st.floats(0, 100), st.floats(0.1, 50), st.integers(1, 100))
def test_the_adaptive_coefficient_moves_toward_the_target_and_by_little(beta: float, kl: float, target: float, n: int):
    """Claim 23: up when the KL is above, down when below, never by more than 20% of n/horizon."""
    after = adapt_kl_coef(beta, kl, target, n, 100)
    assert (after - beta) * (kl - target) >= -1e-12
    assert abs(after / beta - 1) <= 0.2 * n / 100 + 1e-9


IDS = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=6), min_size=1, max_size=4)


@given(IDS, st.booleans())
def test_padding_can_be_taken_off_again(rows: list[list[int]], left: bool):
    ids, mask = pad_rows(rows, 0, left=left)
    assert [line[real].tolist() for line, real in zip(ids, mask, strict=True)] == rows
    assert [line[real].tolist() for line, real in zip(position_ids(mask), mask, strict=True)] == [
        list(range(len(r))) for r in rows
    ]
    assert last_true(mask).tolist() == [ids.shape[1] - 1 if left else len(r) - 1 for r in rows]


@given(IDS)
def test_a_response_ends_with_its_first_eos(rows: list[list[int]]):
    """Claim 1, with 9 as the eos."""
    ids, _ = pad_rows(rows, 9, left=False)
    for line, mask in zip(ids.tolist(), response_mask(ids, 9).tolist(), strict=True):
        end = line.index(9) + 1 if 9 in line else len(line)
        assert mask == [n < end for n in range(len(line))]


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=5))
def test_packing_loses_no_token_and_mixes_no_examples(sizes: list[tuple[int, int]]):
    """Claim 7: the response tokens are those of separate rows, and attention is causal within one example only."""
    made = [Example([n + 1] * p, [-n - 1] * r) for n, (p, r) in enumerate(sizes)]
    packed, padded = collate_packed(made, 0, 12), collate_padded(made, 0)
    assert sorted(packed.ids[packed.response_mask].tolist()) == sorted(padded.ids[padded.response_mask].tolist())
    assert packed.ids.shape[1] <= 12
    seen = packed.attention[:, 0]
    for row, line in enumerate(packed.ids.abs().tolist()):
        for i, j in ((i, j) for i in range(len(line)) for j in range(len(line)) if line[i] and line[j]):
            assert bool(seen[row, i, j]) == (line[i] == line[j] and j <= i)
