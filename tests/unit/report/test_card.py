"""The model card: metadata that the Hugging Face library accepts, and no text that could end it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard, ModelCardData
from markdown_it import MarkdownIt

from rlhf_core.models.shipped import PACKAGED
from rlhf_core.report.card import render_card
from rlhf_core.report.facts import build_facts
from rlhf_core.report.parts import Facts
from rlhf_core.report.use import LeftPolicy, LeftRewardModel
from tests.hostile import NAMES
from tests.run_factory import vote_frame, write_run


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """The facts of a complete run with votes."""
    return build_facts(write_run(tmp_path_factory.mktemp("runs") / "demo"), vote_frame())


def test_the_library_reads_the_metadata(facts: Facts):
    data = ModelCard(render_card(facts)).data
    assert isinstance(data, ModelCardData)
    assert (data.license, data.language, data.pipeline_tag) == ("apache-2.0", "en", "text-generation")
    assert data.base_model == "HuggingFaceTB/SmolLM2-135M-Instruct" and data.model_name == "demo"
    results = {result.metric_type: result for result in data.eval_results or []}
    assert results["win_rate"].metric_value == 19.5 / 24 and results["win_rate"].verified is False
    assert results["kl_low"].metric_value == 5.1 and results["kl"].task_type == "text-generation"
    assert results["kl"].dataset_name == "12 held-out prompts of demo"
    assert yaml.safe_load(data.to_yaml())["model-index"][0]["name"] == "demo"


def test_a_model_from_elsewhere_is_named_and_its_licence_left_out(facts: Facts):
    head = yaml.safe_load(
        render_card(replace(facts, run=replace(facts.run, policy_model="org/other"))).split("---\n")[1]
    )
    assert head["base_model"] == "org/other" and not {"license", "language"} & head.keys()
    bare = yaml.safe_load(render_card(replace(facts, run=replace(facts.run, policy_model=None))).split("---\n")[1])
    assert "base_model" not in bare


def test_a_run_without_figures_has_no_index(tmp_path: Path):
    (tmp_path / "new").mkdir()
    head = yaml.safe_load(render_card(build_facts(tmp_path / "new")).split("---\n")[1])
    assert "model-index" not in head and head["tags"] == ["rlhf", "ppo", "rlhf-studio"]


@pytest.mark.parametrize("name", [*NAMES, "a\n---\nlicense: mit", "x: [y", "!!python/object:os.system"])
def test_a_hostile_name_stays_a_name(facts: Facts, name: str):
    card = render_card(replace(facts, run=replace(facts.run, name=name, policy_model=name)))
    head, body = card.removeprefix("---\n").split("\n---\n\n# ", 1)
    found = yaml.safe_load(head)
    assert found["model-index"][0]["name"] == name and found["base_model"] == name and "license" not in found
    tokens = [
        t
        for token in MarkdownIt("commonmark").enable("table").parse(f"# {body}")
        for t in (token, *(token.children or []))
    ]
    assert not {t.type for t in tokens} & {"html_block", "html_inline", "image", "link_open"}


def section(card: str, title: str) -> str:
    """A section of a card, from its heading to the next."""
    return card.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def test_the_card_of_the_tuned_model_says_how_to_load_the_folder_it_lies_in(facts: Facts):
    card = render_card(facts, LeftPolicy("ppo", "Be brief.", 0.7, 64))
    data = ModelCard(card).data
    assert isinstance(data, ModelCardData) and data.library_name == "transformers" and data.eval_results
    assert (
        render_card(facts)
        .split("## How to use it")[0]
        .replace("pipeline_tag", "library_name: transformers\npipeline_tag")
        == (card.split("## How to use it")[0])
    )
    use = section(card, "How to use it")
    assert "AutoModelForCausalLM.from_pretrained(folder)" in use and "peft" not in use
    assert "the one the model was trained with: “Be brief.”" in use and "temperature 0.7, at most 64 new tokens" in use
    assert "system prompt" not in section(render_card(facts, LeftPolicy("ppo", "", 0.7, 1)), "How to use it")


def test_the_card_of_an_adapter_names_the_model_it_belongs_on_and_warns_of_a_rounded_one(facts: Facts):
    left = LeftPolicy("ppo", "", 1.0, 64, base="org/base")
    use = section(render_card(facts, left), "How to use it")
    assert "base = 'org/base'" in use and "PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base)" in use
    assert "library_name: peft" in render_card(facts, left) and "rounded" not in use
    rounded = section(render_card(facts, replace(left, rounded="org/unrounded")), "How to use it")
    assert "On those of org/unrounded it gives other answers" in rounded


def test_the_card_of_an_encoder_decoder_gives_it_text_and_prints_all_it_returns(facts: Facts):
    use = section(
        render_card(facts, LeftPolicy("ppo", "Be brief.", 1.0, 64, encodes=True, chat=False)), "How to use it"
    )
    assert "AutoModelForSeq2SeqLM.from_pretrained(folder)" in use and "tokenizer.decode(output[0], skip" in use
    assert 'tokenizer("Why is the sky blue?", return_tensors' in use and "apply_chat_template" not in use
    assert "this and an empty line stood before every prompt: “Be brief.”" in use


def test_the_card_after_fine_tuning_claims_nothing_of_the_model_after_ppo(facts: Facts):
    card = render_card(facts, LeftPolicy("sft", "", 1.0, 64))
    head = yaml.safe_load(card.split("---\n")[1])
    assert "model-index" not in head and head["tags"] == ["rlhf", "sft", "rlhf-studio"]
    assert "\n# demo: after fine-tuning\n" in card and facts.verdict not in card and "win_rate" not in card
    row = next(c for c in facts.comparisons if (c.baseline, c.contender, c.measure) == ("base", "sft", "score"))
    assert f"| reward model: score | {row.n} | {row.mean_baseline:.3f}".replace("-", "−") in card
    assert "tuned" not in card.split("## Data")[0].split("\n| ", 1)[1]  # no row of another contender


def test_the_card_of_a_reward_model_has_its_test_and_its_own_base(facts: Facts):
    card = render_card(facts, LeftRewardModel(("score",), 128))
    data = ModelCard(card).data
    assert isinstance(data, ModelCardData)
    assert (data.pipeline_tag, data.base_model, data.license) == (
        "text-classification",
        "sentence-transformers/all-MiniLM-L6-v2",
        "mit",
    )
    assert {r.metric_type for r in data.eval_results or []} == {
        *("reward_accuracy", "reward_accuracy_low", "reward_accuracy_high", "reward_calibration_error")
    }
    assert "| 79.1% [70.8, 86.1] |" in card and facts.verdict not in card  # of the run's evaluation/reward_model.json
    use = section(card, "How to use it")
    assert "tokenizer(prompt, response, truncation" in use and "score_offset" not in use and "at most 128 tokens" in use


def test_a_reward_model_says_what_its_architecture_heads_and_members_ask_for(facts: Facts):
    left = LeftRewardModel(("harmless", "helpful"), 64, members=3, chat=True, offset=True)
    use = section(render_card(facts, left), "How to use it")
    assert "apply_chat_template(chat, tokenize=False)" in use and "glob('member-*')" in use
    assert "+ torch.tensor(model.config.score_offset)" in use
    assert "in this order: harmless, helpful." in use and "It is 3 models; their scores are averaged." in use


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_system_prompt_or_label_stays_text(facts: Facts, name: str):
    for left in (LeftPolicy("ppo", name, 1.0, 64, base=name, rounded=name), LeftRewardModel((name, "b"), 64)):
        tokens = [
            t
            for token in MarkdownIt("commonmark").enable("table").parse(render_card(facts, left))
            for t in (token, *(token.children or []))
        ]
        assert not {t.type for t in tokens} & {"html_block", "html_inline", "image", "link_open"}


def test_packaged_models_have_what_a_card_needs():
    for model in PACKAGED.values():
        assert model.hub.count("/") == 1 and model.language == "en" and len(model.sha256) == 64
