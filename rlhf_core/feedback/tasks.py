"""Build judging tasks: which completions people see side by side, which are left out, and what is known beforehand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from string import ascii_lowercase
from typing import Any, Literal

from rlhf_core.data.records import ContenderCompletion, Message, Ranking
from rlhf_core.errors import DataError
from rlhf_core.feedback.leaks import Leak, find_leaks
from rlhf_core.feedback.matching import EVERY_PROMPT, LeftOut, Selection, by_prompt, match

MAX_RANKED = 9


@dataclass(frozen=True)
class TaskDesign:
    """How a task is judged.

    Attributes:
        form: "pairwise" shows two completions at a time, "ranking" all of a prompt's.
        criteria: what each verdict is about; one verdict for each.
        overlap: how many labellers judge an item; None: everybody judges every item.
        gold_every: after so many items comes one whose right verdict is known, while there are any.
        repeat_every: after so many items comes one again, its completions in reverse; None: never.
    """

    form: Literal["pairwise", "ranking"] = "pairwise"
    criteria: tuple[str, ...] = ("overall",)
    overlap: int | None = None
    gold_every: int = 10
    repeat_every: int | None = None


@dataclass(frozen=True)
class TaskItem:
    """One prompt with completions in their stored order, each (contender, text); `gold` is the right verdict, if known.

    `prompt` is what is shown, a transcript; `history` the turns in it before the last message.
    """

    prompt_id: str
    prompt: str
    category: str
    completions: tuple[tuple[str, str], ...]
    gold: str | None = None
    history: tuple[Message, ...] = ()


@dataclass(frozen=True)
class TaskSpec:
    """A fixed set of items with instructions. `identical` counts items left out for equal texts, `unmatched` completions
    left out because not every contender answered their prompt."""

    run_name: str
    contenders: tuple[str, ...]
    instructions: str
    seed: int
    design: TaskDesign
    items: tuple[TaskItem, ...]
    identical: int
    unmatched: int
    leaks: tuple[Leak, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def instruction_version(self) -> str:
        """The first 12 hex digits of the instructions' SHA-256."""
        return version_of(self.instructions)

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of what is judged and how; instructions may be revised within a task, and a prompt shows its history."""
        content = {
            name: value for name, value in asdict(self).items() if name not in ("instructions", "leaks", "left_out")
        }
        for item in content["items"]:
            del item["history"]
        return _digest(content)

    @property
    def first_fingerprint(self) -> str:
        """What stores of version 1 knew this task by: a pair of contenders, the instructions part of it."""
        left, right = self.contenders[:2]
        content: dict[str, Any] = {"run_name": self.run_name, "baseline": left, "contender": right}
        content |= {name: getattr(self, name) for name in ("instructions", "seed", "identical", "unmatched")}
        names = ("prompt_id", "prompt", "category")
        texts = [[text for _, text in item.completions[:2]] for item in self.items]
        content["items"] = [
            {name: getattr(item, name) for name in names} | {"baseline_text": old, "contender_text": new}
            for item, (old, new) in zip(self.items, texts, strict=True)
        ]
        content["leaks"] = [asdict(leak) for leak in self.leaks]
        return _digest(content)


def version_of(instructions: str) -> str:
    """Return the first 12 hex digits of a text's SHA-256."""
    return hashlib.sha256(instructions.encode("utf-8")).hexdigest()[:12]


def build_task(
    run_name: str,
    contenders: Sequence[Sequence[ContenderCompletion]],
    instructions: str,
    seed: int,
    design: TaskDesign = TaskDesign(),
    gold: Sequence[Ranking] = (),
    selection: Selection = EVERY_PROMPT,
) -> TaskSpec:
    """Match contenders' completions by prompt id into a task: every pair of contenders, or all of them to be ranked.

    Items whose texts are all identical (white space at the ends aside) are left out and counted, as are completions of
    prompts that not every contender answered; `left_out` names them, and what `selection` does not take. Completions that
    name their author are listed in `leaks`, and stay in. `gold` are ranked prompts that everybody gets among the others; of
    a pairwise task their best and worst completion.

    Raises:
        DataError: no instructions; fewer than two contenders, or more than nine to rank; no completions; several
            contenders in one list, a repeated prompt id or another prompt text within one id; the same contender twice;
            nothing left to judge; gold that does not say which completion is better; a selection that cannot be made.
    """
    if not instructions.strip():
        raise DataError("the task has no instructions", where=run_name, remedy="Say what labellers should prefer")
    sides = [by_prompt(rows, run_name) for rows in contenders]
    names = _checked_names([rows[0].contender for rows in contenders], run_name, design)
    found = match(sides, 2 if design.form == "pairwise" else len(sides), selection, seed, run_name)
    if not found.groups:
        raise DataError(
            f"nothing to judge: {found.prompts} prompts in common, all answered alike",
            where=run_name,
            value=list(names),
            remedy="Generate completions of all contenders for the same prompts",
        )
    return TaskSpec(
        run_name=run_name,
        contenders=names,
        instructions=instructions,
        seed=seed,
        design=design,
        items=(*map(_item, found.groups), *(_gold_item(ranking, design) for ranking in gold)),
        identical=sum(one.reason == "alike" for one in found.left_out),
        unmatched=sum(len(one.contenders) for one in found.left_out if one.reason == "unanswered"),
        leaks=tuple(dict.fromkeys(leak for group in found.groups for row in group for leak in find_leaks(row, names))),
        left_out=found.left_out,
    )


def _item(group: Sequence[ContenderCompletion]) -> TaskItem:
    first = group[0]
    history = next((row.history for row in group if row.history), ())
    texts = tuple((row.contender, row.text) for row in group)
    return TaskItem(first.prompt_id, first.prompt, first.category, texts, history=tuple(history))


def _gold_item(ranking: Ranking, design: TaskDesign) -> TaskItem:
    groups = ranking.ranking
    if len(groups) < 2 or (design.form == "ranking" and len(ranking.completions) > MAX_RANKED):
        raise DataError(
            "a gold item must say what is better than what",
            where=ranking.id,
            value=groups,
            remedy=f"Rank its completions (at most {MAX_RANKED}) in at least two groups",
        )
    if design.form == "pairwise":
        groups = [groups[0][:1], groups[-1][:1]]
    kept = [row for row in ranking.completions if any(row.id in group for group in groups)]
    place = {row.id: ascii_lowercase[n] for n, row in enumerate(kept)}
    verdict = ">".join("=".join(sorted(place[name] for name in group)) for group in groups)
    if design.form == "pairwise":
        verdict = verdict[0]
    texts = tuple((f"gold:{row.id}", row.text) for row in kept)
    return TaskItem(ranking.id, ranking.transcript, ranking.category, texts, verdict, tuple(ranking.history))


def _checked_names(names: list[str], where: str, design: TaskDesign) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise DataError("a contender cannot be compared with itself", where=where, value=names)
    most = MAX_RANKED if design.form == "ranking" else len(names)
    if not 2 <= len(names) <= most:
        raise DataError(f"expected 2 to {MAX_RANKED} contenders", where=where, value=names)
    return tuple(names)


def _digest(content: dict[str, Any]) -> str:
    text = json.dumps(content, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
