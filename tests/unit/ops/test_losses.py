"""Preference losses and the clipped PPO losses, quadrant by quadrant."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from rlhf_core.ops.losses import (
    centering_loss,
    clip_fraction,
    explained_variance,
    kwise_loss,
    pairwise_loss,
    ppo_policy_loss,
    ppo_value_loss,
    response_nll,
)

ONE = torch.ones(1, 1, dtype=torch.bool)


def cell(value: float) -> Tensor:
    """One token of one row."""
    return torch.tensor([[value]])


def test_cross_entropy_sums_over_response_tokens_and_counts_them():
    """Claim 7: −ln ½ − ln ¼ = 3·ln 2 over two tokens; the third is prompt."""
    logprobs = torch.tensor([[0.5, 0.25, 0.1]]).log()
    nll, count = response_nll(logprobs, torch.tensor([[True, True, False]]))
    assert nll.item() == pytest.approx(3 * math.log(2)) and count == 2


def test_pairwise_loss_by_hand():
    """Claim 9: equal scores cost ln 2; a lead of ln 3 costs −ln σ(ln 3) = −ln ¾; a margin eats the lead."""
    chosen, rejected = torch.tensor([1.0, math.log(3.0)]), torch.tensor([1.0, 0.0])
    torch.testing.assert_close(pairwise_loss(chosen, rejected), torch.tensor([math.log(2), -math.log(0.75)]))
    assert pairwise_loss(chosen, rejected, margin=math.log(3.0))[1].item() == pytest.approx(math.log(2))


def test_pairwise_loss_is_finite_far_out():
    """Claim 9: −logσ(−10⁴) = 10⁴, with a gradient of −1 at the chosen score; −logσ(10⁴) = 0."""
    chosen = torch.tensor([-1e4, 1e4], requires_grad=True)
    loss = pairwise_loss(chosen, torch.zeros(2))
    assert loss.tolist() == [1e4, 0.0]
    loss.sum().backward()
    assert chosen.grad is not None and chosen.grad.tolist() == [-1.0, 0.0]


def test_swapping_the_pair_negates_the_margin():
    """Claim 9: −logσ(d) + logσ(−d) = −d."""
    chosen, rejected = torch.tensor([2.5]), torch.tensor([-1.0])
    assert (pairwise_loss(chosen, rejected) - pairwise_loss(rejected, chosen)).item() == pytest.approx(-3.5, abs=1e-6)


def test_label_smoothing_mixes_both_orders():
    """Claim 11, s = 0.1 and a lead of ln 3: −0.9·ln ¾ − 0.1·ln ¼."""
    loss = pairwise_loss(torch.tensor([math.log(3.0)]), torch.zeros(1), label_smoothing=0.1)
    assert loss.item() == pytest.approx(-0.9 * math.log(0.75) - 0.1 * math.log(0.25))


def test_centering_is_the_squared_sum():
    """Claim 11: (3 − 1)² = 4, and 0 for opposite scores."""
    assert centering_loss(torch.tensor([3.0, 2.0]), torch.tensor([-1.0, -2.0])).tolist() == [4.0, 0.0]


def test_kwise_loss_averages_within_a_prompt_first():
    """Claim 10: prompt 0 has three pairs, prompt 1 one; ½·(mean of three) + ½·(the one), not the mean of four."""
    scores = torch.tensor([3.0, 1.0, 0.0, 0.5, 0.5])
    chosen, rejected, owner = torch.tensor([0, 0, 1, 3]), torch.tensor([1, 2, 2, 4]), torch.tensor([0, 0, 0, 1])

    def cost(lead: float) -> float:
        return math.log1p(math.exp(-lead))

    expected = ((cost(2) + cost(3) + cost(1)) / 3 + math.log(2)) / 2
    assert kwise_loss(scores, chosen, rejected, owner).item() == pytest.approx(expected, abs=1e-6)


def test_kwise_loss_of_pairs_equals_the_mean_of_pairwise_losses_with_all_its_terms():
    """Claims 10 and 11: with one pair a prompt, K-wise is pairwise plus the weighted centering, averaged."""
    scores = torch.tensor([1.0, -2.0, 0.5, 3.0])
    chosen, rejected, owner = torch.tensor([0, 2]), torch.tensor([1, 3]), torch.tensor([0, 1])
    found = kwise_loss(scores, chosen, rejected, owner, margin=0.5, label_smoothing=0.1, centering=0.01)
    c, r = scores[chosen], scores[rejected]
    # centering: 0.01·((1 − 2)² + (0.5 + 3)²)/2 = 0.01·13.25/2
    assert found.item() == pytest.approx(pairwise_loss(c, r, 0.5, 0.1).mean().item() + 0.06625, abs=1e-6)


def test_kwise_loss_without_pairs_is_zero():
    """Claim 10: ties are excluded, and a batch of nothing but ties must not turn the weights to NaN."""
    none = torch.tensor([], dtype=torch.long)
    scores = torch.tensor([1.0, 2.0], requires_grad=True)
    loss = kwise_loss(scores, none, none, none)
    loss.backward()
    assert loss == 0.0 and scores.grad is not None and scores.grad.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "slope"),
    # ε = 0.2; the slope is ∂loss/∂log π = −A·ρ where the unclipped branch is the larger, else 0
    [
        (1.1, 2.0, -2.2, -2.2),  # inside
        (1.5, 2.0, -2.4, 0.0),  # good and already more likely: clipped at 1.2·2
        (0.5, 2.0, -1.0, -1.0),  # good and less likely: pulled back
        (1.5, -2.0, 3.0, 3.0),  # bad and more likely: pushed down
        (0.5, -2.0, 1.6, 0.0),  # bad and already less likely: clipped at 0.8·2
    ],
)
def test_policy_loss_in_every_quadrant(ratio: float, advantage: float, loss: float, slope: float):
    """Claim 21."""
    new = cell(math.log(ratio)).requires_grad_(True)
    found = ppo_policy_loss(new, cell(0.0), cell(advantage), ONE, 0.2)
    found.sum().backward()
    assert found.item() == pytest.approx(loss, abs=1e-6)
    assert new.grad is not None and new.grad.item() == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize(
    ("new", "loss", "slope"),
    # V_old = 1, ε = 0.2, R = 2: the clipped value is within [0.8, 1.2]
    [
        (1.1, 0.405, -0.9),  # inside: ½·0.9²
        (1.5, 0.32, 0.0),  # moved past the clip toward R: ½·(1.2 − 2)², no gradient
        (0.5, 1.125, -1.5),  # moved away from R: the unclipped ½·1.5² is the larger
    ],
)
def test_value_loss_takes_the_worse_of_clipped_and_not(new: float, loss: float, slope: float):
    """Claim 21."""
    value = cell(new).requires_grad_(True)
    found = ppo_value_loss(value, cell(1.0), cell(2.0), ONE, 0.2)
    found.sum().backward()
    assert found.item() == pytest.approx(loss, abs=1e-6)
    assert value.grad is not None and value.grad.item() == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize("loss", [ppo_policy_loss, ppo_value_loss])
@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), 1e30])
def test_garbage_under_the_mask_changes_no_loss_and_no_gradient(loss, garbage: float):
    """Claim 20."""
    mask = torch.tensor([[True, False]])
    results = []
    for filler in (0.0, garbage):
        new, old, third = (
            torch.tensor([[0.3, filler]], requires_grad=True),
            torch.tensor([[0.1, filler]]),
            torch.tensor([[2.0, filler]]),
        )
        value = loss(new, old, third, mask, 0.2)
        value.sum().backward()
        results.append((value.tolist(), new.grad.tolist()))
    assert results[0] == results[1]
    assert results[0][0][0][1] == 0.0 and results[0][1][0][1] == 0.0


def test_clip_fraction_counts_response_tokens_only():
    """Claim 27, ε = 0.2 and ratios 1, 1.5, 0.5, with 9 under the mask: two of three."""
    new = torch.tensor([[1.0, 1.5, 0.5, 9.0]]).log()
    mask = torch.tensor([[True, True, True, False]])
    assert clip_fraction(new, torch.zeros(1, 4), mask, 0.2).item() == pytest.approx(2 / 3)


def test_explained_variance_by_hand():
    """Claim 27: returns 1, 2, 3 (variance ⅔) and errors 0, 0, 1 (variance 2/9) give 1 − ⅓."""
    returns, values = torch.tensor([[1.0, 2.0, 3.0, 50.0]]), torch.tensor([[1.0, 2.0, 2.0, -50.0]])
    mask = torch.tensor([[True, True, True, False]])
    assert explained_variance(values, returns, mask).item() == pytest.approx(2 / 3)


def test_explained_variance_of_constant_returns_is_nan():
    """Claim 27."""
    assert explained_variance(
        torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 3.0]]), torch.ones(1, 2, dtype=torch.bool)
    ).isnan()


def test_a_prompt_counts_as_much_as_people_are_sure_of_it():
    """Two prompts of one pair each, both losses ln 2: (1·ln 2 + ½·ln 2)/2 = 0.75·ln 2; without weights ln 2."""
    scores = torch.zeros(4)
    pairs = torch.tensor([0, 2]), torch.tensor([1, 3]), torch.tensor([0, 1])
    assert kwise_loss(scores, *pairs).item() == pytest.approx(math.log(2))
    assert kwise_loss(scores, *pairs, weights=torch.tensor([1.0, 0.5])).item() == pytest.approx(0.75 * math.log(2))
