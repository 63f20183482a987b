"""Models that left, read by a script that knows nothing of this project: the same log-probabilities and the same scores."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from markdown_it import MarkdownIt

from rlhf_core.config import LoraConfig, PolicyConfig, load_config
from rlhf_core.data.io import write_jsonl, write_text
from rlhf_core.exporting import ExportRequest, export_model
from rlhf_core.models.policy import load_policy
from rlhf_core.models.rewards import RewardEnsemble, RewardModel, load_reward_model, new_reward_model
from tests.engine import LORA, move, reward_config, tiny_policy, write_bert
from tests.run_factory import write_run
from tests.seq2seq import t5_policy, write_t5

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "plain_transformers.py"
SYSTEM = "Answer in one or two short sentences."
ROWS = [
    {"prompt": "Name a colour.", "response": "Blue, which is a colour of the sky."},
    {"prompt": "Why?", "response": "No."},
    {"prompt": "Tell me about tea, please. " * 12, "response": "It is a hot drink made of leaves. " * 6},
]


def adapted(folder: Path) -> None:
    """Adapters of fine-tuning in both layers, and of PPO in the last one, which have learnt much."""
    move(tiny_policy(), 0.2).save(folder / "sft" / "model")
    settings = PolicyConfig(model="tiny", dtype="float32", lora=LoraConfig(r=2, alpha=4, layers=1))
    policy = load_policy(folder / "sft" / "model", settings, trainable=True)
    move(policy, 0.2, seed=2).save(folder / "ppo" / "model")


def summariser(folder: Path) -> None:
    """A tiny T5 with adapters that have learnt much."""
    move(t5_policy(write_t5(folder / "t5")), 0.3).save(folder / "ppo" / "model")


def full(folder: Path) -> None:
    """All weights moved."""
    move(tiny_policy(lora=None), 0.02).save(folder / "ppo" / "model")


def reward(backbone: str, seed: int, categories: tuple[str, ...] = (), lora: LoraConfig | None = LORA) -> RewardModel:
    """A reward model that has learnt something, normalised."""
    config = reward_config(model=backbone, lora=lora)
    model = new_reward_model(config, torch.Generator().manual_seed(seed), categories)
    model.normalise_on([row["prompt"] for row in ROWS], [row["response"] for row in ROWS])
    return model


def of_rewards(model: Callable[[Path], Any]) -> Callable[[Path], None]:
    return lambda folder: model(folder).save(folder / "reward" / "model")


def bert(folder: Path) -> str:
    return str(write_bert(folder / "bert", initializer_range=0.3))


MAKERS: dict[str, tuple[Callable[[Path], None], dict[str, Any]]] = {
    "merged": (adapted, {"stage": "ppo"}),
    "fine-tuned": (adapted, {"stage": "sft"}),
    "adapter": (adapted, {"stage": "ppo", "adapter": True}),
    "full": (full, {"stage": "ppo"}),
    "encoder-decoder": (summariser, {"stage": "ppo"}),
    "encoder-decoder-adapter": (summariser, {"stage": "ppo", "adapter": True}),
    "decoder": (of_rewards(lambda _: reward("tiny", 1)), {"stage": "reward"}),
    "encoder": (of_rewards(lambda f: reward(bert(f), 2, lora=None)), {"stage": "reward"}),
    "by-category": (of_rewards(lambda f: reward(bert(f), 3, ("harmless", "helpful"))), {"stage": "reward"}),
    "ensemble": (
        of_rewards(lambda f: RewardEnsemble([reward(bert(f), 4), reward(bert(f / "b"), 5)])),
        {"stage": "reward"},
    ),
}
POLICIES = ("merged", "fine-tuned", "adapter", "full", "encoder-decoder", "encoder-decoder-adapter")
T5 = ("encoder-decoder", "encoder-decoder-adapter")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[dict[str, Any]]]]:
    """A run for each kind of model, and what the script says of what each was exported to: one process reads them all."""
    root = tmp_path_factory.mktemp("exports")
    for name, (make, asked) in MAKERS.items():
        run = write_run(root / "runs" / name)
        said = "" if name in T5 else SYSTEM
        settings = ["policy.dtype=float32", "policy.model=tiny", f"name={name}", f"run_root={run.parent}"]
        config = load_config(ROOT / "configs" / "tiny.yaml", [*settings, f"policy.system_prompt='{said}'"])
        write_text(run / "config.yaml", config.to_yaml())
        make(run)
        export_model(ExportRequest(run, root / name, **({"adapter": False, "votes": "none.db"} | asked)))
    write_jsonl(root / "rows.jsonl", ROWS)
    line = [sys.executable, str(SCRIPT), "rows.jsonl", *MAKERS]
    done = subprocess.run(line, cwd=root, capture_output=True, text=True, timeout=300, env=_without_ours())
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return root, {name: [row for row in rows if row["folder"] == name] for name in MAKERS}


def _without_ours() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def test_the_script_imports_nothing_of_this_project():
    found = [node for node in ast.walk(ast.parse(SCRIPT.read_text())) if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {name for node in found for name in ([node.module] if isinstance(node, ast.ImportFrom) else _names(node))}
    assert {str(module).split(".")[0] for module in modules} <= {
        *sys.stdlib_module_names,
        "torch",
        "transformers",
        "peft",
    }


def _names(node: ast.Import) -> list[str]:
    return [alias.name for alias in node.names]


@pytest.mark.parametrize("name", POLICIES)
def test_a_policys_log_probabilities_are_ours(told: tuple[Path, dict[str, list[dict[str, Any]]]], name: str):
    """Of the tokens the script sampled, behind the prompt as our own code writes it."""
    root, said = told
    stage = MAKERS[name][1]["stage"]
    settings = PolicyConfig(model="tiny", dtype="float32")
    policy = load_policy(root / "runs" / name / stage / "model", settings, trainable=False)
    for row, result in zip(ROWS, said[name], strict=True):
        prompt = policy.encode_prompt(row["prompt"], "" if name in T5 else SYSTEM, 900)
        ids = torch.tensor([[*prompt, *result["tokens"]]])
        counts = torch.arange(ids.shape[1])[None] >= len(prompt)
        with torch.no_grad():
            logits, _ = policy.run(ids, torch.ones_like(counts), counts)
        expected = logits.log_softmax(-1)[torch.arange(len(result["tokens"])), result["tokens"]]
        torch.testing.assert_close(torch.tensor(result["logprobs"]), expected, atol=1e-5, rtol=1e-5)
        assert result["completion"] == policy.decode_response(result["tokens"])
        assert 0 < len(result["tokens"]) <= 8  # configs/tiny.yaml: generate.max_new_tokens


def test_the_kinds_of_policy_differ(told: tuple[Path, dict[str, list[dict[str, Any]]]]):
    """So that a script that read the base model of each would be noticed; an adapter is what is merged."""
    said = told[1]
    first = {name: said[name][0]["logprobs"][0] for name in POLICIES}
    assert first["merged"] == pytest.approx(first["adapter"], abs=1e-5)
    assert first["encoder-decoder"] == pytest.approx(first["encoder-decoder-adapter"], abs=1e-5)
    assert len({round(value, 4) for value in first.values()}) == 4


@pytest.mark.parametrize("name", ["decoder", "encoder", "ensemble"])
def test_a_reward_models_scores_are_ours(told: tuple[Path, dict[str, list[dict[str, Any]]]], name: str):
    root, said = told
    model = load_reward_model(root / "runs" / name / "reward" / "model")
    expected = model.score([row["prompt"] for row in ROWS], [row["response"] for row in ROWS])
    found = torch.tensor([row["score"] for row in said[name]])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert found.std() > 0.1


def test_the_scores_of_each_category_are_ours(told: tuple[Path, dict[str, list[dict[str, Any]]]]):
    root, said = told
    model = load_reward_model(root / "runs" / "by-category" / "reward" / "model")
    for category in ("harmless", "helpful"):
        given = [row["prompt"] for row in ROWS], [row["response"] for row in ROWS]
        expected = model.score(*given, [category] * len(ROWS))
        found = torch.tensor([row[category] for row in said["by-category"]])
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_every_folder_has_a_card_that_says_how_to_load_it(told: tuple[Path, dict[str, list[dict[str, Any]]]]):
    """The code of the cards is run as it stands, in the folder it speaks of."""
    for name in MAKERS:
        folder = told[0] / name
        card = (folder / "README.md").read_text()
        use = card[card.index("## How to use it") :]
        code = next(token.content for token in MarkdownIt().parse(use) if token.type == "fence")
        scope: dict[str, Any] = {"folder": folder, "prompt": ROWS[0]["prompt"], "response": ROWS[0]["response"]}
        scope["print"] = lambda text, scope=scope: scope.setdefault("printed", []).append(text)
        exec(code, scope)
        if name in POLICIES:
            assert len(scope["printed"]) == 1
        else:
            rows = told[1][name][0]
            labels = [label for label in rows if label not in ("folder", "prompt")]
            assert scope["score"].tolist() == pytest.approx([rows[label] for label in labels], abs=1e-5)
