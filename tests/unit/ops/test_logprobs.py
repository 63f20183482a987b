"""Log-probabilities, entropy, and sampling by inversion."""

from __future__ import annotations

import math

import pytest
import torch

from rlhf_core.ops.logprobs import sample_tokens, token_entropy, token_logprobs

LOG_QUARTERS = torch.tensor([0.5, 0.25, 0.25]).log()


def test_log_probabilities_of_a_known_distribution():
    logits = (LOG_QUARTERS + 7.0).repeat(1, 3, 1)  # a constant added to all logits changes nothing
    found = token_logprobs(logits, torch.tensor([[0, 1, 2]]), 1.0)
    torch.testing.assert_close(found, torch.tensor([[0.5, 0.25, 0.25]]).log())


def test_temperature_divides_logits():
    """Claim 3: at T = 2 the odds of 4:1 become √4:1 = 2:1, so p = 2/3 and 1/3."""
    logits = torch.tensor([[[math.log(4.0), 0.0]]])
    assert token_logprobs(logits, torch.tensor([[0]]), 2.0).item() == pytest.approx(math.log(2 / 3), abs=1e-6)
    # entropy of (2/3, 1/3): ln 3 − (2/3)·ln 2
    assert token_entropy(logits, 2.0).item() == pytest.approx(math.log(3) - 2 / 3 * math.log(2), abs=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_gradient_equals_that_of_log_softmax(temperature: float):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 11, generator=generator, requires_grad=True)
    tokens = torch.randint(11, (2, 3), generator=generator)
    weights = torch.randn(2, 3, generator=generator)
    (token_logprobs(logits, tokens, temperature) * weights).sum().backward()
    mine, logits.grad = logits.grad, None
    plain = (logits / temperature).log_softmax(-1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    (plain * weights).sum().backward()
    torch.testing.assert_close(mine, logits.grad, atol=1e-6, rtol=1e-5)


def test_half_precision_logits_are_normalised_in_float32():
    """Among 4096 equal bfloat16 logits each token has log-probability −ln 4096; bfloat16 has only 8 bits for that."""
    logits = torch.zeros(1, 1, 4096, dtype=torch.bfloat16, requires_grad=True)
    found = token_logprobs(logits, torch.tensor([[5]]), 1.0)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(-math.log(4096), abs=1e-5)
    found.sum().backward()
    assert logits.grad is not None and logits.grad.dtype == torch.bfloat16


def test_the_input_is_left_as_it_was():
    logits = torch.randn(1, 2, 5, requires_grad=True)
    before = logits.detach().clone()
    token_logprobs(logits, torch.tensor([[0, 1]]), 0.5).sum().backward()
    assert torch.equal(logits.detach(), before)


def test_entropy_is_between_zero_and_that_of_the_uniform_distribution():
    """Claim 27: ln V when all tokens are equally likely, 0 when one is certain."""
    uniform, certain = torch.zeros(1, 1, 8), torch.tensor([[[100.0] + [0.0] * 7]])
    assert token_entropy(uniform, 1.0).item() == pytest.approx(math.log(8), abs=1e-6)
    assert token_entropy(certain, 1.0).item() == pytest.approx(0.0, abs=1e-6)


def test_sampling_inverts_the_cumulative_distribution():
    """With p = ½, ¼, ¼ the numbers below ½ give token 0, below ¾ token 1, below 1 token 2."""
    uniform = torch.tensor([0.0, 0.49, 0.51, 0.74, 0.76, 0.999])
    assert sample_tokens(LOG_QUARTERS.repeat(6, 1), 1.0, 1.0, uniform).tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("vocabulary", [255, 256, 257, 1000])
def test_a_token_is_found_in_its_block(vocabulary: int):
    """The sums run over blocks of 256: against one running sum in float64, with numbers on both sides of every token's share."""
    logits = 2 * torch.randn(vocabulary, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sums = logits.softmax(-1).cumsum(-1)
    middle = (sums + torch.cat([torch.zeros(1, dtype=torch.float64), sums[:-1]])) / 2
    found = sample_tokens(logits.float().expand(vocabulary, -1), 1.0, 1.0, middle)
    assert found.tolist() == list(range(vocabulary))


def test_temperature_flattens_what_is_sampled():
    """Claim 3: odds of 4:1 at T = 2 are 2:1, so 0.7 is past token 0 (p = 0.667); at T = 1 it is not (p = 0.8)."""
    logits = torch.tensor([[math.log(4.0), 0.0]])
    assert sample_tokens(logits, 1.0, 1.0, torch.tensor([0.7])).item() == 0
    assert sample_tokens(logits, 2.0, 1.0, torch.tensor([0.7])).item() == 1


def test_frequencies_are_the_probabilities():
    draws = sample_tokens(
        LOG_QUARTERS.repeat(20_000, 1), 1.0, 1.0, torch.rand(20_000, generator=torch.Generator().manual_seed(0))
    )
    # three standard errors of a share near ½ over 20 000 draws: 3·√(¼/20000) = 0.0106
    shares = draws.bincount(minlength=3) / 20_000
    torch.testing.assert_close(shares, torch.tensor([0.5, 0.25, 0.25]), atol=0.0106, rtol=0)


def test_the_nucleus_keeps_the_fewest_tokens_that_reach_its_mass():
    """Sorted 0.5, 0.3, 0.15, 0.05: a mass of 0.6 keeps two, rescaled to 0.625 and 0.375."""
    logits = torch.tensor([0.05, 0.5, 0.15, 0.3]).log().repeat(3, 1)
    uniform = torch.tensor([0.3, 0.374, 0.9])
    # in the order of ids the kept ones are 1 (0.625) and 3 (0.375)
    assert sample_tokens(logits, 1.0, 0.6, uniform).tolist() == [1, 1, 3]
    assert sample_tokens(logits, 1.0, 0.6, torch.tensor([0.626, 0.624, 0.9999])).tolist() == [3, 1, 3]


def test_impossible_tokens_are_never_drawn():
    logits = torch.tensor([[-math.inf, 0.0, 0.0, -math.inf]]).repeat(2, 1)
    almost_one = torch.tensor(1.0).nextafter(torch.tensor(0.0))
    assert sample_tokens(logits, 1.0, 1.0, torch.stack([torch.tensor(0.0), almost_one])).tolist() == [1, 2]


def test_the_largest_number_below_one_draws_the_last_possible_token():
    """Whatever the total of the unnormalised weights rounds to; token 6 of 7 is impossible."""
    logits = 9 * torch.randn(5_000, 7, generator=torch.Generator().manual_seed(0))
    logits[:, 5], logits[:, 6] = logits.amax(-1) + 1, -math.inf
    almost_one = torch.full((5_000,), 1 - 2**-24)
    assert set(sample_tokens(logits, 1.0, 1.0, almost_one).tolist()) == {5}


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_a_greedy_policy_is_refused(temperature: float):
    """Claim 3."""
    with pytest.raises(ValueError, match=r"temperature must be > 0, found -?[01]\.0: a greedy policy has no log-prob"):
        sample_tokens(torch.zeros(1, 4), temperature, 1.0, torch.tensor([0.5]))
