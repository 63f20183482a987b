"""The numbered layers of a transformer, whatever its architecture calls them."""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer

from rlhf_core.errors import ModelError


def transformer_layers(model: nn.Module) -> list[Any]:
    """Return the layers from the lowest to the highest; empty for an architecture transformers has not marked."""
    return [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]


def parameters_below(model: nn.Module, layers: int) -> list[nn.Parameter]:
    """Return the parameters that come before the last `layers` layers: embeddings, and the layers underneath.

    Raises:
        ModelError: the model's layers are not known, or there are fewer.
    """
    known = transformer_layers(model)
    if layers > len(known):
        remedy = f"Set layers to {len(known)} or less" if known else "Set layers=null"
        where = type(model).__name__
        raise ModelError("has too few layers that can be told apart", where=where, value=layers, remedy=remedy)
    first = next(known[-layers].parameters())
    order = list(model.parameters())
    return order[: next(n for n, parameter in enumerate(order) if parameter is first)]
