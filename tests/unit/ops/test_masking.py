"""Masked sums, means, variances and whitening, against numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch
from jaxtyping import TypeCheckError

from rlhf_core.ops.masking import masked_mean, masked_sum, masked_var, masked_whiten, spread

NAN = float("nan")
ALL = torch.ones(9, dtype=torch.bool)
TENTHS = torch.arange(12, 21) / 10  # 1.2, 1.3 … 2.0: mean 1.6, Σ(v − 1.6)² = 2·(0.01 + 0.04 + 0.09 + 0.16) = 0.6


def test_sums_and_means_read_only_what_counts():
    values = torch.tensor([[1.0, 2.0, NAN], [NAN, 5.0, 7.0]])
    mask = ~values.isnan()
    assert masked_sum(values, mask) == 15.0  # 1 + 2 + 5 + 7
    assert masked_sum(values, mask, 1).tolist() == [3.0, 12.0]
    assert masked_mean(values, mask) == 3.75  # 15/4
    assert masked_mean(values, mask, 1).tolist() == [1.5, 6.0]


def test_a_mean_of_nothing_is_nan():
    assert masked_mean(torch.ones(3), torch.zeros(3, dtype=torch.bool)).isnan()


def test_variance_divides_by_n_or_by_n_minus_one():
    values = torch.tensor([1.0, 3.0, 5.0, NAN])
    mask = ~values.isnan()
    assert masked_var(values, mask).item() == pytest.approx(8 / 3)  # (4 + 0 + 4)/3
    assert masked_var(values, mask, unbiased=True).item() == pytest.approx(4.0)  # 8/2


@pytest.mark.parametrize(
    ("unbiased", "first", "last"),
    # sd = √(0.6/9) = 0.25820 or √(0.6/8) = 0.27386; 1.6 ∓ 0.4/sd
    [(False, 0.0508, 3.1492), (True, 0.1394, 3.0606)],
)
def test_whitening_keeps_the_mean_when_asked(unbiased: bool, first: float, last: float):
    """Claim 19, the published values: rewards keep their mean."""
    white = masked_whiten(TENTHS, ALL, keep_mean=True, unbiased=unbiased)
    assert white[0].item() == pytest.approx(first, abs=5e-5)
    assert white[-1].item() == pytest.approx(last, abs=5e-5)
    assert white.mean().item() == pytest.approx(1.6, abs=1e-5)


def test_whitening_loses_the_mean_otherwise():
    """Claim 19: advantages have mean 0 and standard deviation 1 afterwards."""
    white = masked_whiten(TENTHS, ALL, keep_mean=False)
    assert white[0].item() == pytest.approx(-1.5492, abs=5e-5)  # −0.4/0.25820
    assert white.mean().item() == pytest.approx(0.0, abs=1e-6)


def test_whitening_takes_one_mean_for_the_whole_batch_and_ignores_the_masked():
    """Claims 19 and 20: global over rows, and garbage under the mask changes nothing and comes back as zero."""
    values = torch.tensor([[0.0, 2.0, NAN], [4.0, 6.0, 1e30]])
    mask = torch.tensor([[True, True, False], [True, True, False]])
    # mean 3, variance (9 + 1 + 1 + 9)/4 = 5
    expected = torch.tensor([[-3.0, -1.0, 0.0], [1.0, 3.0, 0.0]]) / 5**0.5
    torch.testing.assert_close(masked_whiten(values, mask, keep_mean=False), expected)


def test_equal_values_whiten_to_zero_and_not_to_infinity():
    white = masked_whiten(torch.full((4,), 2.0), torch.ones(4, dtype=torch.bool), keep_mean=False)
    assert white.tolist() == [0.0] * 4


def test_shapes_are_checked_here():
    """The import hook of tests/conftest.py is at work: a mask of another shape is refused by its annotation."""
    with pytest.raises(TypeCheckError, match="mask"):
        masked_mean(torch.ones(3), torch.ones(4, dtype=torch.bool))


def test_spreading_puts_values_back_where_the_mask_took_them_from():
    mask = torch.tensor([[True, False, True], [False, True, False]])
    assert spread(torch.tensor([1.0, 2.0, 3.0]), mask).tolist() == [[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]]
    values = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(spread(values[mask], mask)[mask], values[mask])
