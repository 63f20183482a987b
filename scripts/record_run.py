"""Turn a finished run into sample_data/recorded_run: its records without weights, and votes made by a stated rule.

Usage: python scripts/record_run.py runs/quickstart [sample_data/recorded_run]
"""

from __future__ import annotations

import json
import math
import random
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from rlhf_core.data.io import write_json, write_jsonl, write_text
from rlhf_core.errors import RunError
from rlhf_core.runs.directory import STAGES
from rlhf_core.runs.reader import RunReader

KEPT = ("metrics.jsonl", "samples.jsonl")
LABELLERS = ("simulated-1", "simulated-2", "simulated-3")
TIE, NOISE, BAD = 0.4, 0.8, -1.0
START = "2026-01-01T12:00:00+00:00"

RULE = f"""These votes are simulated: no person gave them. They show what the pages look like with votes, and nothing else.

Rule (`scripts/record_run.py`, seed 0): three simulated labellers judge every held-out prompt. For each, with *d* the
reward-model score of the tuned answer minus that of the base answer, and *e* drawn from a logistic distribution of
scale {NOISE}: both bad when both scores are below {BAD}; otherwise a tie when |*d* + *e*| < {TIE}; otherwise the tuned
answer wins when *d* + *e* > 0. The side of the tuned answer is a fair coin. The votes therefore repeat the reward
model's opinion with noise. They are no evidence that people prefer the tuned model.
"""


def record(run: Path, target: Path) -> None:
    """Write the recorded run to `target`, replacing what is there.

    Raises:
        RunError: the run is not complete.
    """
    status = json.loads((run / "status.json").read_text(encoding="utf-8"))
    if any(status["stages"].get(name, {}).get("state") != "complete" for name in STAGES):
        raise RunError("only a complete run can be recorded", where=run)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for stage in STAGES:
        for name in KEPT:
            if (run / stage / name).is_file():
                (target / stage).mkdir(exist_ok=True)
                shutil.copy(run / stage / name, target / stage / name)
    for folder, pattern in (("completions", "*.jsonl"), ("evaluation", "*.json")):
        (target / folder).mkdir()
        for path in sorted((run / folder).glob(pattern)):
            shutil.copy(path, target / folder / path.name)
    write_json(target / "status.json", status | {"recorded": True})
    write_text(target / "config.yaml", _without_folders((run / "config.yaml").read_text(encoding="utf-8")))
    environment = json.loads((run / "env.json").read_text(encoding="utf-8"))
    environment.pop("folder", None)
    write_json(target / "env.json", environment | {"command": _without_folders(environment["command"])})
    write_jsonl(target / "votes.jsonl", simulate_votes(RunReader(target), random.Random(0)))
    write_text(target / "votes_rule.md", RULE)


def simulate_votes(reader: RunReader, rng: random.Random) -> list[dict[str, Any]]:
    """Return the simulated votes of a recorded run: the rule of `votes_rule.md`."""
    rows = (reader.evaluation("scores") or {"rows": []})["rows"]
    score = {(r["contender"], r["prompt_id"]): r["value"] for r in rows if r["scorer"] == "reward model"}
    texts = {row.prompt_id: row.text for row in reader.completions("base")}
    votes = []
    for labeller in LABELLERS:
        for item, answer in enumerate(reader.completions("tuned"), 1):
            before, after = len(texts[answer.prompt_id].split()), len(answer.text.split())
            base, tuned = score["base", answer.prompt_id], score["tuned", answer.prompt_id]
            outcome = _outcome(base, tuned, rng)
            votes.append(
                {
                    "vote_id": len(votes) + 1,
                    "task_id": 0,
                    "item_id": item,
                    "prompt_id": answer.prompt_id,
                    "prompt": answer.prompt,
                    "category": answer.category,
                    "labeller": labeller,
                    "criterion": "overall",
                    "baseline": "base",
                    "contender": "tuned",
                    "outcome": outcome,
                    "score": {"contender": 1.0, "baseline": 0.0}.get(outcome, 0.5),
                    "contender_side": rng.choice("ab"),
                    "reading_seconds": 0.0,
                    "words": len(answer.prompt.split()) + before + after,
                    "length_difference": after - before,
                    "reason": "",
                    "created_at": START,
                    "instruction_version": "",
                    "simulated": True,
                    "kind": "item",
                    "repeat_of": None,
                    "gold": None,
                }
            )
    return votes


def _outcome(base: float, tuned: float, rng: random.Random) -> str:
    uniform = rng.uniform(1e-9, 1 - 1e-9)
    lead = tuned - base + NOISE * math.log(uniform / (1 - uniform))
    if max(base, tuned) < BAD:
        return "both_bad"
    if abs(lead) < TIE:
        return "tie"
    return "contender" if lead > 0 else "baseline"


def _without_folders(text: str) -> str:
    """Drop the folders of the machine the run was made on from absolute paths."""
    return re.sub(r"/[\w./-]*/(?=(sample_data|runs|configs)\b)", "", text)


if __name__ == "__main__":
    record(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "sample_data/recorded_run"))
