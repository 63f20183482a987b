"""The configuration: every file parses, misspelt keys are named, overrides and paths mean what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from rlhf_core.config import LoraConfig, PipelineConfig, PPOConfig, RewardConfig, SFTConfig, load_config
from rlhf_core.config.files import field_names
from rlhf_core.config.pretrain import PretrainConfig
from tests.config_factory import MINIMAL, message

ROOT = Path(__file__).resolve().parents[2]
PRETRAIN = ROOT / "configs" / "pretrain.yaml"
JUDGING = ROOT / "configs" / "judging.yaml"
CONFIGS = sorted(set((ROOT / "configs").glob("*.yaml")) - {PRETRAIN, JUDGING})


def test_there_are_configs_to_parse() -> None:
    assert {path.name for path in CONFIGS} >= {"quickstart.yaml", "tiny.yaml", "from-scratch.yaml"}


def test_a_part_of_a_section_keeps_the_rest_of_its_own_defaults(file: Path) -> None:
    """Of PPO's optimiser no warm-up, of the reward model's the smaller ε, whatever is set beside them."""
    config = load_config(file, ["ppo.optim.lr=0.01", "reward.optim.lr=0.02", "sft.optim.weight_decay=0.1"])
    assert config.ppo.optim == PPOConfig().optim.model_copy(update={"lr": 0.01})
    assert config.reward.optim == RewardConfig().optim.model_copy(update={"lr": 0.02})
    assert config.sft and config.sft.optim == SFTConfig().optim.model_copy(update={"weight_decay": 0.1})
    assert (config.ppo.optim.warmup_ratio, config.reward.optim.eps) == (0.0, 1e-8)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_config_parses_is_named_after_its_file_and_finds_its_data(path: Path) -> None:
    config = load_config(path)
    assert config.name == path.stem
    assert config.run_root == ROOT / "runs"
    for data in (config.data.prompts, config.data.demonstrations, config.data.rankings, config.data.refusal_prompts):
        assert (
            data is None or data.is_file() or data.is_relative_to(ROOT / "data")
        )  # what a script makes there is not part of this


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_the_written_config_reads_back_equal(path: Path, tmp_path: Path) -> None:
    config = load_config(path)
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    assert load_config(tmp_path / "config.yaml") == config


def test_the_path_keys_are_all_fields_that_hold_paths() -> None:
    for schema in (PipelineConfig, PretrainConfig):
        for key in (*schema.path_keys, *schema.model_keys):
            *places, name = [part for part in key if part != "*"]
            assert name in field_names(schema, places)


def test_paths_in_a_file_are_relative_to_it_and_paths_given_by_set_to_the_working_directory(file: Path) -> None:
    config = load_config(file, ["run_root=elsewhere"])
    assert config.data.prompts == file.parent / "p.jsonl"
    assert config.run_path == Path("elsewhere/x")


def test_the_file_of_refusal_prompts_is_found_beside_the_configuration_and_may_be_left_out(file: Path) -> None:
    assert load_config(file).data.refusal_prompts is None
    file.write_text(MINIMAL.replace("r.jsonl", "r.jsonl, refusal_prompts: x.csv"))
    assert load_config(file).data.refusal_prompts == file.parent / "x.csv"


def test_a_model_folder_in_a_file_is_relative_to_it_and_a_name_stays_a_name(file: Path) -> None:
    for name in ("mine", "tiny"):
        (file.parent / name).mkdir()
    file.write_text(MINIMAL + "policy: {model: ./mine}\nreward: {model: tiny}\n")
    config = load_config(file)
    assert config.policy.model == str(file.parent / "mine") and config.reward.model == "tiny"
    file.write_text(MINIMAL + "policy: {model: owner/name}\nreward: {model: ../later/model}\n")
    config = load_config(file)
    assert config.policy.model == "owner/name"
    assert config.reward.model == str(file.parent.parent / "later" / "model")  # a path, though nothing is there yet


def test_the_home_folder_may_be_written_as_a_tilde(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somebody")
    file.write_text(MINIMAL + "run_root: ~/runs\n")
    assert load_config(file).run_root == Path("/somebody/runs")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ppo: {kl_coeff: 0.1}", "ppo.kl_coeff: unknown key; did you mean `kl_coef`?"),
        ("pp0: {}", "pp0: unknown key; did you mean `ppo`?"),
        ("sft: {optim: {learning_rate: 1}}", "sft.optim.learning_rate: unknown key; known keys: lr, warmup_ratio"),
        ("policy: {lora: {rank: 4}}", "policy.lora.rank: unknown key; known keys: targets, r, alpha"),
        ("data: {promts: p, demonstrations: d, rankings: r}", "data.promts: unknown key; did you mean `prompts`?"),
    ],
)
def test_a_misspelt_key_is_named_with_its_nearest_neighbour(file: Path, text: str, expected: str) -> None:
    raw = yaml.safe_load(MINIMAL) | yaml.safe_load(text)
    file.write_text(yaml.safe_dump(raw))
    assert expected in message(file)


def test_a_misspelt_override_is_named_too(file: Path) -> None:
    assert "ppo.kl_ceof: unknown key; did you mean `kl_coef`?" in message(file, "ppo.kl_ceof=0.1")


def test_all_problems_are_listed_at_once(file: Path) -> None:
    text = message(file, "sft.epochs=0", "reward.margn=1", "seed=-1")
    assert "seed: Input should be greater than or equal to 0 (found -1)" in text
    assert "sft.epochs: Input should be greater than or equal to 1 (found 0)" in text
    assert "reward.margn: unknown key; did you mean `margin`?" in text
    assert text.startswith(f"{file}: \n  ") and text.endswith("\n`rlhf pipeline --help` lists the sections")


def test_a_budget_of_kl_needs_a_kl_that_is_measured(file: Path) -> None:
    assert "ppo: guards.kl_budget needs a measured KL" in message(file, "ppo.guards.kl_budget=8", "ppo.kl_coef=0")
    for other in ("ppo.kl_coef=0.1", "ppo.kl_target=6"):
        load_config(file, ["ppo.guards.kl_budget=8", "ppo.kl_coef=0", other])


def test_a_missing_section_is_named(file: Path) -> None:
    file.write_text("name: x\n")
    assert "data: missing" in message(file)


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "two words"])
def test_a_name_that_is_no_plain_folder_name_is_refused(file: Path, name: str) -> None:
    assert "name: " in message(file, f"name={name}")


@pytest.mark.parametrize("value", [".nan", ".inf", "-1"])
@pytest.mark.parametrize("key", ["ppo.kl_coef", "sft.optim.lr", "generate.temperature", "ppo.kl_target"])
def test_numbers_that_are_not_finite_or_negative_are_refused(file: Path, key: str, value: str) -> None:
    assert f"{key}: Input should be" in message(file, f"{key}={value}")


@pytest.mark.parametrize("key", ["ppo.temperature", "generate.temperature"])
def test_a_greedy_policy_is_refused(file: Path, key: str) -> None:
    """Claim 3."""
    assert f"{key}: Input should be greater than 0" in message(file, f"{key}=0")


def test_batches_must_divide() -> None:
    with pytest.raises(ValueError, match="batch_size must be a multiple of micro_batch_size"):
        SFTConfig(batch_size=6, micro_batch_size=4)
    with pytest.raises(ValueError, match="batch_size must be a multiple of minibatch_size"):
        PPOConfig(batch_size=16, minibatch_size=6, micro_batch_size=3)
    with pytest.raises(ValueError, match="minibatch_size must be a multiple of micro_batch_size"):
        PPOConfig(batch_size=16, minibatch_size=8, micro_batch_size=3)


def test_a_contradiction_is_named_with_its_section(file: Path) -> None:
    text = message(file, "sft.batch_size=6", "sft.micro_batch_size=4")
    assert "sft: batch_size must be a multiple of micro_batch_size" in text


def test_overrides_are_yaml_and_reach_sections_the_file_does_not_mention(file: Path) -> None:
    config = load_config(
        file,
        [
            "ppo.kl_coef=1e-2",
            "policy.lora=null",
            "ppo.kl_target=6",
            "generate.contenders=[base, tuned]",
            "sft.packing=true",
        ],
    )
    # YAML 1.1 reads 1e-2 as text; the schema makes it the number it looks like.
    assert config.ppo.kl_coef == 0.01
    assert config.policy.lora is None and config.sft.packing is True
    assert config.ppo.kl_target == 6.0 and config.generate.contenders == ("base", "tuned")


def test_the_last_override_wins(file: Path) -> None:
    assert load_config(file, ["seed=1", "seed=2"]).seed == 2


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("seed", "--set: expected key=value (found 'seed'). For example --set ppo.kl_coef=0.1"),
        ("=3", "--set: expected key=value (found '=3')"),
        ("name.x=3", "--set: name is not a section (found 'name.x=3')"),
        ("seed=[1", "--set: the value is not YAML (found 'seed=[1')"),
        ("sft=5", "sft: Input should be a valid dictionary or instance of SFTConfig (found 5)"),
    ],
)
def test_an_override_that_cannot_be_meant_is_refused(file: Path, override: str, expected: str) -> None:
    assert expected in message(file, override)


def test_a_missing_file_names_the_one_to_start_from(tmp_path: Path) -> None:
    assert (
        message(tmp_path / "no.yaml")
        == f"{tmp_path}/no.yaml: no such file. configs/quickstart.yaml is the one to start from"
    )


def test_broken_yaml_is_named_with_its_line(file: Path) -> None:
    file.write_text("name: x\nppo: {kl_coef: 0.1\n")
    text = message(file)
    assert text.startswith(f"{file}: not YAML: ") and "line 2" in text


def test_bytes_that_are_not_utf8_are_refused(file: Path) -> None:
    file.write_bytes("name: café\n".encode("latin-1"))
    assert "not YAML: 'utf-8' codec can't decode byte 0xe9 in position 9" in message(file)


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words"])
def test_yaml_that_is_no_mapping_is_refused(file: Path, text: str) -> None:
    file.write_text(text)
    assert "expected a mapping of sections" in message(file)


def test_yaml_cannot_make_python_objects(file: Path) -> None:
    file.write_text("name: !!python/object/apply:os.getcwd []\n")
    assert "not YAML: could not determine a constructor" in message(file)


def test_a_config_cannot_be_changed(file: Path) -> None:
    with pytest.raises(ValueError, match="Instance is frozen"):
        load_config(file).seed = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("mine", "limit", "expected"), [(None, None, None), (None, 15, 15), (4, 15, 4), (20, 15, 15), (4, None, 4)]
)
def test_the_stricter_limit_of_adapted_layers_holds(mine: int | None, limit: int | None, expected: int | None) -> None:
    assert LoraConfig(r=8, layers=mine).at_most(limit) == LoraConfig(r=8, layers=expected)


def test_field_names_follow_dotted_places() -> None:
    assert field_names(PipelineConfig, []) == list(PipelineConfig.model_fields)
    assert field_names(PipelineConfig, ["policy", "lora"]) == ["targets", "r", "alpha", "layers"]
    assert field_names(PipelineConfig, ["seed"]) == field_names(PipelineConfig, ["nowhere", "x"]) == []


def test_the_default_configuration_is_the_quickstart() -> None:
    """The README's figures belong to the defaults: the quickstart only names its data."""
    quickstart = load_config(ROOT / "configs" / "quickstart.yaml")
    plain = PipelineConfig(name="quickstart", run_root=quickstart.run_root, data=quickstart.data)
    assert quickstart == plain
