"""All weights learn from a bfloat16 base: they are float32, their products bfloat16, and everything still agrees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from rlhf_core.config import SFTConfig
from rlhf_core.models.policy import Policy, ValueModel
from rlhf_core.ops.text_masks import pad_rows
from rlhf_core.training.heldout import HeldOut
from rlhf_core.training.ppo import FIRST_RATIO, train_ppo
from rlhf_core.training.sft import accumulate
from tests.engine import LORA, episodes, examples, logged, make_stage, move, ppo_config, tiny_policy, vowels

IDS, MASK = pad_rows([[5, 6, 7, 8, 9, 10]], 0, left=True)
COUNTS = torch.tensor([[False, False, False, True, True, True]])


def product_types(model: nn.Module) -> set[torch.dtype]:
    """Watch the layers of a model; the set returned fills with the types of what they give."""
    seen: set[torch.dtype] = set()
    for module in model.modules():
        if type(module) is nn.Linear and module.in_features > 1:
            module.register_forward_hook(lambda module, inputs, output: seen.add(output.dtype))
    return seen


def test_products_are_rounded_and_weights_states_and_gradients_are_not():
    policy = tiny_policy(None, dtype="bfloat16")
    seen = product_types(policy.lm)
    logits, hidden = policy.run(IDS, MASK, COUNTS)
    logits.float().square().mean().backward()
    assert seen == {torch.bfloat16} and hidden.dtype == torch.float32
    assert {p.grad.dtype for p in policy.trainable().values() if p.grad is not None} == {torch.float32}


@pytest.mark.parametrize(("lora", "dtype"), [(None, "float32"), (LORA, "float32"), (LORA, "bfloat16")])
def test_elsewhere_products_stay_as_the_weights_are(lora: Any, dtype: str):
    policy = tiny_policy(lora, dtype=dtype)
    logits, _ = policy.run(IDS, MASK, COUNTS)
    assert logits.dtype == getattr(torch, dtype)
    assert policy.sampler() is policy.lm


def test_the_value_model_multiplies_as_the_policy_does():
    policy = tiny_policy(None, dtype="bfloat16")
    value_model = ValueModel(policy, separate=True)
    seen = product_types(value_model.lm)
    _, hidden = policy.run(IDS, MASK, COUNTS)
    assert value_model(IDS, MASK, COUNTS, hidden).dtype == torch.float32
    assert seen == {torch.bfloat16}


def test_the_sampler_is_the_policy_of_this_moment_rounded():
    policy = move(tiny_policy(None, dtype="bfloat16"))
    weights = dict(policy.lm.named_parameters())
    for name, rounded in policy.sampler().named_parameters():
        assert torch.equal(rounded, weights[name].bfloat16())
    with policy.reference() as lm:
        frozen = dict(lm.named_parameters())
        assert all(torch.equal(w, frozen[name].bfloat16()) for name, w in policy.sampler(lm).named_parameters())
    assert {w.dtype for w in weights.values()} == {torch.float32}


def stored_in_bfloat16(products: torch.dtype) -> Policy:
    """The same weights whatever the products are, so that nothing but the products can make a difference."""
    policy = tiny_policy(None, dtype="bfloat16")
    policy.products = products
    return policy


@pytest.mark.parametrize("checkpointing", [False, True])
def test_ppo_starts_at_no_distance_and_measures_what_float32_measures(tmp_path: Path, checkpointing: bool):
    """Claims 3 and 16 on full weights: the first KL is 0, the first ratio 1 and the entropy float32's but for a rounding.

    Entropies of the first iteration are compared: after it the two sample different answers.
    """
    logs = {}
    for dtype in (torch.float32, torch.bfloat16):
        policy, stage = stored_in_bfloat16(dtype), make_stage(tmp_path / str(dtype))
        policy.gradient_checkpointing = checkpointing
        config = ppo_config(value_network="separate", eval_every=3)
        prompts = episodes(policy)
        train_ppo(policy, vowels, prompts, HeldOut(prompts[:2], vowels, config, stage), config, stage)
        logs[dtype] = {row["step"]: row for row in logged(stage) if "objective/kl" in row}
    rounded, exact = logs[torch.bfloat16], logs[torch.float32]
    assert rounded[1]["objective/kl"] == 0 and all(row[FIRST_RATIO] < 2**-8 for row in rounded.values())
    assert rounded[3]["objective/kl"] != 0
    assert rounded[1]["policy/entropy"] == pytest.approx(exact[1]["policy/entropy"], rel=0.02)
    assert rounded[1]["policy/entropy"] != exact[1]["policy/entropy"]


def test_fine_tuning_has_the_loss_and_the_gradient_of_float32_but_for_a_rounding():
    def learnt(policy: Policy) -> tuple[float, torch.Tensor]:
        settings = SFTConfig(batch_size=4, micro_batch_size=4)
        loss = accumulate(policy, examples(policy, 4), settings)
        return loss, torch.cat([p.grad.flatten() for p in policy.trainable().values() if p.grad is not None])

    (exact, true), (rounded, close) = (learnt(stored_in_bfloat16(t)) for t in (torch.float32, torch.bfloat16))
    assert rounded == pytest.approx(exact, rel=0.02) and rounded != exact
    assert torch.cosine_similarity(true, close, dim=0) > 0.99
