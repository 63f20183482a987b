"""Reward models with a score head for each category: whose head scores what, normalisation, saving, plain transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification

from rlhf_core.config import LoraConfig
from rlhf_core.errors import ModelError
from rlhf_core.models.rewards import RewardEnsemble, RewardModel, load_reward_model, new_reward_model
from tests.engine import LORA, reward_config, write_bert

KINDS = ("harmless", "helpful")
PROMPTS = ["Why?", "Tell me about tea", "Go on", "Sing"]
ANSWERS = ["Because.", "It is a hot drink made of leaves.", "No", "La la la la"]


def two_headed(source: str = "tiny", seed: int = 0, **fields: Any) -> RewardModel:
    """Return an untrained reward model with heads for harmless and helpful prompts."""
    return new_reward_model(reward_config(model=source, **fields), torch.Generator().manual_seed(seed), KINDS)


def logits_of(model: RewardModel) -> Tensor:
    with torch.no_grad():
        return model(model.tokenize(PROMPTS, ANSWERS))


def test_a_text_is_scored_by_the_head_of_its_category_and_without_one_by_the_mean_of_all():
    model = two_headed()
    heads = logits_of(model)
    assert heads.shape == (4, 2) and (heads[:, 0] - heads[:, 1]).abs().min() > 1e-4
    scores = model.score(PROMPTS, ANSWERS, ["helpful", "harmless", "", "poetry"])
    expected = torch.stack([heads[0, 1], heads[1, 0], heads[2].mean(), heads[3].mean()])
    torch.testing.assert_close(scores, expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(model.score(PROMPTS, ANSWERS), heads.mean(1), atol=1e-6, rtol=1e-5)


def test_texts_of_which_no_category_is_said_are_of_the_one_that_was_named():
    model = two_headed().of_category("helpful")
    torch.testing.assert_close(model.score(PROMPTS, ANSWERS), logits_of(model)[:, 1], atol=1e-6, rtol=1e-5)
    both = RewardEnsemble([two_headed(seed=n) for n in (0, 1)]).of_category("harmless")
    own = torch.stack([logits_of(member)[:, 0] for member in both.members])
    torch.testing.assert_close(both.member_scores(PROMPTS, ANSWERS), own, atol=1e-6, rtol=1e-5)
    assert torch.equal(both.score(PROMPTS, ANSWERS, ["harmless"] * 4), both.score(PROMPTS, ANSWERS))


def test_a_category_without_a_head_is_refused_by_name():
    with pytest.raises(ModelError, match=r"no head for it.*poetry.*harmless, helpful"):
        two_headed().of_category("poetry")
    single = new_reward_model(reward_config(), torch.Generator().manual_seed(0))
    with pytest.raises(ModelError, match=r"reward\.by_category=true"):
        single.of_category("helpful")
    assert single.of_category("") is single
    assert torch.equal(single.score(PROMPTS, ANSWERS, ["helpful"] * 4), single.score(PROMPTS, ANSWERS))


def test_every_head_and_their_mean_are_normalised_each_by_itself():
    """Claim 13, head by head."""
    model = two_headed()
    model.normalise_on(PROMPTS, ANSWERS)
    for name in ("", *KINDS):
        scores = model.score(PROMPTS, ANSWERS, [name] * 4)
        assert scores.mean().item() == pytest.approx(0, abs=1e-5)
        assert scores.std(unbiased=False).item() == pytest.approx(1, abs=1e-4)
    mean, sd = model.constants["helpful"]
    assert model.normalisation["categories"]["helpful"] == (mean, sd) != model.constants["harmless"]


@pytest.mark.parametrize("backbone", ["decoder", "encoder"])
@pytest.mark.parametrize("lora", [None, LORA])
def test_saving_keeps_heads_constants_and_bits(backbone: str, lora: LoraConfig | None, tmp_path: Path):
    """Claim 12."""
    model = two_headed("tiny" if backbone == "decoder" else str(write_bert(tmp_path / "bert")), lora=lora)
    model.normalise_on(PROMPTS, ANSWERS)
    model.save(tmp_path / "saved")
    loaded = load_reward_model(tmp_path / "saved")
    assert isinstance(loaded, RewardModel) and loaded.categories == KINDS and loaded.constants == model.constants
    for names in (None, ["helpful", "harmless", "", "helpful"]):
        assert torch.equal(loaded.score(PROMPTS, ANSWERS, names), model.score(PROMPTS, ANSWERS, names))


def test_transformers_alone_reads_it_with_the_categories_for_labels(tmp_path: Path):
    model = two_headed(str(write_bert(tmp_path / "bert")))
    model.save(tmp_path / "saved")
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved").eval()
    assert plain.config.id2label == dict(enumerate(KINDS))
    with torch.no_grad():
        logits = plain(**model.tokenize(PROMPTS, ANSWERS)).logits
    torch.testing.assert_close(logits, logits_of(model), atol=1e-5, rtol=1e-4)
