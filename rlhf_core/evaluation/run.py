"""Evaluate one run: score every contender's completions with every scorer, compare them, write `evaluation/*.json`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rlhf_core.config import EvaluateConfig
from rlhf_core.data.io import read_jsonl, write_json
from rlhf_core.data.records import ContenderCompletion
from rlhf_core.evaluation.compare import best_of_summary, compare, kl_summary
from rlhf_core.evaluation.refusals import refusal_report
from rlhf_core.evaluation.scores import describe_scorers, reward_rows, text_rows, toxicity_rows
from rlhf_core.evaluation.toxicity import load_scorer
from rlhf_core.runs.directory import REFUSALS
from rlhf_core.runs.reader import RunReader

Report = Callable[[int, int, str], None]


def evaluate_run(
    path: Path, config: EvaluateConfig, score: Callable[..., Any], report: Report, *, optimised: bool = True
) -> None:
    """Write `evaluation/scores.json` and `evaluation/comparisons.json` of the run at `path`; `refusals.json` where asked for.

    `score(prompts, responses, categories)` is the reward model; `optimised` says whether PPO was rewarded with it. KL
    comes from PPO's held-out samples of the tuned model.

    Raises:
        ScorerError: a scorer asked for cannot be had.
    """
    scorers = [load_scorer(name, config.detoxify_checkpoint) for name in config.toxicity]
    files = sorted((path / "completions").glob("*.jsonl"))
    total = len(files) + 1
    rows: list[dict[str, Any]] = []
    for n, file in enumerate(files):
        completions = read_jsonl(file, ContenderCompletion)
        asked = [(c.prompt, c.text, c.category) for c in completions]
        rows += reward_rows(completions, score(*zip(*asked, strict=True)).tolist())
        for scorer in scorers:
            rows += toxicity_rows(completions, scorer)
        rows += text_rows(completions)
        report(n + 1, total, f"scored {file.stem}")
    described = describe_scorers(scorers, reward_model_name(path), optimised=optimised)
    write_json(path / "evaluation" / "scores.json", {"rows": rows, "scorers": described})
    comparisons = {
        "rows": compare(rows, bootstrap=config.bootstrap),
        "kl": held_out_kl(path, config.bootstrap),
        "best_of": best_of_summary(file.stem for file in files),
    }
    write_json(path / "evaluation" / "comparisons.json", comparisons)
    _evaluate_refusals(path, config.bootstrap)
    report(total, total, "compared")


def _evaluate_refusals(path: Path, bootstrap: int) -> None:
    """Write `evaluation/refusals.json`, or remove that of an earlier configuration where no test of refusals was answered."""
    target = path / "evaluation" / "refusals.json"
    answers = {file.stem: read_jsonl(file, ContenderCompletion) for file in (path / REFUSALS).glob("*.jsonl")}
    if answers:
        write_json(target, refusal_report(answers, bootstrap=bootstrap))
    else:
        target.unlink(missing_ok=True)


def reward_model_name(path: Path) -> str:
    """Return what the run's reward model was built on."""
    return str((RunReader(path).evaluation("reward_model") or {}).get("model", "reward model"))


def held_out_kl(path: Path, bootstrap: int) -> dict[str, Any] | None:
    """Return the KL to the reference over the held-out responses measured of the tuned model, or None without any.

    They are those of the step the run's outcome names, or of the last one.
    """
    reader = RunReader(path)
    samples, outcome = reader.samples("ppo"), reader.outcome()
    if samples.empty:
        return None
    step = outcome.measured if outcome else samples["step"].max()
    kept: Sequence[float] = samples.loc[samples["step"] == step, "kl"].tolist()
    return kl_summary(kept, bootstrap=bootstrap)
