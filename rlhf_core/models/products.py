"""Products of a few rows with a model's weights, the same weights many times: what a decoding step consists of.

A processor's kernels read weights in an order of their own. With AVX-512 `product` puts them into it once, where
`torch.nn.functional.linear` does so at every call; without it BLAS with the weights first is faster (figures: docs/LOG.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

_packed: Any = torch.ops.mkldnn


class Product:
    """x ↦ (layer₁(x), layer₂(x), …) side by side, by calling the layers."""

    def __init__(self, *layers: nn.Module) -> None:
        self.layers = layers

    def __call__(self, x: Float[Tensor, "rows width"]) -> Float[Tensor, "rows out"]:
        """Return the layers' outputs."""
        return torch.cat([layer(x) for layer in self.layers], -1)

    def silu(self, x: Float[Tensor, "rows width"]) -> Float[Tensor, "rows out"]:
        """Return silu(output)."""
        return functional.silu(self(x))

    def plus(self, x: Float[Tensor, "rows width"], other: Float[Tensor, "rows out"]) -> Float[Tensor, "rows out"]:
        """Return output + other."""
        return self(x) + other

    def times(self, x: Float[Tensor, "rows width"], other: Float[Tensor, "rows out"]) -> Float[Tensor, "rows out"]:
        """Return output · other."""
        return self(x) * other


class PackedProduct(Product):
    """Plain layers on a processor: one product of weights in its order, with what follows done while the result is at hand."""

    def __init__(self, *layers: nn.Linear) -> None:
        super().__init__(*layers)
        weights = tuple(layer.weight for layer in layers)
        biases = tuple(layer.bias for layer in layers if layer.bias is not None)
        self.weight = _packed._reorder_linear_weight(torch.cat(weights).detach())
        self.bias = torch.cat(biases).detach() if biases else None

    def __call__(self, x: Float[Tensor, "rows width"]) -> Float[Tensor, "rows out"]:
        """Return the layers' outputs."""
        return _packed._linear_pointwise(x, self.weight, self.bias, "none", [], "")

    def silu(self, x: Float[Tensor, "rows width"]) -> Float[Tensor, "rows out"]:
        """Return silu(output)."""
        return _packed._linear_pointwise(x, self.weight, self.bias, "swish", [], "")

    def plus(self, x: Float[Tensor, "rows width"], other: Float[Tensor, "rows out"]) -> Float[Tensor, "rows out"]:
        """Return output + other."""
        return _packed._linear_pointwise.binary(x, other, self.weight, self.bias, "add")

    def times(self, x: Float[Tensor, "rows width"], other: Float[Tensor, "rows out"]) -> Float[Tensor, "rows out"]:
        """Return output · other."""
        return _packed._linear_pointwise.binary(x, other, self.weight, self.bias, "mul")


class WeightsFirst(Product):
    """Plain layers without biases: their product as (W·xᵀ)ᵀ."""

    def __init__(self, *layers: nn.Linear) -> None:
        super().__init__(*layers)
        self.weight = torch.cat(tuple(layer.weight for layer in layers)).detach()

    def __call__(self, x: Float[Tensor, "rows width"]) -> Float[Tensor, "rows out"]:
        """Return the layers' outputs."""
        return torch.mm(self.weight, x.t()).t()


class AdaptedProduct(Product):
    """Layers of which some have LoRA adapters: W·x + s·B·(A·x), the latter in float32, as it is learnt."""

    def __init__(self, base: Product, layers: Sequence[Any]) -> None:
        super().__init__(*layers)
        self.base = base
        parts = [(*_adapter(layer), layer) for layer in layers]
        self.down = torch.cat([down for down, _, _ in parts]).t()
        self.up = torch.block_diag(*[up for _, up, _ in parts]).t()

    def __call__(self, x: Float[Tensor, "rows width"]) -> Float[Tensor, "rows out"]:
        """Return the layers' outputs."""
        return self.base.plus(x, self._change(x).to(x.dtype))

    def plus(self, x: Float[Tensor, "rows width"], other: Float[Tensor, "rows out"]) -> Float[Tensor, "rows out"]:
        """Return output + other."""
        return self.base.plus(x, (self._change(x) + other).to(x.dtype))

    def _change(self, x: Float[Tensor, "rows width"]) -> Float[Tensor, "rows out"]:
        return x.float() @ self.down @ self.up


@torch.no_grad()
def product(*layers: Any) -> Product:
    """Return the fastest product known for layers that are all given the same rows, with their weights as they are now."""
    plain = [_plain(layer) for layer in layers]
    if not all(map(_is_linear, plain)):
        return Product(*layers)
    adapted, biases = any(map(_is_adapted, layers)), sum(layer.bias is not None for layer in plain)
    if packs() and biases in (0, len(plain)):
        base = PackedProduct(*plain)
        return AdaptedProduct(base, layers) if adapted else base
    first = not adapted and not biases and plain[0].weight.dtype == torch.float32
    return WeightsFirst(*plain) if first else Product(*layers)


def packs() -> bool:
    """Say whether this processor multiplies faster by weights in its own order."""
    return torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability() == "AVX512"


def _plain(layer: Any) -> Any:
    return layer.get_base_layer() if hasattr(layer, "lora_A") else layer


def _is_linear(layer: Any) -> bool:
    if type(layer) is not nn.Linear or layer.weight.device.type != "cpu":
        return False
    return layer.weight.dtype in (torch.float32, torch.bfloat16)


def _is_adapted(layer: Any) -> bool:
    return hasattr(layer, "lora_A") and not layer.disable_adapters


def _adapter(layer: Any) -> tuple[Float[Tensor, "rank width"], Float[Tensor, "out rank"]]:
    """A and s·B of a layer's active adapters; of rank 0 where it has none."""
    weight = _plain(layer).weight
    names = layer.active_adapters if _is_adapted(layer) else []
    down = [weight.new_zeros(0, weight.shape[1], dtype=torch.float32), *(layer.lora_A[n].weight for n in names)]
    up = [weight.new_zeros(weight.shape[0], 0, dtype=torch.float32)]
    up += [layer.lora_B[n].weight * layer.scaling[n] for n in names]
    return torch.cat(down).detach(), torch.cat(up, 1).detach()
