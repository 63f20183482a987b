"""From the sources a configuration names to the scorer that PPO learns from."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from rlhf_core.config import load_config
from rlhf_core.config.rewards import AnyReward, ClassifierReward
from rlhf_core.errors import ModelError, ScorerError
from rlhf_core.evaluation.toxicity import load_scorer
from rlhf_core.models.rewards import RewardEnsemble, RewardModel, new_reward_model
from rlhf_core.models.scorers import LabelScorer
from rlhf_core.training.rewards import build_audits, build_rewards, check_rewards
from tests.engine import reward_config, vowels, write_bert

ROOT = Path(__file__).resolve().parents[3]
PROMPTS, ANSWERS = ["Why?", "Sing", "Go on"], ["You idiot.", "La la la", "Thank you kindly"]


def sources(*rows: dict[str, Any]) -> list[Any]:
    return [TypeAdapter(AnyReward).validate_python(row) for row in rows]


def saved(folder: Path, seed: int, mean: float = 0.0) -> RewardModel:
    """A reward model of its own seed and normalisation, saved to `folder`."""
    model = new_reward_model(reward_config(), torch.Generator().manual_seed(seed))
    model.constants[""] = (mean, 2.0)
    model.save(folder)
    return model


def few_words(prompts: list[str], responses: list[str]) -> list[int]:
    return [-len(r.split()) for r in responses]


def one_short(prompts: list[str], responses: list[str]) -> list[int]:
    return [0] * (len(responses) - 1)


def test_by_default_the_reward_is_the_run_s_own_model(tmp_path: Path):
    """To the last bit: a weight of 1 and a sum of one change nothing."""
    model = saved(tmp_path / "own", 0)
    mixture = build_rewards(load_config(ROOT / "configs" / "tiny.yaml").ppo.rewards, tmp_path / "own")
    assert torch.equal(mixture(PROMPTS, ANSWERS), model.score(PROMPTS, ANSWERS))


COMBINATIONS: dict[str, Callable[..., torch.Tensor]] = {
    "mean": lambda a, b: (a + b) / 2,
    "worst": torch.minimum,
    "penalised": lambda a, b: (
        (a + b) / 2 - 0.7 * ((a - b) / 2).square()
    ),  # of two, the variance is half the gap squared
}


@pytest.mark.parametrize("combine", COMBINATIONS)
def test_folders_make_an_ensemble(combine: str, tmp_path: Path):
    """Claim 15."""
    a, b = (saved(tmp_path / str(n), n, mean=n).score(PROMPTS, ANSWERS) for n in (0, 1))
    folders = [str(tmp_path / str(n)) for n in (0, 1)]
    [source] = sources({"kind": "learned", "models": folders, "combine": combine, "penalty": 0.7})
    mixture = build_rewards([source], tmp_path / "nowhere")
    torch.testing.assert_close(mixture(PROMPTS, ANSWERS), COMBINATIONS[combine](a, b))


def test_an_ensemble_s_folder_is_its_members(tmp_path: Path):
    models = [saved(tmp_path / f"single-{n}", n) for n in (0, 1)]
    RewardEnsemble(models).save(tmp_path / "own")
    mixture = build_rewards(sources({"kind": "learned", "combine": "worst"}), tmp_path / "own")
    a, b = (m.score(PROMPTS, ANSWERS) for m in models)
    assert torch.equal(mixture(PROMPTS, ANSWERS), torch.minimum(a, b))


def test_heads_by_category_are_rewards_by_name_and_weight(tmp_path: Path):
    heads = ("harmless", "helpful")
    model = new_reward_model(reward_config(), torch.Generator().manual_seed(0), heads)
    model.save(tmp_path / "own")
    named = (
        {"kind": "learned", "name": h, "category": h, "weight": w} for h, w in zip(heads, (2.0, -0.5), strict=True)
    )
    total, parts = build_rewards(sources(*named), tmp_path / "own").measure(PROMPTS, ANSWERS)
    harmless, helpful = (model.score(PROMPTS, ANSWERS, [head] * len(PROMPTS)) for head in heads)
    assert torch.equal(parts["harmless"], harmless) and torch.equal(parts["helpful"], helpful)
    assert not torch.equal(harmless, helpful)
    torch.testing.assert_close(total, 2 * harmless - 0.5 * helpful)
    with pytest.raises(ModelError, match=r"reward_model: has a score head for each category.*harmless or helpful"):
        build_rewards(sources({"kind": "learned"}), tmp_path / "own")
    with pytest.raises(ModelError, match=r"no head for it.*poetry"):
        build_rewards(sources({"kind": "learned", "category": "poetry"}), tmp_path / "own")


def test_one_model_cannot_be_combined(tmp_path: Path):
    saved(tmp_path / "a", 0)
    [source] = sources({"kind": "learned", "models": [str(tmp_path / "a")], "combine": "worst"})
    with pytest.raises(
        ModelError, match=r"reward_model: worst combines several reward models, and this is one.*models"
    ):
        build_rewards([source], tmp_path)


def test_functions_toxicity_and_their_weights():
    rows = sources(
        {"kind": "python", "name": "brevity", "weight": 0.5, "function": f"{__name__}:few_words"},
        {"kind": "python", "name": "vowels", "function": "tests.engine:vowels"},
        {"kind": "toxicity", "name": "profanity", "weight": -2},
    )
    mixture = build_rewards(rows, Path("nowhere"))
    profanity = torch.tensor(load_scorer("profanity-check").score(ANSWERS)["profanity"])
    total, parts = mixture.measure(PROMPTS, ANSWERS)
    assert parts["brevity"].tolist() == [-2, -3, -3] and torch.equal(parts["profanity"], profanity)
    torch.testing.assert_close(total, 0.5 * parts["brevity"] + vowels(PROMPTS, ANSWERS) - 2 * profanity)
    assert profanity[0] > profanity[2]


def test_a_function_that_returns_too_few_is_named():
    rows = sources({"kind": "python", "name": "short", "function": f"{__name__}:one_short"})
    with pytest.raises(ScorerError, match=r":one_short: scores have the wrong shape \(found \[2\]\).*each of the 3"):
        build_rewards(rows, Path())(PROMPTS, ANSWERS)


@pytest.mark.parametrize(
    ("row", "error", "message"),
    [
        ({"kind": "python", "name": "x", "function": "tests.engine:nothing"}, ScorerError, "names no function"),
        (
            {"kind": "toxicity", "name": "x", "category": "insult"},
            ScorerError,
            r"profanity-check: has no such category \(found 'insult'\)\. Its categories: profanity",
        ),
        ({"kind": "classifier", "name": "x", "model": "BERT", "label": "nothat"}, ModelError, r"labels: hate, nothate"),
    ],
)
def test_what_cannot_be_had_is_found_before_training(
    row: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
):
    if row["kind"] == "classifier":
        row = row | {"model": str(write_bert(tmp_path, labels=("hate", "nothate")))}
    with pytest.raises(error, match=message):
        check_rewards(sources(row))


def test_a_learned_reward_need_not_be_there_before_training():
    check_rewards(sources({"kind": "learned"}))


def test_the_detoxification_example_optimises_one_label_and_audits_the_rest(tmp_path: Path):
    """configs/detox.yaml, and the README's example of it, with small models in the place of its own."""
    config = load_config(ROOT / "configs" / "detox.yaml")
    (label,) = config.ppo.rewards
    assert isinstance(label, ClassifierReward) and not config.optimises_own_reward_model
    tiny = label.model_copy(
        update={"model": str(write_bert(tmp_path / "b", labels=("nothate", "hate"))), "max_length": 96}
    )
    own = saved(tmp_path / "own", 0)
    score = build_rewards([tiny], tmp_path / "own")
    audits = build_audits(config.ppo.audits, tmp_path / "own")
    assert torch.equal(score(PROMPTS, ANSWERS), LabelScorer(tiny)(PROMPTS, ANSWERS))
    assert list(audits) == ["profanity", "reward_model"]
    assert torch.equal(audits["reward_model"](PROMPTS, ANSWERS), own.score(PROMPTS, ANSWERS))
    example = re.search(r"```yaml\n(ppo:.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)
    assert example
    (tmp_path / "x.yaml").write_text(f"name: x\ndata: {{prompts: p, demonstrations: d, rankings: r}}\n{example[1]}")
    assert load_config(tmp_path / "x.yaml").ppo == config.ppo
