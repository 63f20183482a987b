"""The last layer of a BERT classifier computes its first token alone, and nothing changes but the time."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from rlhf_core.config import LoraConfig
from rlhf_core.models.first_token import read_first_token
from rlhf_core.models.lora import add_adapters
from rlhf_core.models.sources import load_classifier
from rlhf_core.models.transformer_layers import transformer_layers
from tests.engine import write_bert

TOKENS = torch.tensor([[2, 5, 6, 7, 8, 9, 3], [2, 9, 4, 3, 0, 0, 0]])
MASK = torch.tensor([[1] * 7, [1, 1, 1, 1, 0, 0, 0]])


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Any, Any]:
    """A BERT classifier that computes all tokens of its last layer, and one of the same weights that does not."""
    found, _ = load_classifier(write_bert(tmp_path / "bert", labels=("a", "b")))
    whole = copy.deepcopy(found)
    transformer_layers(whole)[-1]._forward_pre_hooks.clear()
    return whole.eval(), found.eval()


def gradients(model: Any, mask: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits of the two texts, and what a loss on them says to every parameter."""
    logits = model(input_ids=TOKENS, attention_mask=mask).logits
    (logits * torch.tensor([[1.0, -2.0], [0.5, 3.0]])).sum().backward()
    return logits, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("attention", ["by_products", "sdpa", "eager"])
@pytest.mark.parametrize("mask", [MASK, torch.ones_like(MASK)])
@pytest.mark.parametrize("adapters", [False, True])
def test_scores_and_gradients_are_those_of_the_whole_layer(
    pair: tuple[Any, Any], attention: str, mask: Tensor, adapters: bool
):
    found = []
    for model in pair:
        model.set_attn_implementation(attention)
        torch.manual_seed(0)
        model = add_adapters(model, LoraConfig(r=2, alpha=4), "SEQ_CLS") if adapters else model
        found.append(gradients(model, mask))
    (expected, wanted), (logits, given) = found
    torch.testing.assert_close(logits, expected)
    assert list(given) == list(wanted) and len(given) > 4
    for name, gradient in wanted.items():
        torch.testing.assert_close(given[name], gradient, msg=name)


def test_the_feed_forward_of_the_last_layer_sees_one_token(pair: tuple[Any, Any]):
    seen: list[torch.Size] = []
    for layer in transformer_layers(pair[1]):
        layer.intermediate.register_forward_hook(lambda _module, args, _output: seen.append(args[0].shape[:2]))
    pair[1](input_ids=TOKENS, attention_mask=MASK)
    assert seen == [*[TOKENS.shape] * (len(seen) - 1), (2, 1)] and len(seen) > 1


def test_attention_whose_mask_is_unknown_and_other_models_are_left_alone(pair: tuple[Any, Any]):
    pair[1].config._attn_implementation = "flash_attention_2"
    states, kept = torch.ones(2, 7, 4), {"past_key_values": None}
    hook = next(iter(transformer_layers(pair[1])[-1]._forward_pre_hooks.values()))
    args, given = hook(transformer_layers(pair[1])[-1], (states, MASK), kept)
    assert args == (states, MASK) and given is kept
    other = torch.nn.Linear(2, 2)
    assert read_first_token(other) is other and not other._forward_pre_hooks
