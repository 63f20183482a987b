"""End a round: test its reward model against the votes kept for that, and make the task on which its policy is judged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rlhf_core.config import PipelineConfig
from rlhf_core.data.contenders import round_name
from rlhf_core.feedback.collect import existing_store
from rlhf_core.feedback.records import TaskInfo
from rlhf_core.feedback.tasks import TaskDesign, TaskSpec, build_task
from rlhf_core.report.rounds import against_votes
from rlhf_core.rounds.begin import PAIRS, Round
from rlhf_core.rounds.reward_test import compare_reward_models, read_pairs, write_reward_test
from rlhf_core.runs.lineage import write_lineage
from rlhf_core.runs.reader import RunReader


def finish_round(begun: Round, database: str) -> Iterator[str]:
    """Test the reward models, store the next task, and yield what there is to say about either.

    Done again it does the same: a task with the same content is stored once.
    """
    names = {round_name(begun.lineage.round - 1): begun.parent, round_name(begun.lineage.round): begun.path}
    scorers = {name: _scorer(folder / "reward" / "model", begun.config) for name, folder in names.items()}
    test = compare_reward_models(read_pairs(begun.path / PAIRS), scorers, simulated=begun.lineage.simulated)
    write_reward_test(begun.path, test)
    yield from against_votes(test)
    yield _next_task(begun, database)


def build_round_task(run: Path, earlier: str, like: TaskInfo, seed: int) -> TaskSpec:
    """Return the task that compares a round's tuned model with the round before, and with base, judged as `like` was.

    Of pairs, those without the tuned model are left out: people judged them in the round before.
    """
    reader = RunReader(run)
    sides = [reader.completions(name) for name in ("base", earlier, "tuned")]
    design = TaskDesign(like.form, like.criteria, like.overlap, like.gold_every, like.repeat_every)  # pyright: ignore[reportArgumentType]
    spec = build_task(reader.name, sides, like.instructions, seed, design)
    shown = tuple(item for item in spec.items if "tuned" in dict(item.completions))
    return replace(spec, items=shown)


def _next_task(begun: Round, database: str) -> str:
    lineage = begun.lineage
    earlier = round_name(lineage.round - 1)
    with closing(existing_store(database)) as store:
        spec = build_round_task(begun.path, earlier, store.task(lineage.task), begun.config.seed)
        info = store.task(store.ensure_task(spec, "draft" if spec.leaks else "open"))
    write_lineage(begun.path, replace(lineage, next_task=info.id))
    how = "open" if info.state != "draft" else f"a draft: {len(info.leaks)} completions name their author"
    return (
        f"Task {info.id} ({info.run_name}) is {how}: {info.items} items, tuned (round {lineage.round}) against {earlier} "
        f"(the round before) and base (where round 1 began). Judge it, then: rlhf round {begun.path}"
    )


def _scorer(folder: Path, config: PipelineConfig) -> Any:
    """A reward model's scores, by the head that PPO is rewarded by where it has several."""
    from rlhf_core.models.device import choose_device
    from rlhf_core.models.rewards import load_reward_model

    model = load_reward_model(folder).to(choose_device(config.device))
    return partial(_score, model, config.own_category)


def _score(model: Any, category: str, prompts: list[str], texts: list[str]) -> Any:
    return model.score(prompts, texts, [category] * len(texts)).numpy()
