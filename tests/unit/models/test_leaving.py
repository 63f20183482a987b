"""Reward models as plain classifiers: their logits are our scores. Policies' settings as transformers takes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, GenerationConfig, pipeline

from rlhf_core.config import GenerateConfig, PolicyConfig
from rlhf_core.errors import ModelError
from rlhf_core.models import leaving
from rlhf_core.models.leaving import leave_policy, leave_reward_model, plain_scores
from rlhf_core.models.rewards import RewardEnsemble, RewardModel, load_reward_model, new_reward_model
from tests.engine import LORA, move, reward_config, tiny_policy, write_bert

PROMPTS = ["Why?", "Tell me about tea", "Go on. " * 30]
ANSWERS = ["Because.", "It is a hot drink made of leaves.", "No"]


def varied_bert(folder: Path) -> Path:
    """A tiny BERT that tells texts apart: with the usual small weights all score the same but for rounding."""
    return write_bert(folder, initializer_range=0.3)


def trained(folder: Path, backbone: str, categories: tuple[str, ...] = (), **fields: Any) -> RewardModel:
    """A reward model off where it starts, normalised on a few answers and saved into `folder`."""
    model = new_reward_model(
        reward_config(model=backbone, **fields), torch.Generator().manual_seed(len(fields)), categories
    )
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_" in name or (len(weight) <= 2 and "embeddings" not in name):
                weight.add_(0.3 * torch.randn(weight.shape, generator=generator))
    model.normalise_on(PROMPTS, ANSWERS)
    model.save(folder)
    return model


@pytest.fixture(params=["decoder", "encoder"])
def backbone(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A tiny Llama, whose score head has no bias, and a tiny BERT, whose has one."""
    return "tiny" if request.param == "decoder" else str(varied_bert(tmp_path / "bert"))


@pytest.mark.parametrize("lora", [None, LORA], ids=["all weights", "adapters"])
def test_a_plain_classifier_gives_our_scores(backbone: str, lora: Any, tmp_path: Path):
    model = trained(tmp_path / "model", backbone, lora=lora)
    assert leave_reward_model(tmp_path / "model", tmp_path / "out") == [tmp_path / "out"]
    found = plain_scores(tmp_path / "out", PROMPTS, ANSWERS).squeeze(1)
    torch.testing.assert_close(found, model.score(PROMPTS, ANSWERS), atol=1e-5, rtol=1e-5)
    assert found.mean().item() == pytest.approx(0, abs=1e-4)  # normalised on these very answers
    assert found.std(unbiased=False).item() == pytest.approx(1, abs=1e-4)


def test_only_a_head_without_bias_leaves_an_offset(tmp_path: Path):
    for name, backbone in (("decoder", "tiny"), ("encoder", str(varied_bert(tmp_path / "bert")))):
        model = trained(tmp_path / name, backbone)
        leave_reward_model(tmp_path / name, tmp_path / f"{name}-out")
        about = json.loads((tmp_path / f"{name}-out" / "config.json").read_text())
        mean, sd = model.constants[""]
        assert about.get("score_offset") == (pytest.approx([-mean / sd]) if name == "decoder" else None)
        assert about["id2label"] == {"0": "score"} and about["architectures"][0].endswith("ForSequenceClassification")


def test_the_text_classification_pipeline_shows_the_score_itself(tmp_path: Path):
    """Not its sigmoid, which the pipeline takes of a single label by default."""
    model = trained(tmp_path / "model", str(varied_bert(tmp_path / "bert")))
    leave_reward_model(tmp_path / "model", tmp_path / "out")
    pipe: Any = pipeline("text-classification", model=str(tmp_path / "out"))
    said = pipe({"text": PROMPTS[0], "text_pair": ANSWERS[0]})
    said = said[0] if isinstance(said, list) else said
    assert said["label"] == "score"
    assert said["score"] == pytest.approx(model.score(PROMPTS[:1], ANSWERS[:1]).item(), abs=1e-5)


def test_heads_by_category_leave_as_labels_each_with_its_own_constants(backbone: str, tmp_path: Path):
    model = trained(tmp_path / "model", backbone, ("harmless", "helpful"))
    leave_reward_model(tmp_path / "model", tmp_path / "out")
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert plain.config.id2label == {0: "harmless", 1: "helpful"}
    found = plain_scores(tmp_path / "out", PROMPTS, ANSWERS)
    for place, name in enumerate(("harmless", "helpful")):
        expected = model.score(PROMPTS, ANSWERS, [name] * len(PROMPTS))
        torch.testing.assert_close(found[:, place], expected, atol=1e-5, rtol=1e-5)


def test_every_member_of_an_ensemble_has_a_folder(tmp_path: Path):
    backbone = str(varied_bert(tmp_path / "bert"))
    members = [trained(tmp_path / "a", backbone), trained(tmp_path / "b", backbone, centering=0.0)]
    RewardEnsemble(members).save(tmp_path / "both")
    folders = leave_reward_model(tmp_path / "both", tmp_path / "out")
    assert [folder.name for folder in folders] == ["member-0", "member-1"]
    mean = torch.stack([plain_scores(folder, PROMPTS, ANSWERS)[:, 0] for folder in folders]).mean(0)
    expected = load_reward_model(tmp_path / "both").score(PROMPTS, ANSWERS)
    torch.testing.assert_close(mean, expected, atol=1e-5, rtol=1e-5)
    assert (plain_scores(folders[0], PROMPTS, ANSWERS)[:, 0] - mean).abs().max() > 1e-2  # the members differ


def test_scores_that_plain_transformers_does_not_give_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    trained(tmp_path / "model", str(varied_bert(tmp_path / "bert")))
    whole = leaving.plain_scores
    monkeypatch.setattr(leaving, "plain_scores", lambda *given: whole(*given) + 0.001)
    with pytest.raises(
        ModelError, match=r"BertForSequenceClassification: plain transformers gives other scores .*0\.00"
    ):
        leave_reward_model(tmp_path / "model", tmp_path / "out")


def test_a_reward_tokenizer_leaves_without_what_the_last_batch_left_in_it(tmp_path: Path):
    """Padding and truncation of the last call would be in tokenizer.json otherwise, and cut every later text."""
    model = trained(tmp_path / "model", str(varied_bert(tmp_path / "bert")))
    leave_reward_model(tmp_path / "model", tmp_path / "out")
    about = json.loads((tmp_path / "out" / "tokenizer.json").read_text())
    assert about["truncation"] is None and about["padding"] is None
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert (tokenizer.model_max_length, tokenizer.truncation_side, tokenizer.padding_side) == (
        model.max_length,
        "left",
        "right",
    )


def test_a_policy_leaves_with_how_it_is_asked_and_sampled(tmp_path: Path):
    policy = move(tiny_policy(), 0.3)
    policy.save(tmp_path / "model")
    settings = PolicyConfig(model="tiny", dtype="float32", system_prompt="Be brief.")
    sampling = GenerateConfig(temperature=0.6, top_p=0.9, max_new_tokens=7)
    assert leave_policy(str(tmp_path / "model"), settings, sampling, tmp_path / "out") == ""
    how = GenerationConfig.from_pretrained(tmp_path / "out")
    assert (how.do_sample, how.temperature, how.top_p, how.top_k, how.max_new_tokens) == (True, 0.6, 0.9, 0, 7)
    assert (how.eos_token_id, how.pad_token_id) == (2, 0)  # of the tiny tokenizer: <|im_end|>, <|endoftext|>
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    asked: Any = tokenizer.apply_chat_template([{"role": "user", "content": "Why?"}], add_generation_prompt=True)
    assert asked["input_ids"] == policy.encode_prompt("Why?", "Be brief.", 128)
    assert tokenizer.padding_side == "left" and tokenizer.pad_token_id != tokenizer.eos_token_id
    about = json.loads((tmp_path / "out" / "config.json").read_text())
    assert about["pad_token_id"] == 0 and "by_products" not in json.dumps(about)
