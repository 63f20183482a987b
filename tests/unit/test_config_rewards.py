"""Rewards, audits and contenders in a configuration: where their models are, and what makes no sense."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlhf_core.config import load_config
from rlhf_core.errors import ConfigError
from tests.config_factory import MINIMAL, message


def test_a_reward_s_folders_are_relative_to_the_file_and_names_stay_names(file: Path) -> None:
    (file.parent / "mine").mkdir()
    file.write_text(
        MINIMAL + "ppo: {rewards: [{kind: learned, models: [mine, tiny]}, "
        "{kind: classifier, name: a, model: ./mine, label: x}, {kind: classifier, name: b, model: packaged:c, label: x}]}\n"
    )
    mine = str(file.parent / "mine")
    learned, a, b = (source.model_dump() for source in load_config(file).ppo.rewards)
    assert (learned["models"], a["model"], b["model"]) == ((mine, "tiny"), mine, "packaged:c")
    assert load_config(file).packaged_models == ["c", "minilm-l6", "smollm2-135m-instruct"]
    assert {mine, "tiny"} <= set(load_config(file).models)


def test_further_contenders_have_names_and_models_of_their_own(file: Path) -> None:
    file.write_text(MINIMAL + "generate: {models: {round-1: ../first/ppo/model, base: tiny}}\n")
    config = load_config(file)
    earlier = str(file.parent.parent / "first" / "ppo" / "model")
    assert config.generate.models == {"round-1": earlier, "base": "tiny"}
    assert config.generate.names == ["base", "sft", "tuned", "round-1"]
    assert {earlier, "tiny"} <= set(config.models)
    assert "models" not in load_config(file, ["generate.models={}"]).generate.model_dump()  # old runs keep their inputs


@pytest.mark.parametrize("name", ["tuned", "sft", "best-of-4"])
def test_a_model_of_the_run_itself_is_no_further_contender(file: Path, name: str) -> None:
    said = message(file, f"generate.models.{name}=tiny")
    assert f"{name} is a model of the run itself; give it another name" in said


def test_without_fine_tuning_sft_is_no_contender(file: Path) -> None:
    config = load_config(file, ["sft=null", "generate.temperature=0.5"])
    assert config.sft is None and config.generate.contenders == ("base", "tuned")
    assert load_config(file, ["sft.epochs=1"]).generate.contenders == ("base", "sft", "tuned")
    assert load_config(file, ["sft=null", "generate.contenders=[tuned]"]).generate.contenders == ("tuned",)


def test_a_contender_that_is_not_made_is_refused(file: Path) -> None:
    refused = message(file, "sft=null", "generate.contenders=[base, sft]")
    assert "generate.contenders: sft would be base, for sft is null; leave it out" in refused


@pytest.mark.parametrize(
    ("rewards", "expected"),
    [
        ("[{kind: learned}, {kind: learned}]", "rewards: every name must occur once, found reward_model, reward_model"),
        ("[]", "rewards: needs a source, and none of weight 0"),
        ("[{kind: learned, weight: 0}]", "none of weight 0; what is only watched goes under audits"),
        ("[{kind: learned, name: disagreement}]", "is taken by the spread between the members"),
        (
            "[{kind: learned, combine: worst}]",
            "ppo.rewards: reward_model combines several models; reward.members must be",
        ),
        (
            "[{kind: learned, category: harmless}]",
            "ppo.rewards: reward_model is of category harmless; reward.by_category must be true",
        ),
        ("[{kind: toxicity, name: t, scorr: x}]", "ppo.rewards.0.toxicity.scorr: unknown key; did you mean `scorer`?"),
        ("[{kind: python, name: f, function: f}]", "ppo.rewards.0.python.function: String should match pattern"),
        ("[{kind: learnt}]", "does not match any of the expected tags: 'learned', 'classifier', 'python', 'toxicity'"),
    ],
)
def test_rewards_that_make_no_sense_are_refused(file: Path, rewards: str, expected: str) -> None:
    assert expected in message(file, f"ppo.rewards={rewards}")


def test_several_members_may_be_combined(file: Path) -> None:
    config = load_config(file, ["ppo.rewards=[{kind: learned, combine: worst}]", "reward.members=2"])
    assert config.ppo.rewards[0].combine == "worst"  # type: ignore[union-attr]


def test_with_a_head_for_each_category_rewards_and_audits_name_theirs(file: Path) -> None:
    assert "ppo.rewards: reward_model must name the category whose head scores" in message(
        file, "reward.by_category=true"
    )
    named = ("reward.by_category=true", "ppo.rewards=[{kind: learned, category: helpful}]")
    said = message(file, *named, "ppo.audits=[{kind: learned, name: beside}]")
    assert "ppo.audits: beside must name the category whose head scores" in said


def test_answers_are_picked_by_the_head_that_ppo_is_rewarded_by(file: Path) -> None:
    """One head if the rewards agree on one; with two that count, or another model's, the mean of all."""
    one, another = "{kind: learned, name: a, category: helpful}", "{kind: learned, name: b, category: harmless}"
    other = "{kind: learned, models: [somewhere], category: helpful}"
    for rewards, category in ((one, "helpful"), (f"{one}, {another}", ""), (other, "")):
        config = load_config(file, ["reward.by_category=true", f"ppo.rewards=[{rewards}]"])
        assert config.own_category == category


def test_an_audit_that_combines_one_model_is_refused_by_its_own_place(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(
        "name: x\ndata: {prompts: p, demonstrations: d, rankings: r}\n"
        "ppo: {audits: [{kind: learned, combine: worst}], rewards: [{kind: toxicity, name: t, weight: -1}]}\n"
    )
    with pytest.raises(ConfigError, match=r"ppo\.audits: reward_model combines several models"):
        load_config(tmp_path / "x.yaml")
