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


def test_packaged_models_have_what_a_card_needs():
    for model in PACKAGED.values():
        assert model.hub.count("/") == 1 and model.language == "en" and len(model.sha256) == 64
