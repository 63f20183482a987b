"""Attention by batched products is torch's attention: values, gradients, masks, and what is left to torch."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from rlhf_core.models import attention
from rlhf_core.models.attention import attend, grouped_attention
from rlhf_core.models.policy import load_merged
from tests.engine import tiny_policy

MODULE = SimpleNamespace(num_key_value_groups=3, is_causal=True)


def inputs(time: int = 5, seen: int = 5) -> list[Tensor]:
    """Queries of six heads, keys and values of two, in float64 so that nothing is lost to rounding."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(3, 6, time, 4), (3, 2, seen, 4), (3, 2, seen, 4)]
    return [torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]


def masked(time: int, seen: int) -> Tensor:
    """Causal, and the first key of the second row is padding."""
    mask = torch.ones(time, seen, dtype=torch.bool).tril(seen - time).expand(3, 1, -1, -1).clone()
    mask[1, :, 1:, 0] = False
    return mask


@pytest.mark.parametrize(("time", "seen"), [(5, 5), (2, 7)])
@pytest.mark.parametrize("with_mask", [True, False])
def test_it_is_torchs_attention_with_its_gradients(time: int, seen: int, with_mask: bool):
    query, key, value = inputs(time, seen)
    mask = masked(time, seen) if with_mask else None
    expected = scaled_dot_product_attention(query, key, value, mask, scale=0.3, enable_gqa=True)
    found = grouped_attention(query, key, value, mask, 0.3)
    torch.testing.assert_close(found, expected)
    weight = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    wanted = torch.autograd.grad((expected * weight).sum(), [query, key, value])
    for mine, theirs in zip(torch.autograd.grad((found * weight).sum(), [query, key, value]), wanted, strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("autocast", [False, True])
def test_bfloat16_takes_products_and_is_causal_without_a_mask(autocast: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(attention, "sdpa_attention_forward", None)  # is not asked
    exact = [x.detach() for x in inputs()]
    given = [x.float() if autocast else x.bfloat16() for x in exact]
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        found, _ = attend(MODULE, *given, None)
    assert found.dtype == torch.bfloat16
    expected = scaled_dot_product_attention(*exact, is_causal=True, enable_gqa=True).transpose(1, 2)
    torch.testing.assert_close(found.double(), expected, atol=0.03, rtol=0.03)


@pytest.mark.parametrize("settings", [{"is_causal": False}, {}])
def test_an_encoder_looks_both_ways(settings: dict[str, Any]):
    """Whether the call says so or the module."""
    module = SimpleNamespace(num_key_value_groups=3, is_causal=bool(settings))
    exact = [x.detach() for x in inputs()]
    found, _ = attend(module, *[x.bfloat16() for x in exact], None, **settings)
    expected = scaled_dot_product_attention(*exact, enable_gqa=True).transpose(1, 2)
    torch.testing.assert_close(found.double(), expected, atol=0.03, rtol=0.03)


@pytest.mark.parametrize(
    ("dtype", "most", "settings"),
    [
        (torch.float32, 2**24, {}),
        (torch.bfloat16, 100, {}),
        (torch.bfloat16, 2**24, {"dropout": 0.1}),
        (torch.bfloat16, 2**24, {"position_bias": torch.zeros(3, 6, 5, 5)}),
    ],
)
def test_the_rest_is_left_to_torch(
    dtype: torch.dtype, most: int, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    """Float32, more than so many scores (here 3·6·5·5 = 450), dropout, what T5 adds to its scores."""
    monkeypatch.setattr(attention, "sdpa_attention_forward", lambda *given, **more: ("left to torch", given, more))
    monkeypatch.setattr(attention, "MOST_SCORES", most)
    assert attend(MODULE, *[x.detach().to(dtype) for x in inputs()], None, **settings)[0] == "left to torch"


@torch.no_grad()
def test_a_loaded_model_attends_by_products_and_says_the_same():
    """Also where rows are padded; no trace of it is saved with the model."""
    lm = load_merged(tiny_policy(trainable=False).source, torch.bfloat16)
    ids = torch.randint(10, 200, (2, 12), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[1, :5] = 0
    assert lm.config._attn_implementation == attention.NAME
    found = lm(input_ids=ids, attention_mask=mask).logits[mask.bool()]
    lm.set_attn_implementation("sdpa")
    expected = lm(input_ids=ids, attention_mask=mask).logits[mask.bool()]
    torch.testing.assert_close(found, expected, atol=0.03, rtol=0.03)
