"""Products with weights laid out once: they are the layers' own, whatever is done with the result at once."""

from __future__ import annotations

import pytest
import torch
from torch.nn import Linear
from torch.nn.functional import silu

from rlhf_core.config import LoraConfig
from rlhf_core.models.products import AdaptedProduct, PackedProduct, Product, WeightsFirst, product
from tests.engine import move, tiny_policy

TOLERANCE = {torch.float32: {"atol": 1e-5, "rtol": 1e-5}, torch.bfloat16: {"atol": 2e-2, "rtol": 2e-2}}


def layers(dtype: torch.dtype, *, bias: bool) -> list[Linear]:
    torch.manual_seed(0)
    return [Linear(24, width, bias=bias).to(dtype) for width in (16, 8)]


@torch.no_grad()
@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("bias", [False, True])
def test_packed_layers_give_what_the_layers_give(dtype: torch.dtype, bias: bool):
    both = layers(dtype, bias=bias)
    x, other = torch.randn(5, 24).to(dtype), torch.randn(5, 24).to(dtype)
    packed, close = product(*both), TOLERANCE[dtype]
    assert type(packed) is PackedProduct
    expected = torch.cat([layer(x) for layer in both], -1)
    torch.testing.assert_close(packed(x), expected, **close)
    torch.testing.assert_close(packed.silu(x), silu(expected), **close)
    torch.testing.assert_close(packed.plus(x, other), expected + other, **close)
    torch.testing.assert_close(packed.times(x, other), expected * other, **close)
    torch.testing.assert_close(packed(x[:1]), expected[:1], **close)  # laid out for no number of rows in particular


@torch.no_grad()
def test_without_avx512_the_weights_come_first(monkeypatch: pytest.MonkeyPatch):
    """In float32; what has a bias, or another type, is called."""
    monkeypatch.setattr("rlhf_core.models.products.packs", lambda: False)
    both = layers(torch.float32, bias=False)
    x, other = torch.randn(5, 24), torch.randn(5, 24)
    found, expected = product(*both), torch.cat([layer(x) for layer in both], -1)
    assert type(found) is WeightsFirst
    torch.testing.assert_close(found(x), expected)
    torch.testing.assert_close(found.silu(x), silu(expected))
    torch.testing.assert_close(found.times(x, other), expected * other)
    assert type(product(*layers(torch.float32, bias=True))) is Product
    assert type(product(*layers(torch.bfloat16, bias=False))) is Product


@torch.no_grad()
def test_what_cannot_be_packed_is_called():
    """One layer with a bias beside one without, and a module that is no plain layer."""
    mixed = [Linear(24, 16, bias=False), Linear(24, 8)]
    x, other = torch.randn(5, 24), torch.randn(5, 24)
    for parts in (mixed, [torch.nn.Sequential(Linear(24, 24))]):
        called = product(*parts)
        assert type(called) is Product
        expected = torch.cat([part(x) for part in parts], -1)
        assert torch.equal(called(x), expected) and torch.equal(called.silu(x), silu(expected))
        assert torch.equal(called.plus(x, other), expected + other)
        assert torch.equal(called.times(x, other), expected * other)


@torch.no_grad()
def test_adapters_are_not_rounded_to_their_layers_type():
    """In bfloat16, against the exact product: what an adapter changes arrives although W + s·B·A would round it away."""
    policy = move(tiny_policy(LoraConfig(r=4, alpha=8), dtype="bfloat16"), size=0.02)
    attention = policy.lm.get_base_model().model.layers[0].self_attn
    parts = [attention.q_proj, attention.k_proj, attention.v_proj]
    adapted = product(*parts)
    assert isinstance(adapted, AdaptedProduct)
    x = torch.randn(64, parts[0].in_features, generator=torch.Generator().manual_seed(0)).bfloat16()
    plain = torch.cat([part.get_base_layer().weight.float() @ x.float().t() for part in parts]).t()
    change = torch.cat([part.get_delta_weight("default").float() @ x.float().t() for part in parts]).t()
    found = adapted(x).float() - plain
    slope = (found * change).sum() / change.square().sum()
    assert slope.item() == pytest.approx(1.0, abs=0.02)
    residual = torch.randn_like(plain).bfloat16()
    torch.testing.assert_close(adapted.plus(x, residual).float(), plain + change + residual, atol=0.05, rtol=0.02)


@torch.no_grad()
def test_adapters_that_are_off_do_nothing():
    policy = move(tiny_policy(LoraConfig(r=4, alpha=8), dtype="bfloat16"), size=0.2)
    layer = policy.lm.get_base_model().model.layers[0].self_attn.q_proj
    x = torch.randn(3, layer.in_features).bfloat16()
    on = product(layer)(x)
    with policy.reference():
        off = product(layer)
        assert type(off) is PackedProduct
        torch.testing.assert_close(off(x), layer.get_base_layer()(x), atol=2e-2, rtol=2e-2)
    assert (on.float() - off(x).float()).abs().max() > 0.05
