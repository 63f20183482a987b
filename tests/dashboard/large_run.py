"""A run as large as a page has to bear: 1,000 prompts × 3 contenders with scores, and 10,000 simulated votes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rlhf_core.data.io import write_json, write_jsonl
from tests.run_factory import CONTENDERS, SCORERS, vote_rows, write_run

CATEGORIES = ("harmless", "helpful", "honest")
MEASURES = (("reward model", "score"), ("profanity-check", "profanity"), ("text", "words"), ("text", "finished"))


def write_large(path: Path, prompts: int = 1000, votes: int = 10_000) -> Path:
    """Write the run at `path`; answers have 100 words of a vocabulary whose commonest are as common as in a language."""
    rng = np.random.default_rng(0)
    run = write_run(path, recorded=True)
    words, weights = np.array([f"word{n}" for n in range(4000)]), 1 / np.arange(3, 4003)
    names = [f"p{n:04d}" for n in range(prompts)]
    about = {name: (f"Question {name} about {rng.choice(words)}?", CATEGORIES[n % 3]) for n, name in enumerate(names)}
    for contender in CONTENDERS:
        drawn = rng.choice(words, (prompts, 100), p=weights / weights.sum())
        rows = [
            {"prompt_id": name, "prompt": about[name][0], "category": about[name][1], "contender": contender}
            | {"text": " ".join(drawn[n, : 60 + n % 40]), "tokens": 100, "finished": True}
            for n, name in enumerate(names)
        ]
        write_jsonl(run / "completions" / f"{contender}.jsonl", rows)
    values = rng.normal(size=(prompts, len(CONTENDERS), len(MEASURES)))
    scores = [
        {"prompt_id": name, "category": about[name][1], "contender": contender, "scorer": scorer, "measure": measure}
        | {"value": float(values[n, c, m])}
        for n, name in enumerate(names)
        for c, contender in enumerate(CONTENDERS)
        for m, (scorer, measure) in enumerate(MEASURES)
    ]
    write_json(run / "evaluation" / "scores.json", {"rows": scores, "scorers": SCORERS})
    write_jsonl(run / "votes.jsonl", [_vote(n, names, rng) for n in range(votes)])
    return run


def _vote(number: int, names: list[str], rng: np.random.Generator) -> dict[str, object]:
    outcome = str(rng.choice(["contender", "baseline", "tie"], p=[0.5, 0.3, 0.2]))
    place, labeller = number % len(names), f"simulated-{number // len(names)}"
    row = vote_rows(labellers=(labeller,), simulated=True)[0] | {"vote_id": number + 1, "item_id": place + 1}
    return row | {
        "prompt_id": names[place],
        "outcome": outcome,
        "score": {"contender": 1.0, "baseline": 0.0, "tie": 0.5}[outcome],
        "length_difference": int(rng.integers(-20, 20)),
    }
