"""A model to sample from: every weight shared with the policy, but adapted layers computed as one product instead of three."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn


@torch.no_grad()
def merged_view(module: nn.Module) -> Any:
    """Return a view of a peft model in which each adapted layer is a plain one with the weights W + s·B·A of this moment.

    Nothing is changed in `module`, and what has no adapter is not copied. W stays in its own precision, so over a bfloat16
    base the sum is rounded: sample from the policy itself there.
    """
    if hasattr(module, "lora_A"):
        return _merged_layer(module)
    children = {name: merged_view(child) for name, child in module.named_children()}
    if all(child is module._modules[name] for name, child in children.items()):
        return module
    twin = copy.copy(module)
    twin._modules = {**module._modules, **children}
    return twin


def _merged_layer(layer: Any) -> nn.Module:
    plain = copy.copy(layer.get_base_layer())
    plain._parameters = dict(plain._parameters)
    delta = sum(layer.get_delta_weight(name) for name in layer.active_adapters)
    plain._parameters["weight"] = nn.Parameter(plain.weight + delta, requires_grad=False)
    return plain
