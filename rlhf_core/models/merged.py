"""A model to sample from: it shares its weights with the policy, and each adapted layer is one product instead of three."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn


@torch.no_grad()
def merged_view(module: nn.Module) -> Any:
    """Return a view of a model in which each layer with LoRA adapters is a plain one with weights W + s·B·A as they are now.

    Nothing in `module` changes, and what has no adapter is not copied. Adapters that are off stay off. A layer whose W is
    not float32 stays as it is: the sum would be rounded, and another distribution sampled than the one that is trained.
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
    base = layer.get_base_layer()
    if layer.disable_adapters:
        return base
    if base.weight.dtype != torch.float32:
        return layer
    plain = copy.copy(base)
    delta = sum(layer.get_delta_weight(name) for name in layer.active_adapters)
    plain._parameters = {**base._parameters, "weight": nn.Parameter(base.weight + delta, requires_grad=False)}
    return plain
