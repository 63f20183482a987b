"""Gradient checkpointing (Chen et al. 2016, arXiv 1604.06174): activations inside layers are computed twice, not kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint

from rlhf_core.errors import ModelError
from rlhf_core.models.transformer_layers import transformer_layers


@contextmanager
def checkpointed_layers(model: nn.Module) -> Iterator[None]:
    """Let forward passes made in this context keep only what enters each layer; gradients are the same bit for bit.

    Outside the context the layers are as they were: a layer so marked refuses the cache that sampling needs. Only the
    layer itself is marked as training, not what is in it, so that dropout stays off.

    Raises:
        ModelError: the model's layers do not know how.
    """
    layers = transformer_layers(model)
    if not layers:
        raise ModelError(
            "has no layers that can be checkpointed",
            where=type(model).__name__,
            remedy="Set gradient_checkpointing=false",
        )
    _mark(layers, on=True)
    try:
        yield
    finally:
        _mark(layers, on=False)


def _mark(layers: Sequence[Any], *, on: bool) -> None:
    for layer in layers:
        layer.gradient_checkpointing = layer.training = on
        layer._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)
