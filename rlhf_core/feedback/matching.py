"""Which prompts make a task: those that every contender answered, of the categories wanted, as many as are drawn."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from rlhf_core.data.records import ContenderCompletion
from rlhf_core.errors import DataError

Group = tuple[ContenderCompletion, ...]
Side = dict[str, ContenderCompletion]


@dataclass(frozen=True)
class Selection:
    """Which of the prompts that all contenders answered are judged.

    Attributes:
        categories: only prompts of these; None: of all.
        prompts: only so many, drawn by the task's seed; None: all. Of a smaller number each is among those of a larger one.
    """

    categories: tuple[str, ...] | None = None
    prompts: int | None = None


EVERY_PROMPT = Selection()


@dataclass(frozen=True)
class LeftOut:
    """Completions that nobody will judge, and why: another category, not every contender answered the prompt, the
    texts are alike, or the prompt was not drawn."""

    prompt_id: str
    contenders: tuple[str, ...]
    reason: Literal["category", "unanswered", "alike", "not drawn"]


@dataclass(frozen=True)
class Matched:
    """Completions to be shown together, in groups; `prompts` is how many prompts all contenders answered."""

    groups: tuple[Group, ...]
    left_out: tuple[LeftOut, ...]
    prompts: int


def by_prompt(rows: Sequence[ContenderCompletion], where: str) -> Side:
    """Return one contender's completions by prompt id.

    Raises:
        DataError: no completions, those of several contenders, or a repeated prompt id.
    """
    if not rows:
        raise DataError("no completions", where=where, remedy="Run `rlhf generate` first")
    if len(names := sorted({row.contender for row in rows})) > 1:
        raise DataError("completions of several contenders; expected one", where=where, value=names)
    side = {row.prompt_id: row for row in rows}
    if len(side) < len(rows):
        ids = [row.prompt_id for row in rows]
        repeated = [key for key in side if ids.count(key) > 1]
        raise DataError(f"{names[0]}: prompt ids repeat; expected one completion for each", where=where, value=repeated)
    return side


def match(sides: Sequence[Side], size: int, selection: Selection, seed: int, where: str) -> Matched:
    """Return every group of `size` contenders' completions to one prompt that are not all alike, and what is left out.

    Texts are alike when they differ in nothing but white space at their ends.

    Raises:
        DataError: another prompt text under the same id, a category that no prompt has, more prompts asked for than can be
            judged.
    """
    wanted = [_of_categories(side, selection.categories) for side in sides]
    if selection.categories is not None:
        _refuse_unknown(selection.categories, sides, where)
    matched = [tuple(side[key] for side in wanted) for key in wanted[0] if all(key in side for side in wanted)]
    for rows in matched:
        _refuse_other_prompts(rows, where)
    shown = [group for rows in matched for group in combinations(rows, size)]
    different = [group for group in shown if not _alike(group)]
    drawn = _drawn(different, selection.prompts, seed, where)
    left_out = (
        *_rest(sides, wanted, "category"),
        *_rest(wanted, [{rows[0].prompt_id: rows[0] for rows in matched}] * len(wanted), "unanswered"),
        *(_left(group, "alike") for group in shown if _alike(group)),
        *(_left(group, "not drawn") for group in different if group[0].prompt_id not in drawn),
    )
    return Matched(tuple(group for group in different if group[0].prompt_id in drawn), left_out, len(matched))


def _of_categories(side: Side, categories: tuple[str, ...] | None) -> Side:
    return {key: row for key, row in side.items() if categories is None or row.category in categories}


def _rest(sides: Sequence[Side], kept: Sequence[Side], reason: Literal["category", "unanswered"]) -> Iterator[LeftOut]:
    """What stands in `sides` and not in `kept`, one for each prompt."""
    for key in dict.fromkeys(key for side, keep in zip(sides, kept, strict=True) for key in side if key not in keep):
        yield LeftOut(key, tuple(side[key].contender for side in sides if key in side), reason)


def _left(group: Group, reason: Literal["alike", "not drawn"]) -> LeftOut:
    return LeftOut(group[0].prompt_id, tuple(row.contender for row in group), reason)


def _alike(group: Group) -> bool:
    return len({row.text.strip() for row in group}) == 1


def _drawn(groups: Sequence[Group], prompts: int | None, seed: int, where: str) -> set[str]:
    ids = sorted({group[0].prompt_id for group in groups})
    if prompts is None or not ids:
        return set(ids)
    if prompts > len(ids):
        remedy = f"{len(ids)} can be judged: ask for at most as many"
        raise DataError("fewer prompts than are to be drawn", where=where, value=prompts, remedy=remedy)
    random.Random(json.dumps([seed, "prompts"])).shuffle(ids)
    return set(ids[:prompts])


def _refuse_unknown(categories: tuple[str, ...], sides: Sequence[Side], where: str) -> None:
    known = sorted({row.category for side in sides for row in side.values()})
    if unknown := [name for name in categories if name not in known]:
        raise DataError("no prompt of this category", where=where, value=unknown, remedy=f"There are: {known}")


def _refuse_other_prompts(rows: Group, where: str) -> None:
    if len({row.prompt for row in rows}) > 1:
        raise DataError(
            "the contenders answered different prompts under the same ids",
            where=where,
            value=rows[0].prompt_id,
            remedy="Generate all from the same prompts file",
        )
