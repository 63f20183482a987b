"""Gradient checkpointing of the policy: the same gradients over the shared trunk, and sampling as it was."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from rlhf_core.config import LoraConfig
from rlhf_core.errors import ModelError
from rlhf_core.models.checkpointing import checkpointed_layers
from rlhf_core.models.policy import Policy
from rlhf_core.models.sampling import SamplingConfig
from rlhf_core.ops.text_masks import pad_rows
from rlhf_core.training.rollout import sample
from tests.engine import LORA, episodes, move, tiny_policy

TOP = LoraConfig(r=4, alpha=8, layers=1)
COUNTS = torch.arange(14) >= torch.tensor([[10], [8]])  # of two rows of 14 tokens, the longer one


def passed(policy: Policy, *, shared: bool) -> tuple[list[Tensor], int]:
    """Gradients of a number made of logits and hidden states, and how many numbers were kept for the backward pass."""
    ids, mask = pad_rows([list(b"tell me why"), list(b"why not, then?")], policy.tokenizer.pad_token_id, left=True)
    below = policy.below(ids, mask) if shared else None
    policy.zero_grad()
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        logits, hidden = policy.run(ids, mask, COUNTS, below)
        (logits.logsumexp(-1).sum() + hidden.square().sum()).backward()
    return [p.grad.clone() for p in policy.trainable().values() if p.grad is not None], sum(kept)


@pytest.mark.parametrize(("lora", "shared"), [(TOP, True), (TOP, False), (LORA, False), (None, False)])
def test_gradients_of_logits_and_values_are_the_same_bit_for_bit(lora: LoraConfig | None, shared: bool):
    policy = move(tiny_policy(lora))
    plain, much = passed(policy, shared=shared)
    policy.gradient_checkpointing = True
    saved, little = passed(policy, shared=shared)
    assert len(plain) > 1 and len(plain) == len(saved)
    assert all(torch.equal(a, b) for a, b in zip(plain, saved, strict=True))
    assert little < 0.6 * much


def test_sampling_and_passes_without_gradients_are_as_they_were():
    policy = move(tiny_policy())
    texts = []
    for on in (False, True):
        policy.gradient_checkpointing = on
        generator = torch.Generator().manual_seed(0)
        texts.append(sample(policy, episodes(policy), SamplingConfig(6, 1.0), generator).responses)
    assert texts[0] == texts[1]
    assert not any(module.training for module in policy.modules())


def test_a_model_without_such_layers_is_refused():
    with (
        pytest.raises(
            ModelError, match=r"Linear: has no layers that can be checkpointed\. Set gradient_checkpointing=f"
        ),
        checkpointed_layers(nn.Linear(2, 2)),
    ):
        pass
