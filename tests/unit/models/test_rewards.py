"""Reward models on an encoder and on a decoder: heads, padding, normalisation, truncation, saving."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2ForSequenceClassification

from rlhf_core.config import LoraConfig
from rlhf_core.errors import ModelError
from rlhf_core.models.heads import init_reward_head, value_head
from rlhf_core.models.rewards import RewardEnsemble, RewardModel, load_reward_model, new_reward_model
from rlhf_core.models.sources import load_tokenizer
from rlhf_core.ops.text_masks import pad_rows
from tests.engine import LORA, reward_config, write_bert

PROMPTS = ["Why?", "Tell me about tea", "Go on", "Sing"]
ANSWERS = ["Because.", "It is a hot drink made of leaves.", "No", "La la la la"]


@pytest.fixture(params=["decoder", "encoder"])
def backbone(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A tiny Llama, and a tiny BERT."""
    return "tiny" if request.param == "decoder" else str(write_bert(tmp_path / "bert"))


def model_on(backbone: str, **fields: Any) -> RewardModel:
    """Return an untrained reward model; seed 0 draws its head."""
    return new_reward_model(reward_config(model=backbone, **fields), torch.Generator().manual_seed(0))


def test_the_head_is_drawn_with_the_published_spread():
    """Claim 11: N(0, 1/√(d + 1)); over 255·4000 weights the sample sd is within 0.5% of 1/16, the mean within 4·sd/√n."""
    head = nn.Linear(255, 4000)
    init_reward_head(head, torch.Generator().manual_seed(0))
    assert head.weight.std().item() == pytest.approx(1 / 16, rel=5e-3)
    assert abs(head.weight.mean().item()) < 4 / 16 / (255 * 4000) ** 0.5
    assert not head.bias.any()


def test_the_head_depends_on_its_generator_only():
    heads = [nn.Linear(8, 1) for _ in range(2)]
    for head in heads:
        init_reward_head(head, torch.Generator().manual_seed(3))
    assert torch.equal(heads[0].weight, heads[1].weight)


def test_a_value_head_is_zero():
    """Claim 25."""
    head = value_head(16)
    assert not head.weight.any() and not head.bias.any() and head.weight.dtype == torch.float32


def test_a_score_does_not_depend_on_its_neighbours(backbone: str):
    """Claim 12: alone, or padded beside longer texts."""
    model = model_on(backbone)
    together = model.score(PROMPTS, ANSWERS)
    alone = torch.cat([model.score([p], [a]) for p, a in zip(PROMPTS, ANSWERS, strict=True)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_a_score_does_not_depend_on_the_side_its_tokenizer_pads(backbone: str):
    """Claim 12: an encoder pools its first token, so padding there would be scored in its place."""
    model = model_on(backbone)
    expected = model.score(PROMPTS, ANSWERS)
    model.tokenizer.padding_side = "left"
    assert torch.equal(model.score(PROMPTS, ANSWERS), expected)


def test_a_decoder_may_be_padded_on_either_side():
    """Claim 12: positions count real tokens, and the last of them is found."""
    model = model_on("tiny")
    batch = model.tokenize(PROMPTS, ANSWERS)
    rows = [ids[real.bool()].tolist() for ids, real in zip(batch["input_ids"], batch["attention_mask"], strict=True)]
    ids, mask = pad_rows(rows, model.tokenizer.pad_token_id, left=True)
    with torch.no_grad():
        padded_left = model({"input_ids": ids, "attention_mask": mask.long()})
        torch.testing.assert_close(padded_left, model(batch), atol=1e-5, rtol=1e-5)


def test_padding_is_no_position_for_a_decoder_that_learns_each_position():
    """Claim 12: rotary positions are relative and would hide a wrong count; a GPT-2 has a vector for every one."""
    sizes = {"vocab_size": 300, "n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 64}
    torch.manual_seed(0)
    classifier = GPT2ForSequenceClassification(GPT2Config(**sizes, num_labels=1, pad_token_id=0))
    with torch.no_grad():
        classifier.transformer.wpe.weight.normal_(0, 1)
    model = RewardModel(classifier, load_tokenizer("tiny"), "tiny", 96)
    rows = [list(b"tell me why"), list(b"no")]
    with torch.no_grad():
        left, right = (
            model({"input_ids": ids, "attention_mask": mask.long()})
            for ids, mask in (pad_rows(rows, 0, left=side) for side in (True, False))
        )
    torch.testing.assert_close(left, right, atol=1e-5, rtol=1e-5)
    assert left.std() > 1e-3


def test_a_decoder_is_read_at_its_last_real_token():
    """Claim 12: by hand, the score head over the trunk's state there."""
    model = model_on("tiny")
    batch = model.tokenize(PROMPTS, ANSWERS)
    with torch.no_grad():
        for row in range(len(PROMPTS)):
            ids = batch["input_ids"][row][batch["attention_mask"][row].bool()]
            state = model.classifier.model(ids.unsqueeze(0)).last_hidden_state[0, -1]
            assert model.classifier.score(state).item() == pytest.approx(model(batch)[row].item(), abs=1e-5)


def test_scores_come_back_in_the_order_given(backbone: str):
    """Scoring sorts by length inside."""
    model = model_on(backbone)
    prompts, answers = PROMPTS * 10, [f"{a}{'!' * n}" for n, a in enumerate(ANSWERS * 10)]
    forward = model.score(prompts, answers)
    torch.testing.assert_close(model.score(prompts[::-1], answers[::-1]).flip(0), forward, atol=1e-5, rtol=1e-5)


def test_dropout_is_off(tmp_path: Path):
    """Claim 5: bit for bit, on a BERT whose configuration asks for half its units to be dropped."""
    model = model_on(str(write_bert(tmp_path, dropout=0.5)))
    assert torch.equal(model.score(PROMPTS, ANSWERS), model.score(PROMPTS, ANSWERS))


def test_normalised_scores_of_the_reference_samples_have_mean_zero_and_sd_one(backbone: str):
    """Claim 13."""
    model = model_on(backbone)
    raw = model.score(PROMPTS, ANSWERS)
    model.normalise_on(PROMPTS, ANSWERS)
    scores = model.score(PROMPTS, ANSWERS)
    assert scores.mean().item() == pytest.approx(0, abs=1e-4)
    assert scores.std(unbiased=False).item() == pytest.approx(1, abs=1e-4)
    mean, sd = model.constants[""]
    torch.testing.assert_close(scores * sd + mean, raw, atol=1e-5, rtol=1e-5)


def test_normalising_twice_is_normalising_once(backbone: str):
    """Claim 13: the constants are those of the raw scores, not of normalised ones."""
    model = model_on(backbone)
    model.normalise_on(PROMPTS, ANSWERS)
    once = dict(model.constants)
    model.normalise_on(PROMPTS, ANSWERS)
    assert model.constants == once


def test_equal_scores_cannot_be_normalised():
    model = model_on("tiny")
    with pytest.raises(ModelError, match=r"reward model: scores every reference sample the same\. Train it longer"):
        model.normalise_on(["Why?"] * 3, ["No"] * 3)


@pytest.mark.parametrize("lora", [None, LORA])
def test_saving_and_loading_reproduces_scores_bit_for_bit(backbone: str, lora: LoraConfig | None, tmp_path: Path):
    """Claims 12 and 13: the head travels with the adapter, and the two constants with the model."""
    model = model_on(backbone, lora=lora)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 0.1, generator=torch.Generator().manual_seed(5))
    model.normalise_on(PROMPTS, ANSWERS)
    model.save(tmp_path / "reward")
    loaded = load_reward_model(tmp_path / "reward")
    assert torch.equal(loaded.score(PROMPTS, ANSWERS), model.score(PROMPTS, ANSWERS))
    assert (loaded.constants, loaded.max_length) == (model.constants, 96)
    assert not any(p.requires_grad for p in loaded.parameters())


def test_an_adapter_folder_is_small_and_holds_the_head(tmp_path: Path):
    """Claim 12."""
    from safetensors import safe_open

    model_on("tiny", lora=LORA).save(tmp_path)
    assert not (tmp_path / "model.safetensors").exists()
    with safe_open(tmp_path / "adapter_model.safetensors", "pt") as weights:
        assert any(name.endswith("score.weight") for name in weights.keys())  # noqa: SIM118


def test_a_long_prompt_loses_its_beginning_and_never_the_response(backbone: str):
    """What the reward model reads ends with the whole response, and starts late in the prompt."""
    model = model_on(backbone)
    prompt = "x" * 150 + "END"
    ids = model.tokenize([prompt], ["short answer"])["input_ids"][0]
    text = model.tokenizer.decode(ids, skip_special_tokens=True).replace(" ", "")
    assert len(ids) == 96
    assert "shortanswer" in text and "END" in text


def test_a_response_longer_than_the_limit_is_cut_and_still_scored(backbone: str):
    """An encoder keeps its beginning beside one token of prompt; the tokenizer by itself would raise."""
    model = model_on(backbone)
    response = "".join(chr(33 + n % 90) for n in range(300))
    assert model.tokenize(["Why?"], [response])["input_ids"].shape[1] == 96
    assert model.score(["Why?"], [response]).isfinite().all()
    if backbone != "tiny":
        text = model.tokenizer.decode(model.tokenize(["Why?"], [response])["input_ids"][0], skip_special_tokens=True)
        # 96 less [CLS], two [SEP] and one token of prompt
        assert text.replace(" ", "") == "?" + response[:92]


def test_a_folder_that_is_no_reward_model_is_refused(tmp_path: Path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"not a reward model: no reward_model\.json.*rlhf reward CONFIG"):
        load_reward_model(tmp_path)


def test_damaged_constants_are_refused_by_name(tmp_path: Path):
    model_on("tiny").save(tmp_path)
    (tmp_path / "reward_model.json").write_text(json.dumps({"base": "tiny"})[:-3])
    with pytest.raises(ModelError, match=r"reward_model\.json: cannot be read"):
        load_reward_model(tmp_path)


def test_a_backbone_without_a_linear_head_is_refused(tmp_path: Path):
    from transformers import RobertaConfig, RobertaForSequenceClassification

    write_bert(tmp_path)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = RobertaConfig(vocab_size=99, num_labels=1, **sizes)
    RobertaForSequenceClassification(config).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"RobertaForSequenceClassification: has no linear score head"):
        model_on(str(tmp_path))


@pytest.mark.parametrize("labels", [("no", "yes"), ("a", "b", "c")])
def test_a_classifier_s_own_head_is_dropped(labels: tuple[str, ...], tmp_path: Path):
    """Whatever it was trained to tell apart: the same body with a head of one label, drawn from the generator."""
    folders = [write_bert(tmp_path / str(len(known)), labels=known) for known in (labels, ("score",))]
    assert torch.equal(*(model_on(str(folder)).score(PROMPTS, ANSWERS) for folder in folders))


def test_weights_of_another_shape_are_refused(tmp_path: Path):
    write_bert(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"intermediate_size": 48}))
    with pytest.raises(ModelError, match=r"weights do not fit the model's configuration .*bert\.encoder"):
        model_on(str(tmp_path))


def test_all_that_is_drawn_depends_on_the_generator_and_leaves_the_global_stream_alone():
    """Claim 6: adapters too, so that a run resumed before its first checkpoint starts from the same weights."""
    first = model_on("tiny", lora=LORA).state_dict()
    torch.manual_seed(12345)
    expected = torch.random.get_rng_state()
    second = model_on("tiny", lora=LORA).state_dict()
    assert all(torch.equal(first[name], weight) for name, weight in second.items())
    assert torch.equal(torch.random.get_rng_state(), expected)


def test_an_ensemble_is_saved_as_its_members_and_loaded_as_their_mean(tmp_path: Path):
    """Claims 12 and 15: each with its own normalisation, so that neither outweighs the other."""
    members = [new_reward_model(reward_config(), torch.Generator().manual_seed(n)) for n in (0, 1)]
    for member in members:
        member.normalise_on(PROMPTS, ANSWERS)
    RewardEnsemble(members).save(tmp_path)
    loaded = load_reward_model(tmp_path)
    assert isinstance(loaded, RewardEnsemble) and loaded.source == "tiny"
    a, b = (m.score(PROMPTS, ANSWERS) for m in members)
    assert torch.equal(loaded.member_scores(PROMPTS, ANSWERS), torch.stack([a, b]))
    torch.testing.assert_close(loaded.score(PROMPTS, ANSWERS), (a + b) / 2)
    assert members[0].constants != members[1].constants
