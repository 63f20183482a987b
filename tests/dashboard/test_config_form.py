"""The form of a run's configuration: fields from the models, values and back, what differs, what is wrong and where."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboard.services import config_form as form
from dashboard.services.config_form import (
    FormField,
    command_settings,
    form_fields,
    overrides,
    resolve,
    said_at,
    section_help,
    values_of,
)
from dashboard.services.field_words import label_of, matches
from rlhf_core.config import PipelineConfig, load_config

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = [path for path in sorted((ROOT / "configs").glob("*.yaml")) if "data:" in path.read_text()]
QUICKSTART = ROOT / "configs" / "quickstart.yaml"


def field(place: str) -> FormField:
    return next(one for one in form_fields() if one.place == place)


def leaves(model: Any, above: str = "") -> Iterator[str]:
    """The dotted places of a dumped configuration; a list is one, and so is a mapping of names."""
    for name, value in model.items():
        if isinstance(value, dict) and f"{above}{name}" != "generate.models":
            yield from leaves(value, f"{above}{name}.")
        else:
            yield f"{above}{name}"


def test_there_are_configurations_to_try() -> None:
    assert {path.name for path in CONFIGS} >= {"quickstart.yaml", "tiny.yaml", "hh-rlhf.yaml", "detox.yaml"}


def test_every_setting_of_a_pipeline_has_a_field_and_says_what_it_is() -> None:
    """All but where runs lie; what is null in the quickstart is counted as a field of its own."""
    places = {one.place for one in form_fields()}
    config = load_config(QUICKSTART)
    assert set(leaves(config.model_dump(mode="json"))) - places == {"run_root"}
    assert [one.place for one in form_fields() if not one.help] == []
    assert len(places) == len(form_fields()) > 100
    assert all(section_help().values())


@pytest.mark.parametrize(
    "expected",
    [
        ("name", form.TEXT, (), None, None, False),
        ("data.prompts", form.TEXT, (), None, None, False),
        ("data.refusal_prompts", form.TEXT, (), None, None, True),
        ("data.limit", form.WHOLE, (), 8, None, True),
        ("policy.lora", form.SECTION, (), None, None, True),
        ("policy.lora.r", form.WHOLE, (), 1, 512, False),
        ("policy.dtype", form.CHOICE, ("auto", "float32", "bfloat16"), None, None, False),
        ("sft", form.SECTION, (), None, None, True),
        ("sft.packing", form.SWITCH, (), None, None, False),
        ("ppo.rewards", form.YAML, (), None, None, False),
        ("ppo.kl_coef", form.NUMBER, (), 0, None, False),
        ("ppo.gamma", form.NUMBER, (), None, 1, False),
        ("ppo.guards.kl_budget", form.NUMBER, (), None, None, True),
        ("generate.contenders", form.CHOICES, ("base", "sft", "tuned"), None, None, False),
        ("generate.models", form.YAML, (), None, None, False),
    ],
)
def test_a_field_has_the_type_and_bounds_of_its_model(expected: tuple[Any, ...]) -> None:
    """Place, kind, options, bounds, and whether it may be null."""
    found = field(expected[0])
    assert (found.place, found.kind, found.options, found.low, found.high, found.optional) == expected


def test_bounds_that_a_widget_cannot_hold_are_said() -> None:
    assert field("ppo.optim.lr").help.endswith("Above 0. Below 1.")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_form_untouched_is_the_configuration_it_started_from(path: Path) -> None:
    config = load_config(path)
    values = values_of(config)
    assert resolve(values, config.run_root).config == config and overrides(values, values) == {}


def other_values(config: PipelineConfig) -> dict[str, Any]:
    """For every field in force another value that its model takes, where the rest stays as it is."""
    special = {
        "name": "another", "data.prompts": str(config.data.prompts), "ppo.batch_size": 64, "ppo.minibatch_size": 16,
        "ppo.micro_batch_size": 4, "sft.batch_size": 32, "sft.micro_batch_size": 4, "sft.eval_fraction": 0.2,
        "ppo.rewards": "[{kind: learned, weight: 2}]", "ppo.audits": "", "generate.models": "{round-1: tiny}",
        "generate.contenders": ["base", "tuned"], "evaluate.toxicity": ["profanity-check", "detoxify"],
        "ppo.guards.length_ceiling": 4.5, "generate.best_of.n": 4, "reward.label_smoothing": 0.1,
    }  # fmt: skip
    values, found = values_of(config), {}
    for one in form_fields():
        value = values[one.place]
        if one.place in special:
            found[one.place] = special[one.place]
        elif one.kind in (form.SWITCH, form.SECTION):
            found[one.place] = not value
        elif one.kind == form.WHOLE:
            found[one.place] = 9 if value is None else value + 1
        elif one.kind == form.NUMBER:
            found[one.place] = 0.5 if value is None else value / 2 or 0.25
        elif one.kind == form.CHOICE:
            found[one.place] = next(option for option in one.options if option != value)
        else:
            found[one.place] = f"{value}x"
    return found


@pytest.mark.parametrize("path", [QUICKSTART, ROOT / "configs" / "hh-rlhf.yaml"], ids=lambda path: path.name)
def test_each_change_is_an_override_that_makes_the_same_configuration(path: Path) -> None:
    """The command line shown beside the form does what the form does, one setting at a time."""
    config = load_config(path)
    start, tried = values_of(config), 0
    for place, value in other_values(config).items():
        values = start | {place: value}
        changed = overrides(start, values)
        resolved = resolve(values, config.run_root)
        if not form.is_in_force(field(place), values):
            assert changed == {} and resolved.config == config  # of a section that is off
            continue
        if resolved.config is None:
            continue  # settings that need another one changed beside them
        assert list(changed) == ([place] if value != start[place] else [])
        assert load_config(path, command_settings(path, resolved.config, changed)) == resolved.config
        tried += 1
    assert tried > 60


def test_a_section_switched_on_is_given_whole_with_what_was_changed_in_it() -> None:
    path = ROOT / "configs" / "hh-rlhf.yaml"
    config = load_config(path)
    start = values_of(config)
    values = start | {
        "sft": True,
        "sft.epochs": 3,
        "sft.optim.lr": 0.01,
        "generate.best_of": True,
        "generate.best_of.n": 4,
    }
    changed = overrides(start, values)
    assert list(changed) == ["sft", "generate.best_of"] and changed["generate.best_of"] == "{n: 4, contender: sft}"
    wanted = resolve(values, config.run_root).config
    assert wanted is not None
    settings = command_settings(path, wanted, changed)
    assert settings[2:] == ["generate.contenders=[base, tuned]"]  # left out of the file, for there sft is null
    made = load_config(path, settings)
    assert made == wanted and made.sft and (made.sft.epochs, made.sft.optim.lr) == (3, 0.01)


def test_runs_elsewhere_are_said_in_the_command(tmp_path: Path) -> None:
    config = load_config(QUICKSTART)
    elsewhere = resolve(values_of(config), tmp_path).config
    assert elsewhere and command_settings(QUICKSTART, elsewhere, {}) == [f"run_root={tmp_path}"]
    assert command_settings(QUICKSTART, config, {}) == []


def test_a_section_switched_off_hides_its_settings() -> None:
    config = load_config(QUICKSTART)
    start = values_of(config)
    values = start | {"policy.lora": False, "policy.lora.r": 4}
    assert overrides(start, values) == {"policy.lora": "null"}
    assert said_at(start, "policy.lora.r") == "16" and said_at(values, "policy.lora.r") == "null"


def test_names_of_digits_and_words_of_yaml_stay_texts() -> None:
    start = values_of(load_config(QUICKSTART))
    changed = overrides(start, start | {"name": "7", "policy.system_prompt": "no: yes # ~", "policy.model": "on"})
    assert {key: yaml.safe_load(value) for key, value in changed.items()} == {
        "name": "7", "policy.system_prompt": "no: yes # ~", "policy.model": "on",
    }  # fmt: skip
    assert all("\n" not in value for value in changed.values())


@pytest.mark.parametrize(
    ("changes", "place", "said"),
    [
        ({"ppo.optim.lr": 1.0}, "ppo.optim.lr", "Input should be less than 1 (found 1.0)"),
        ({"name": "a b"}, "name", "String should match pattern"),
        ({"seed": -1}, "seed", "greater than or equal to 0"),
        ({"ppo.minibatch_size": 7}, "ppo", "batch_size must be a multiple of minibatch_size"),
        ({"ppo.rewards": "- {kind: learned, weight: x}"}, "ppo.rewards", "ppo.rewards.0.learned.weight"),
        ({"ppo.rewards": "- {kind: nonsense}"}, "ppo.rewards", "does not match any of the expected tags"),
        ({"ppo.rewards": "[1"}, "ppo.rewards", "ppo.rewards: not YAML"),
        ({"ppo.rewards": "[]"}, "ppo", "needs a source"),
        ({"generate.best_of": True}, "generate.best_of.n", "valid integer (found None)"),
        ({"sft": False}, "", "generate.contenders: sft would be base"),
        ({"generate.models": "{tuned: tiny}"}, "generate.models", "is a model of the run itself"),
        ({"ppo.epochs": None}, "ppo.epochs", "valid integer (found None)"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(changes: dict[str, Any], place: str, said: str) -> None:
    config = load_config(QUICKSTART)
    resolved = resolve(values_of(config) | changes, config.run_root)
    assert resolved.config is None and list(resolved.problems) == [place]
    assert said in resolved.problems[place]


def test_settings_are_called_by_words_and_found_by_them() -> None:
    assert label_of(field("ppo.kl_coef")) == "KL coefficient"
    assert label_of(field("ppo.optim.lr"), long=True) == "PPO: learning rate"
    assert label_of(field("name"), long=True) == "Name"
    found = {one.place for one in form_fields() if matches(one, "KL ppo")}
    assert {"ppo.kl_coef", "ppo.guards.kl_budget", "ppo.kl_target"} <= found and "sft.epochs" not in found
    assert {one.place for one in form_fields() if matches(one, "drift reference")} == {"ppo.kl_coef"}
