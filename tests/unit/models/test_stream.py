"""States run through the layers in the type of the products, under autocast and only there."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from rlhf_core.models.sources import load_classifier
from rlhf_core.models.transformer_layers import transformer_layers
from tests.engine import write_bert

TOKENS = torch.tensor([[2, 5, 6, 7, 8, 9, 3]])


@pytest.fixture
def bert(tmp_path: Path) -> Any:
    return load_classifier(write_bert(tmp_path / "bert"))[0].eval()


def types_between(model: Any) -> list[torch.dtype]:
    """The types of what leaves each layer for the next."""
    found: list[torch.dtype] = []
    for layer in transformer_layers(model):
        layer.register_forward_hook(lambda _module, _args, states: found.append(states.dtype))
    model(input_ids=TOKENS)
    return found


def test_under_autocast_states_are_narrow_and_gradients_reach_the_float32_weights(bert: Any):
    with torch.autocast("cpu", torch.bfloat16):
        assert types_between(bert) == [torch.bfloat16] * 2
        score = bert(input_ids=TOKENS).logits.sum()
    score.backward()
    gradient = bert.bert.embeddings.word_embeddings.weight.grad
    assert gradient.dtype == torch.float32 and gradient[5].abs().sum() > 0
    exact = copy.deepcopy(bert)(input_ids=TOKENS).logits.sum()
    torch.testing.assert_close(score.float(), exact, atol=0.02, rtol=0.02)


def test_without_autocast_nothing_is_rounded(bert: Any):
    assert types_between(bert) == [torch.float32] * 2
