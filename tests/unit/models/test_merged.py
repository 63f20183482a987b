"""The merged view: the same function with fewer products, and nothing touched."""

from __future__ import annotations

import torch
from torch import Tensor

from rlhf_core.config import LoraConfig
from rlhf_core.models.merged import merged_view
from rlhf_core.models.policy import Policy
from tests.engine import move, tiny_policy

IDS = torch.tensor([list(b"tell me why")])


@torch.no_grad()
def logits(lm: object) -> Tensor:
    return lm(IDS).logits  # type: ignore[operator]


def test_it_computes_what_the_adapted_model_computes():
    """W·x + s·B·(A·x) = (W + s·B·A)·x, to rounding; the reference differs by far more."""
    policy = move(tiny_policy(), size=0.2)
    merged, adapted = logits(merged_view(policy.lm.get_base_model())), logits(policy.lm)
    torch.testing.assert_close(merged, adapted, atol=1e-5, rtol=1e-4)
    with policy.reference() as lm:
        assert (logits(lm) - adapted).abs().max() > 0.01
        assert torch.equal(logits(merged_view(policy.lm.get_base_model())), logits(lm))


def test_the_model_is_not_changed_and_its_weights_are_shared():
    policy = move(tiny_policy(LoraConfig(r=4, alpha=8, layers=1)), size=0.2)
    before = {name: weight.clone() for name, weight in policy.lm.state_dict().items()}
    view = merged_view(policy.lm.get_base_model())
    after = policy.lm.state_dict()
    assert all(torch.equal(weight, after[name]) for name, weight in before.items())
    first, last = view.model.layers
    assert first is _layers(policy)[0], "a layer without adapters is the same object"
    assert last.mlp is _layers(policy)[1].mlp and last is not _layers(policy)[1]
    assert not any("lora" in name for name, _ in view.named_parameters())


def test_a_bfloat16_layer_keeps_its_adapter():
    policy = move(tiny_policy(dtype="bfloat16"))
    base = policy.lm.get_base_model()
    assert merged_view(base).model.layers[0].self_attn.q_proj is base.model.layers[0].self_attn.q_proj


def _layers(policy: Policy) -> list[torch.nn.Module]:
    return list(policy.lm.get_base_model().model.layers)
