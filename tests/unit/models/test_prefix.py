"""Rows that begin alike, their beginning run once: the same states and gradients as each row run by itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from rlhf_core.config import LoraConfig
from rlhf_core.models.forward import plain
from rlhf_core.models.policy import Policy
from rlhf_core.models.prefix import run_rows
from rlhf_core.ops.text_masks import pad_rows
from tests.engine import LORA, move, tiny_policy

ROWS = [list(b"say: tea"), list(b"say: a longer one"), list(b"say: no")]
PREFIX = len(b"say: ")
TOP = LoraConfig(r=4, alpha=8, layers=1)
CLOSE: dict[str, Any] = {"atol": 1e-5, "rtol": 1e-5}


def decoder(policy: Policy) -> Any:
    return plain(policy.lm).model


def padded() -> tuple[Tensor, Tensor]:
    """The rows, padded by a token that the model would answer to."""
    return pad_rows(ROWS, 7, left=True)


@pytest.mark.parametrize("prefix", [1, PREFIX])
def test_states_are_those_of_each_row_alone(prefix: int):
    """Claim 3: at every real token, the prefix's own among them."""
    policy = move(tiny_policy(), size=0.2)
    ids, mask = padded()
    with torch.no_grad():
        states = run_rows(decoder(policy), ids, mask, prefix)
        alone = [decoder(policy)(input_ids=torch.tensor([row])).last_hidden_state[0] for row in ROWS]
    assert states.shape[:2] == ids.shape
    torch.testing.assert_close(states[mask], torch.cat(alone), **CLOSE)


def test_rows_that_are_equal_but_for_their_end():
    """Several samples of one prompt."""
    policy = move(tiny_policy(), size=0.2)
    ids = torch.tensor([[5, 6, 7, 8], [5, 6, 7, 9]])
    mask = torch.ones_like(ids, dtype=torch.bool)
    with torch.no_grad():
        states = run_rows(decoder(policy), ids, mask, 3)
        torch.testing.assert_close(states, run_rows(decoder(policy), ids, mask), **CLOSE)


@pytest.mark.parametrize("lora", [LORA, TOP, None], ids=["all layers", "last layer", "all weights"])
def test_gradients_reach_the_prefix_from_every_row(lora: LoraConfig | None):
    """Claim 26: with one pass for the prefix the gradient is that of one pass a row."""
    ids, mask = padded()
    counts = torch.arange(ids.shape[1]) >= ids.shape[1] - 2
    gradients = []
    for prefix in (0, PREFIX):
        policy = move(tiny_policy(lora), size=0.2 if lora else 0.0)
        below = policy.below(ids, mask, prefix)
        logits, hidden = policy.run(ids, mask, counts.expand(3, -1), below, prefix)
        (logits.logsumexp(-1).sum() + hidden.square().sum()).backward()
        gradients.append({name: p.grad for name, p in policy.trainable().items()})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        assert gradient is not None and gradient.any()
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-4, rtol=1e-3)


def test_what_lies_below_the_adapters_is_the_same_with_and_without_a_prefix():
    policy = tiny_policy(TOP)
    ids, mask = padded()
    with_prefix, without = policy.below(ids, mask, PREFIX), policy.below(ids, mask)
    assert with_prefix is not None and without is not None
    torch.testing.assert_close(with_prefix[mask], without[mask], **CLOSE)


def test_only_a_policy_that_can_run_a_prefix_once_has_one():
    policy = tiny_policy()
    assert policy.common_prefix(ROWS) == PREFIX
    policy.gradient_checkpointing = True
    assert policy.common_prefix(ROWS) == 0
    policy.gradient_checkpointing = False
    plain(policy.lm).config.model_type = "opt"
    assert policy.common_prefix(ROWS) == 0


def test_a_prefix_is_computed_once():
    """What this is for: 5 + 3 × 12 tokens go through the layers instead of 3 × 17."""
    policy, seen = tiny_policy(), []
    ids, mask = padded()
    decoder(policy).layers[0].mlp.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].shape[:2].numel()))
    run_rows(decoder(policy), ids, mask, PREFIX)
    assert sum(seen) == PREFIX + 3 * (len(ROWS[1]) - PREFIX)
