"""The shared trunk: two parts that together are the whole, for policy and reference, forward and backward."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from transformers import OPTConfig, OPTForCausalLM

from rlhf_core.config import LoraConfig
from rlhf_core.models.lora import add_adapters
from rlhf_core.models.policy import Policy, load_merged
from rlhf_core.models.trunk import SharedTrunk, shared_trunk
from rlhf_core.ops.text_masks import pad_rows
from tests.engine import move, tiny_policy

TOP = LoraConfig(r=4, alpha=8, layers=1)
COUNTS = torch.arange(14) >= torch.tensor([[10], [8]])  # of two rows of 14 tokens, the longer one


def batch(policy: Policy) -> tuple[Tensor, Tensor]:
    """Two rows of different lengths, padded on the left."""
    return pad_rows([list(b"tell me why"), list(b"why not, then?")], policy.tokenizer.pad_token_id, left=True)


@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_parts_together_are_the_whole(reference: bool, dtype: str):
    """Claims 3 and 26: bit for bit, whatever the adapters have learnt."""
    policy = move(tiny_policy(TOP, dtype=dtype))
    ids, mask = batch(policy)
    below = policy.below(ids, mask)
    assert below is not None and below.shape == (*ids.shape, policy.width)
    whole = policy.run(ids, mask, COUNTS, reference=reference)
    parts = policy.run(ids, mask, COUNTS, below, reference=reference)
    assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))


def test_what_is_shared_does_not_depend_on_what_is_learnt():
    policy = tiny_policy(TOP)
    ids, mask = batch(policy)
    before = policy.below(ids, mask)
    after = move(policy).below(ids, mask)
    assert before is not None and after is not None and torch.equal(before, after)


def test_gradients_from_the_parts_are_those_of_the_whole():
    gradients = []
    for split in (False, True):
        policy = move(tiny_policy(TOP))
        ids, mask = batch(policy)
        logits, hidden = policy.run(ids, mask, COUNTS, policy.below(ids, mask) if split else None)
        (logits.logsumexp(-1).sum() + hidden.square().sum()).backward()
        gradients.append({name: p.grad for name, p in policy.trainable().items()})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        assert gradient is not None and gradient.any()
        torch.testing.assert_close(gradients[1][name], gradient)


def test_only_the_last_layers_learn():
    names = tiny_policy(TOP).trainable()
    assert names and all(".layers.1." in name for name in names)
    assert any(".layers.0." in name for name in tiny_policy(LoraConfig(r=4, alpha=8, layers=9)).trainable())


def test_nothing_is_shared_where_the_first_layer_learns():
    policy = tiny_policy()
    ids, mask = batch(policy)
    assert policy.trunk is None and policy.below(ids, mask) is None
    assert tiny_policy(None).trunk is None and tiny_policy(TOP, trainable=False).trunk is None


def test_a_model_of_another_layout_is_run_whole():
    sizes = {"vocab_size": 300, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "ffn_dim": 16}
    lm = add_adapters(OPTForCausalLM(OPTConfig(**sizes, word_embed_proj_dim=16)), TOP)
    assert shared_trunk(lm) is None


def test_a_model_that_does_more_than_its_layers_is_run_whole(monkeypatch: pytest.MonkeyPatch):
    """One that scales what it embeds, say: found by comparing the parts with the whole."""
    plain = SharedTrunk.below
    lm = add_adapters(load_merged("tiny", torch.float32), TOP)
    assert shared_trunk(lm) is not None
    monkeypatch.setattr(SharedTrunk, "below", lambda self, ids, mask: 8.0 * plain(self, ids, mask))
    assert shared_trunk(lm) is None


def test_making_the_parts_leaves_the_model_as_it_was():
    lm = add_adapters(load_merged("tiny", torch.float32), TOP)
    modules = [name for name, _ in lm.named_modules()]
    assert shared_trunk(lm) is not None
    assert [name for name, _ in lm.named_modules()] == modules
    assert isinstance(lm.get_base_model().model.layers, nn.ModuleList) and len(lm.get_base_model().model.layers) == 2
