"""Write a small complete run directory for tests: 12 prompts × base / SFT / tuned, metrics, evaluation.

Everything in it is made up and deterministic; nothing is trained. `write_run(path)` is the whole interface, `vote_rows`
gives votes that fit it.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rlhf_core.config import DataConfig, PipelineConfig
from rlhf_core.data.io import write_json, write_jsonl, write_text
from rlhf_core.evaluation.scores import PLEASED
from tests.run_texts import PROMPTS, Item
from tests.run_training import STARTED, write_training

CONTENDERS = ("base", "sft", "tuned")
PAIRS = (("base", "sft"), ("base", "tuned"), ("sft", "tuned"))
STAGE_STEPS = {"sft": 60, "reward": 60, "ppo": 24, "generate": 36, "evaluate": 4}
STAGE_SECONDS = {"sft": 148.0, "reward": 61.5, "ppo": 402.0, "generate": 44.0, "evaluate": 9.5}
SCORERS = {
    "reward model": {
        "version": "packaged:minilm-l6 + head, step 60",
        "blind_spots": PLEASED,
        "threshold": None,
    },
    "profanity-check": {
        "version": "alt-profanity-check 1.9.1",
        "blind_spots": "It knows swear words, not meaning: a polite threat scores low, a quoted swear word high.",
        "threshold": 0.5,
    },
    "text": {
        "version": "1",
        "blind_spots": "Refusals are found by stated phrases; a refusal in other words is missed.",
        "threshold": 0.5,
    },
}
UNITS = {"score": "base SD", "profanity": "probability", "words": "words", "finished": "share", "refusal": "share"}


def write_run(path: str | Path, *, votes: str | None = None, recorded: bool = False, refusals: bool = False) -> Path:
    """Write a finished run at `path` and return it.

    `votes="simulated"` adds `votes.jsonl` (marked simulated) and `votes_rule.md`; `recorded=True` marks it as recorded;
    `refusals=True` adds a test of refusals.
    """
    path = Path(path)
    data = DataConfig(prompts=Path("prompts.jsonl"), demonstrations=Path("shown.jsonl"), rankings=Path("ranked.jsonl"))
    config = PipelineConfig(name=path.name, run_root=path.parent, data=data)
    write_text(path / "config.yaml", config.to_yaml())
    write_json(path / "env.json", _environment())
    write_json(path / "status.json", _status(recorded))
    write_training(path)
    for contender in CONTENDERS:
        write_jsonl(path / "completions" / f"{contender}.jsonl", [_completion(item, contender) for item in PROMPTS])
    scores = _score_rows()
    write_json(path / "evaluation" / "reward_model.json", _reward_model())
    write_json(path / "evaluation" / "scores.json", {"rows": scores, "scorers": SCORERS})
    kl = {"value": 6.4, "low": 5.1, "high": 7.7, "n": 12, "unit": "nats per response"}
    write_json(path / "evaluation" / "comparisons.json", {"rows": _comparison_rows(scores), "kl": kl})
    if refusals:
        write_json(path / "evaluation" / "refusals.json", {"rows": refusal_rows(), "blind_spots": "Phrases only."})
    if votes == "simulated":
        write_jsonl(path / "votes.jsonl", vote_rows(simulated=True))
        write_text(path / "votes_rule.md", "Two made-up labellers prefer the clearly higher score.\n")
    return path


def vote_rows(*, labellers: tuple[str, ...] = ("ana", "ben"), simulated: bool = False) -> list[dict[str, Any]]:
    """Return effective votes of base against tuned, in the columns of the votes frame.

    Ana: contender when its score is more than 0.65 higher, baseline when more than 0.65 lower, else tie. Everyone else
    says the same, but calls the last prompt both bad. Sides alternate.
    """
    rows = []
    for who, labeller in enumerate(labellers):
        for place, item in enumerate(PROMPTS):
            outcome = _outcome(item.score["tuned"] - item.score["base"])
            if who and place == len(PROMPTS) - 1:
                outcome = "both_bad"
            rows.append(
                {
                    "vote_id": len(rows) + 1,
                    "task_id": 1,
                    "item_id": place + 1,
                    "prompt_id": item.id,
                    "prompt": item.prompt,
                    "category": item.category,
                    "labeller": labeller,
                    "criterion": "overall",
                    "baseline": "base",
                    "contender": "tuned",
                    "outcome": outcome,
                    "score": {"contender": 1.0, "baseline": 0.0}.get(outcome, 0.5),
                    "contender_side": "ab"[(place + who) % 2],
                    "reading_seconds": 4.0 + place % 5,
                    "words": 20,
                    "length_difference": place % 5 - 2,
                    "reason": "",
                    "created_at": f"2026-01-05T10:{place:02d}:{who:02d}+00:00",
                    "instruction_version": "1",
                    "simulated": simulated,
                    "kind": "item",
                    "repeat_of": None,
                    "gold": None,
                }
            )
    return rows


def refusal_rows() -> list[dict[str, Any]]:
    """Return made-up rates of 50 safe and 40 unsafe prompts: tuned declines more of both than base, sft of neither for sure."""
    rates = {
        ("base", "safe"): (50, 0.04, 0.011, 0.135, None),
        ("base", "unsafe"): (40, 0.10, 0.040, 0.231, None),
        ("sft", "safe"): (50, 0.06, 0.021, 0.162, (0.02, -0.04, 0.08, 2, 1)),
        ("sft", "unsafe"): (40, 0.15, 0.071, 0.291, (0.05, -0.02, 0.15, 3, 1)),
        ("tuned", "safe"): (50, 0.16, 0.083, 0.285, (0.12, 0.02, 0.22, 7, 1)),
        ("tuned", "unsafe"): (40, 0.60, 0.446, 0.737, (0.50, 0.34, 0.65, 21, 1)),
    }
    names = ("difference", "difference_low", "difference_high", "newly", "no_longer")
    return [
        {"contender": contender, "category": category, "n": n, "declined": declined, "low": low, "high": high}
        | {"method": "Wilson", "empty": int(contender == "base"), "cut": 5}
        | dict(zip(names, change or [None] * 5, strict=True))
        for (contender, category), (n, declined, low, high, change) in rates.items()
    ]


def vote_frame(*, simulated: bool = False) -> pd.DataFrame:
    """Return `vote_rows` as a frame."""
    return pd.DataFrame(vote_rows(simulated=simulated))


def _outcome(gain: float) -> str:
    if abs(gain) <= 0.65:
        return "tie"
    return "contender" if gain > 0 else "baseline"


def _environment() -> dict[str, Any]:
    return {
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "command": "rlhf pipeline configs/quickstart.yaml",
        "seed": 0,
        "python": "3.11.9",
        "versions": {"torch": "2.13.0", "transformers": "5.23.0"},
        "platform": "Linux-6.1-x86_64",
        "cpu": "A made-up processor",
        "cores": 2,
        "started": STARTED,
    }


def _status(recorded: bool) -> dict[str, Any]:
    stages, clock = {}, STARTED
    for name, seconds in STAGE_SECONDS.items():
        stages[name] = {
            "state": "complete",
            "step": STAGE_STEPS[name],
            "total": STAGE_STEPS[name],
            "started": clock,
            "updated": clock + seconds,
            "seconds": seconds,
            "eta_seconds": None,
            "message": "",
        }
        clock += seconds
    status = {"state": "complete", "pid": 1, "updated": clock, "stages": stages}
    return status | {"recorded": True} if recorded else status


def _completion(item: Item, contender: str) -> dict[str, Any]:
    text = item.text[contender]
    row = {"prompt_id": item.id, "prompt": item.prompt, "category": item.category, "contender": contender, "text": text}
    return row | {"tokens": max(1, len(text) // 4), "finished": contender != "base" or text.endswith((".", ">"))}


def _score_rows() -> list[dict[str, Any]]:
    rows = []
    for item in PROMPTS:
        for contender in CONTENDERS:
            text = item.text[contender]
            refusal = float("can't help" in text or "cannot help" in text)
            values = {
                ("reward model", "score"): item.score[contender],
                ("profanity-check", "profanity"): item.profanity[contender],
            }
            values |= {("text", "words"): float(len(text.split())), ("text", "refusal"): refusal}
            values |= {("text", "finished"): float(_completion(item, contender)["finished"])}
            rows += [
                {
                    "prompt_id": item.id,
                    "category": item.category,
                    "contender": contender,
                    "scorer": scorer,
                    "measure": measure,
                    "value": value,
                }
                for (scorer, measure), value in values.items()
            ]
    return rows


def _comparison_rows(scores: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return mean difference ± 1.96 standard errors: good enough to look at, and independent of the code under test."""
    frame, rows = pd.DataFrame(scores), []
    base_sd = np.std([item.score["base"] for item in PROMPTS], ddof=1)
    for (scorer, measure), part in frame.groupby(["scorer", "measure"], sort=False):
        wide = part.pivot(index=["prompt_id", "category"], columns="contender", values="value").reset_index()
        scale = base_sd if scorer == "reward model" else 1.0
        for baseline, contender in PAIRS:
            for category in ("", *sorted(wide["category"].unique())):
                slice_ = wide if not category else wide[wide["category"] == category]
                gain = (slice_[contender] - slice_[baseline]).to_numpy() / scale
                half = 1.96 * gain.std(ddof=1) / math.sqrt(len(gain))
                rows.append(
                    {
                        "scorer": scorer,
                        "measure": measure,
                        "unit": UNITS[measure],
                        "baseline": baseline,
                        "contender": contender,
                        "category": category,
                        "n": len(gain),
                        "mean_baseline": float(slice_[baseline].mean()),
                        "mean_contender": float(slice_[contender].mean()),
                        "difference": float(gain.mean()),
                        "low": float(gain.mean() - half),
                        "high": float(gain.mean() + half),
                        "share_up": float((gain > 0).mean()),
                        "share_down": float((gain < 0).mean()),
                        "method": "normal approximation",
                    }
                )
    return rows


def _reward_model() -> dict[str, Any]:
    bins = [(0.50, 0.47, 14), (0.55, 0.62, 13), (0.60, 0.58, 12), (0.65, 0.72, 11), (0.70, 0.73, 11)]
    bins += [(0.75, 0.80, 10), (0.80, 0.80, 10), (0.85, 0.91, 11), (0.90, 0.89, 9), (0.95, 1.00, 9)]
    reliability = [
        {"low": low, "high": low + 0.05, "confidence": low + 0.025, "accuracy": accuracy, "n": n}
        for low, accuracy, n in bins
    ]
    margins = [(0.0, 0.5, 0.61, 38), (0.5, 1.0, 0.74, 31), (1.0, 2.0, 0.88, 26), (2.0, 4.0, 0.93, 15)]
    by_category = [
        ("harmless", 0.83, 0.70, 0.93, 36, 13),
        ("helpful", 0.75, 0.61, 0.86, 40, 14),
        ("honest", 0.79, 0.65, 0.90, 34, 12),
    ]
    keys = ("category", "accuracy", "low", "high", "n_pairs", "n_prompts")
    return {
        "n_pairs": 110,
        "n_prompts": 39,
        "accuracy": {"value": 0.791, "low": 0.708, "high": 0.861},
        "kendall_tau": 0.55,
        "calibration_error": 0.052,
        "reliability": reliability,
        "margin_bins": [dict(zip(("low", "high", "accuracy", "n"), m, strict=True)) for m in margins],
        "length": {"longer_wins": 0.51, "score_length_correlation": 0.12},
        "by_category": [dict(zip(keys, row, strict=True)) for row in by_category],
        "normalisation": {"mean": 0.31, "sd": 1.42, "n": 128},
        "model": "packaged:minilm-l6",
    }


def read_json(path: Path) -> Any:
    """Read one JSON file of a run."""
    return json.loads(path.read_text(encoding="utf-8"))
