"""The parameters of Google Cloud's pipeline: read by their names, and each becomes what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from rlhf_core.errors import ConfigError
from rlhf_core.gcpc.mapping import configuration, fates, shown
from rlhf_core.gcpc.parameters import Parameters, read_parameters

NEEDED = {"prompt_dataset": "p.jsonl", "preference_dataset": "c.jsonl", "large_model_reference": "llama-2-7b"}


def read(folder: Path, raw: Any) -> Parameters:
    path = folder / "params.yaml"
    path.write_text(raw if isinstance(raw, str) else yaml.safe_dump(raw))
    return read_parameters(path)


def made(comparisons: int = 40, **given: object) -> dict[str, Any]:
    return configuration(fates(Parameters.model_validate(NEEDED | given), comparisons), Path("runs"))


def fate(name: str, comparisons: int = 40, **given: object) -> tuple[str, str]:
    parameters = Parameters.model_validate(NEEDED | given)
    found = fates(parameters, comparisons)
    (one,) = [one for one in found if one.name == name]
    return one.becomes, one.sentence(configuration(found, Path("runs")))


@pytest.mark.parametrize(
    "raw",
    [
        NEEDED,
        {"parameter_values": NEEDED},
        {"displayName": "job", "runtimeConfig": {"gcsOutputDirectory": "gs://b", "parameterValues": NEEDED}},
        json.dumps(NEEDED),
    ],
)
def test_parameters_are_read_alone_and_from_the_files_of_jobs(tmp_path: Path, raw: Any) -> None:
    found = read(tmp_path, raw)
    assert (found.prompt_dataset, found.kl_coeff, found.target_sequence_length) == ("p.jsonl", 0.1, 64)
    assert found.model_fields_set == NEEDED.keys()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (NEEDED | {"kl_coef": 0.2}, "kl_coef: unknown key; did you mean `kl_coeff`?"),
        ({"prompt_dataset": "p.jsonl"}, "preference_dataset: missing"),
        (NEEDED | {"kl_coeff": -1}, "kl_coeff: Input should be greater than or equal to 0 (found -1)"),
        (NEEDED | {"reward_model_train_steps": "many"}, "reward_model_train_steps: Input should be a valid integer"),
        ({}, "holds no parameters"),
        ("- a", "expected a mapping"),
    ],
)
def test_what_is_wrong_is_named_with_the_file(tmp_path: Path, raw: Any, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(tmp_path, raw)
    assert str(tmp_path / "params.yaml") in str(error.value) and message in str(error.value)


def test_every_parameter_has_a_fate() -> None:
    everything = Parameters.model_fields.keys()
    given = NEEDED | {name: field.default for name, field in Parameters.model_fields.items() if not field.is_required()}
    assert {one.name for one in fates(Parameters.model_validate(given), 40)} == everything


def test_parameters_become_the_settings_of_a_pipeline() -> None:
    raw = made(
        model_display_name="Summaries, take 2",
        instruction="Summarise.",
        prompt_sequence_length=100,
        target_sequence_length=20,
        kl_coeff=0.3,
        reward_model_learning_rate_multiplier=2,
        reinforcement_learning_rate_multiplier=0.5,
        reward_model_train_steps=5,
        reinforcement_learning_train_steps=7,
    )
    assert raw["name"] == "Summaries-take-2"
    assert raw["policy"] == {
        "model": "packaged:smollm2-135m-instruct",
        "system_prompt": "Summarise.",
        "max_prompt_tokens": 100,
    }
    # 5 steps of 64 are 320 comparisons; of 40 a fifth is held out, so that an epoch has 32 of them
    assert raw["reward"] == {"max_length": 120, "optim": {"lr": 1e-4}, "epochs": 10}
    # 7 steps of 64 are 448 episodes: 14 batches of 32
    assert raw["ppo"] == {"response_length": 20, "optim": {"lr": 5e-4}, "iterations": 14, "kl_coef": 0.3}
    assert raw["generate"] == {"max_new_tokens": 20} and raw["sft"] == {"max_length": 120}


def test_without_an_instruction_nothing_stands_before_a_prompt() -> None:
    assert made()["policy"]["system_prompt"] == ""


def test_steps_that_were_not_given_are_ours_and_googles_are_named() -> None:
    raw = made()
    assert "epochs" not in raw["reward"] and "iterations" not in raw["ppo"]
    # 1,000 steps of 64 are 64,000: 2,000 epochs of 32 comparisons, 2,000 batches of 32 episodes
    assert "--set ppo.iterations=2000" in fate("reinforcement_learning_train_steps")[1]
    assert "--set reward.epochs=2000" in fate("reward_model_train_steps")[1]


def test_longer_prompts_than_the_reward_model_has_places_for_are_read_from_their_end() -> None:
    assert made(prompt_sequence_length=600)["reward"]["max_length"] == 512


@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        ("llama-2-7b", "packaged:smollm2-135m-instruct", "--set policy.model=meta-llama/Llama-2-7b-hf"),
        ("T5_XL", "packaged:smollm2-135m-instruct", "--set policy.model=google/flan-t5-xl"),
        ("text-bison@001", "packaged:smollm2-135m-instruct", "on Google's machines alone"),
        ("owner/model", "owner/model", 'policy.model: "owner/model"'),
        ("tiny", "tiny", 'policy.model: "tiny"'),
    ],
)
def test_a_model_of_google_has_a_stand_in_and_any_other_is_taken(name: str, source: str, said: str) -> None:
    assert made(large_model_reference=name)["policy"]["model"] == source
    becomes, sentence = fate("large_model_reference", large_model_reference=name)
    assert becomes == "mapped" and said in sentence


def test_what_only_googles_machines_need_is_named_where_it_was_given() -> None:
    assert fate("location", location="europe-west4") == ("not needed", "it runs here")
    assert "rlhf export" in fate("deploy_model", deploy_model=False)[1]
    assert "location" not in {one.name for one in fates(Parameters.model_validate(NEEDED), 40)}


def test_no_price_on_drift_says_that_none_is_measured() -> None:
    assert fate("kl_coeff", kl_coeff=0)[1] == "ppo.kl_coef: 0.0; no reference is run, so that no KL is measured"


def test_what_set_changes_is_said_with_the_parameter() -> None:
    parameters = Parameters.model_validate(NEEDED)
    found = fates(parameters, 40)
    raw = configuration(found, Path("runs"))
    raw["policy"]["model"] = "tiny"
    (model,) = [one for one in found if one.name == "large_model_reference"]
    assert model.sentence(raw) == 'policy.model: "tiny"; as --set says'


def test_values_are_shown_as_people_write_them_and_defaults_marked() -> None:
    parameters = Parameters.model_validate(NEEDED | {"deploy_model": False, "kl_coeff": 0.25})
    names = ("prompt_dataset", "deploy_model", "kl_coeff", "prompt_sequence_length", "eval_dataset")
    assert [shown(parameters, name) for name in names] == ["p.jsonl", "false", "0.25", "512 (default)", "– (default)"]
