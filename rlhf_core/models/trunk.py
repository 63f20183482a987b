"""The layers below the first adapter. Policy and reference agree on them, and no gradient passes through them, so one
pass over a rollout serves policy, reference and every update on it (the "hydra" of trlX, Castricato et al. 2023)."""

from __future__ import annotations

import copy
import re
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from rlhf_core.models.forward import plain
from rlhf_core.models.prefix import run_rows

PROBE = 8  # tokens of the comparison between the parts and the whole
ADAPTED = re.compile(r"\.layers\.(\d+)\..*lora_")


class SharedTrunk:
    """A causal LM in two parts, which share its modules: `below(ids, mask)`, then the causal LM `above` on what that returned."""

    def __init__(self, causal_lm: Any, first: int) -> None:
        prefix = causal_lm.base_model_prefix
        decoder = getattr(causal_lm, prefix)
        self._below = _with_children(decoder, layers=decoder.layers[:first], norm=nn.Identity())
        self.above = _with_children(causal_lm, **{prefix: _with_children(decoder, layers=decoder.layers[first:])})

    @torch.no_grad()
    def below(
        self, ids: Int[Tensor, "batch time"], mask: Bool[Tensor, "batch time"], prefix: int = 0
    ) -> Float[Tensor, "batch time width"]:
        """Return the activations that enter the first layer with an adapter; `prefix` as in `run_rows`."""
        return run_rows(self._below, ids, mask, prefix)


def shared_trunk(lm: Any) -> SharedTrunk | None:
    """Return the trunk below the adapters of a peft model, or None where there is nothing to share.

    That is: an adapter in the first layer, an unknown layout, or a model that does more than its layers say (position
    vectors, scaled embeddings), which shows when the two parts are compared with the whole on a few tokens.
    """
    adapted = [int(found[1]) for name, _ in lm.named_parameters() if (found := ADAPTED.search(name))]
    causal_lm = plain(lm)
    decoder = getattr(causal_lm, causal_lm.base_model_prefix, None)
    first = min(adapted, default=0)
    if not first or not hasattr(decoder, "layers") or not hasattr(decoder, "norm"):
        return None
    ids = torch.arange(PROBE, device=lm.device).remainder(lm.config.vocab_size).unsqueeze(0)
    mask = torch.ones_like(ids, dtype=torch.bool)
    with torch.no_grad():
        # Hidden states are asked for before the parts are made, so that they share the whole's hooks and add none.
        whole = causal_lm(input_ids=ids, use_cache=False, output_hidden_states=True).logits
        trunk = SharedTrunk(causal_lm, first)
        parts = trunk.above(inputs_embeds=trunk.below(ids, mask), use_cache=False).logits
    return trunk if torch.allclose(whole, parts, atol=1e-3, rtol=1e-3) else None


def _with_children(module: nn.Module, **children: nn.Module) -> Any:
    """Return a module that shares everything with `module` but the named children."""
    twin = copy.copy(module)
    twin._modules = {**module._modules, **children}
    return twin
