"""Automatic judges in words: which there are of a run or a task, what they say, and how far they agree with people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from rlhf_core.data.io import read_jsonl
from rlhf_core.evaluation.auto_judge import AutoJudged, AutoVerdict, Shown, choices, summarise_verdicts, text_key
from rlhf_core.evaluation.ballots import pair_items
from rlhf_core.evaluation.consensus import consensus
from rlhf_core.evaluation.statistics import Estimate
from rlhf_core.report.judge_parts import AutoJudge, Judge
from rlhf_core.report.judged_words import HALF_COUNTED, judge_sentence, share_of, the
from rlhf_core.report.judges import compared
from rlhf_core.report.words import MISSING, count
from rlhf_core.runs.reader import RunReader

FOLDER = "auto_judge"
NOT_PEOPLE = (
    "A language model gave these verdicts, no person: they are no votes, and enter no other figure. Each pair was shown in both "
    "orders; a verdict that changed with the order counts as a tie."
)
UNCOMPARED = "No person has judged these pairs yet, so nothing is known of its agreement with people."


def folder_of_run(run: Path) -> Path:
    """Return where the verdicts on a run's own pairs are."""
    return run / "evaluation" / FOLDER


def folder_of_task(votes: str, task: int, run_root: Path = Path("runs")) -> Path:
    """Return where the verdicts on a task's pairs are: beside the vote database, or under `run_root` where that has an address."""
    beside = run_root if "://" in votes else Path(votes).parent
    return beside / FOLDER / f"task-{task}"


def auto_judges(folder: Path, people: pd.DataFrame | None, shown: Shown) -> tuple[AutoJudge, ...]:
    """Return the automatic judges whose verdicts lie in a folder, by name.

    Args:
        people: people's votes on ordinary items, in the columns of `VoteStore.votes()`; None or empty where there are none.
        shown: the texts that are compared, by prompt id and contender; verdicts on others are `stale`.

    Raises:
        DataError: a file is damaged.
    """
    agreed = None
    if people is not None and not people.empty:
        agreed = consensus(pair_items(people))
        agreed = agreed.loc[~agreed["split"]]
    return tuple(_auto_judge(file, agreed, shown) for file in sorted(folder.glob("*.jsonl")))


def shown_texts(items: Mapping[int, Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    """Return a task's texts (`VoteStore.texts()`) by prompt id and contender."""
    return {(one["prompt_id"], name): text for one in items.values() for name, text in one["texts"].items()}


def texts_of_run(run: RunReader) -> dict[tuple[str, str], str]:
    """Return a run's answers by prompt id and contender.

    Raises:
        DataError: a line is not a completion.
    """
    return {(row.prompt_id, name): row.text for name in run.contenders() for row in run.completions(name)}


def judge_sentences(judge: AutoJudge) -> list[str]:
    """Say all of a judge: what it prefers, how far it agrees with people, and what is left out."""
    said = [sentence for found in judge.judged for sentence in auto_sentences(judge.name, found)]
    said += [f"Against people: {judge_sentence(one)}" for one in judge.people if not one.category]
    if judge.stale:
        said.append(f"{judge.name}: {count(judge.stale, 'verdict')} on answers that have changed since are left out.")
    return said if judge.people else [*said, UNCOMPARED]


def auto_sentences(judge: str, found: AutoJudged) -> list[str]:
    """Say what a judge prefers, how far its verdict hangs on the order, and what it left open."""
    said = [_preferred(judge, found)]
    if found.stands:
        swayed = f"; {_swayed(found.swayed)}" if found.swayed else ""
        said.append(f"With the answers in the other order it says the same of {share_of(found.stands)}{swayed}.")
    if found.first:
        said.append(f"Where it chose a side, that was the answer shown first in {share_of(found.first)} of readings.")
    if found.unclear:
        said.append(f"Left out: {count(found.unclear, 'item')} without a verdict in the form asked for.")
    return said


def _swayed(verdicts: int) -> str:
    return (
        f"{count(verdicts, 'verdict')} changed with the order and count{'s as a tie' if verdicts == 1 else ' as ties'}"
    )


def share_or_dash(share: Estimate | None) -> str:
    """Return a share with its interval, or a dash where there is none."""
    return share_of(share) if share else MISSING


def _preferred(judge: str, found: AutoJudged) -> str:
    rate, about = found.win_rate, "" if found.criterion == "overall" else f" ({found.criterion})"
    ours, theirs = the(found.contender), the(found.baseline)
    if rate is None:
        return f"{judge}{about}: no verdict on {ours} against {theirs}."
    share = f"{share_of(rate)} of {count(found.items, 'item')}"
    if rate.low > 0.5:
        return f"{judge}{about} prefers {ours} to {theirs}: it wins {share}, {HALF_COUNTED}."
    if rate.high < 0.5:
        return f"{judge}{about} prefers {theirs} to {ours}, which wins only {share}, {HALF_COUNTED}."
    return f"{judge}{about} does not settle it: {ours} wins {share} against {theirs}, {HALF_COUNTED}."


def _auto_judge(file: Path, agreed: pd.DataFrame | None, shown: Shown) -> AutoJudge:
    rows = read_jsonl(file, AutoVerdict)
    verdicts = [one for one in rows if _on_these(one, shown)]
    people = () if agreed is None else _against_people(file.stem, verdicts, agreed, shown)
    return AutoJudge(file.stem, summarise_verdicts(verdicts), people, len(rows) - len(verdicts))


def _on_these(verdict: AutoVerdict, shown: Shown) -> bool:
    texts = [shown.get((verdict.prompt_id, side)) for side in (verdict.baseline, verdict.contender)]
    return None not in texts and text_key(*map(str, texts)) == verdict.pair


def _against_people(
    name: str, verdicts: Sequence[AutoVerdict], agreed: pd.DataFrame, shown: Shown
) -> tuple[Judge, ...]:
    found: list[Judge] = []
    for criterion in dict.fromkeys(one.criterion for one in verdicts):
        theirs = agreed.loc[agreed["criterion"] == criterion]
        found += compared(choices(theirs, verdicts, shown), theirs, name, "verdict", criterion)
    return tuple(found)
