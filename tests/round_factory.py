"""A run that looks finished, with data, completions and simulated people's votes, for tests of rounds; nothing is trained."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from rlhf_core.config import DataConfig, GenerateConfig, PipelineConfig, PolicyConfig
from rlhf_core.data.io import read_jsonl, write_json, write_jsonl, write_text
from rlhf_core.data.records import Completion, ContenderCompletion, Demonstration, Message, Prompt, Ranking
from rlhf_core.feedback.store import VoteStore
from rlhf_core.feedback.tasks import TaskDesign, build_task
from rlhf_core.runs.directory import STAGES
from tests.vote_factory import INSTRUCTIONS, completion

TRAINED, HELD_OUT = 12, 40
Verdict = Callable[[int], str]
"""From the number of a held-out prompt to "base", "tuned" or "tie"."""


def write_parent(root: Path, name: str = "first", *, talks: int = 0) -> Path:
    """Write a run with 12 training prompts (each ranked once) and 40 held out; the first `talks` of these go on one talk."""
    data, run = root / "data", root / "runs" / name
    history = [Message(role="user", content="Hello there"), Message(role="assistant", content="Hello")]
    held_out = [
        Prompt(id=f"e{n}", prompt=f"Question e{n}?", split="eval", history=history if n < talks else [])
        for n in range(HELD_OUT)
    ]
    train = [Prompt(id=f"t{n}", prompt=f"Task number {n}?") for n in range(TRAINED)]
    texts = [Completion(id="a", text="right"), Completion(id="b", text="wrong")]
    write_jsonl(data / "prompts.jsonl", [*train, *held_out])
    shown = [Demonstration(id=f"d{n}", prompt=p.prompt, response="So.") for n, p in enumerate(train)]
    write_jsonl(data / "demonstrations.jsonl", shown)
    ranked = [
        Ranking(id=f"r{n}", prompt=p.prompt, completions=texts, ranking=[["a"], ["b"]]) for n, p in enumerate(train)
    ]
    write_jsonl(data / "rankings.jsonl", ranked)
    files = DataConfig(**{key: data / f"{key}.jsonl" for key in ("prompts", "demonstrations", "rankings")})
    settings: dict[str, Any] = {"policy": PolicyConfig(model="tiny"), "generate": GenerateConfig(max_new_tokens=9)}
    config = PipelineConfig(name=name, run_root=run.parent, data=files, **settings).to_yaml()
    write_text(run / "config.yaml", config.replace(str(root), "../.."))  # so that the whole can be copied
    done = {stage: {"state": "complete"} for stage in STAGES}
    write_json(run / "status.json", {"state": "complete", "stages": done})
    for folder in ("ppo/model", "reward/model"):
        (run / folder).mkdir(parents=True)
    for contender in ("base", "tuned"):
        rows = [
            completion(p.id, contender, f"{contender} {n}", p.transcript).model_copy(update={"history": p.history})
            for n, p in enumerate(held_out)
        ]
        write_jsonl(run / "completions" / f"{contender}.jsonl", rows)
    return run


def judge_all(
    run: Path,
    verdict: Verdict,
    labellers: tuple[str, ...] = ("ana",),
    *,
    simulated: bool = False,
    database: str = "",
    **design: Any,
) -> int:
    """Store the run's pairs of base and tuned as a task, let each labeller say `verdict` of every one, and return its id.

    They are stored in votes.db beside the run unless a database is named.
    """
    sides = [read_jsonl(run / "completions" / f"{name}.jsonl", ContenderCompletion) for name in ("base", "tuned")]
    with closing(VoteStore(database or run.parent / "votes.db")) as store:
        task = store.ensure_task(build_task(run.name, sides, INSTRUCTIONS, 0, TaskDesign(**design)))
        for labeller in labellers:
            while (item := store.next_item(task, labeller)) is not None:
                wanted = verdict(int(item.texts[0].split()[1]))
                said = "tie" if wanted == "tie" else "ab"[[text.split()[0] for text in item.texts].index(wanted)]
                store.vote(item.token, dict.fromkeys(item.criteria, said), reading_seconds=1.0, simulated=simulated)
    return task
