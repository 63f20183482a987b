"""A run that somebody has judged and a round can go on from: real prompts and answers, tiny models; nothing is trained."""

from __future__ import annotations

import json
from contextlib import closing
from itertools import groupby
from pathlib import Path

from rlhf_core.data.io import read_jsonl, write_jsonl
from rlhf_core.data.records import ContenderCompletion, Demonstration, Prompt, Ranking
from rlhf_core.feedback.collect import own_task
from rlhf_core.feedback.store import VoteStore
from rlhf_core.runs.reader import RunReader
from tests.play_factory import write_playable_run
from tests.vote_factory import INSTRUCTIONS

SAMPLES = Path(__file__).resolve().parents[1] / "sample_data"
RECORDED = SAMPLES / "recorded_run"
TRAINED, HELD_OUT = 16, 40
FILES = {"prompts": Prompt, "demonstrations": Demonstration, "rankings": Ranking}


def write_judged_run(root: Path, *settings: str, name: str = "first") -> Path:
    """Write a run at `root/runs/name` with the recorded run's answers to 40 prompts, all judged by Ana; return it.

    `settings` are overrides, which hold for the rounds after it too.

    What she says is what the recorded run's first simulated labeller says. Her votes lie in `root/votes.db`.
    """
    rows = {file: read_jsonl(SAMPLES / f"{file}.jsonl", kind) for file, kind in FILES.items()}
    held_out = _some([row for row in rows["prompts"] if row.split == "eval"], HELD_OUT)
    shown = {row.prompt for row in _some([row for row in rows["prompts"] if row.split == "train"], TRAINED)}
    for file, content in rows.items():
        kept = [row for row in content if row.prompt in shown]
        write_jsonl(root / "data" / f"{file}.jsonl", [*kept, *held_out] if file == "prompts" else kept)
    places = [f"data.{file}={root / 'data' / file}.jsonl" for file in FILES]
    run = write_playable_run(root / "runs", *places, "data.limit=null", *settings, name=name)
    asked = {row.id for row in held_out}
    for contender in ("base", "sft", "tuned"):
        answers = read_jsonl(RECORDED / "completions" / f"{contender}.jsonl", ContenderCompletion)
        write_jsonl(run / "completions" / f"{contender}.jsonl", [a for a in answers if a.prompt_id in asked])
    _judge(run, root / "votes.db")
    return run


def _some(prompts: list[Prompt], count: int) -> list[Prompt]:
    """So many prompts, as many of each category."""
    by_category = [list(rows) for _, rows in groupby(sorted(prompts, key=lambda p: p.category), lambda p: p.category)]
    return [prompt for rows in by_category for prompt in rows[: count // len(by_category)]]


def _judge(run: Path, database: Path) -> None:
    rows = [json.loads(line) for line in (RECORDED / "votes.jsonl").read_text(encoding="utf-8").splitlines()]
    said = {row["prompt"]: row["outcome"] for row in rows if row["labeller"] == "simulated-1"}
    tuned = {answer.prompt: answer.text for answer in RunReader(run).completions("tuned")}
    with closing(VoteStore(database)) as store:
        task = store.ensure_task(own_task(RunReader(run), INSTRUCTIONS))
        while (item := store.next_item(task, "ana")) is not None:
            place = item.texts.index(tuned[item.prompt])
            verdict = {"contender": "ab"[place], "baseline": "ba"[place]}.get(said[item.prompt]) or said[item.prompt]
            words = len(" ".join(item.texts).split())
            store.vote(item.token, verdict, reading_seconds=words / 4)
