"""The PandaLM test set (Wang et al. 2024, ICLR, arXiv 2306.05087): pairs of answers, each judged by the same three people.

[{"idx": 0, "cmp_key": "bloom-7b_llama-7b", "instruction": "…", "input": "…", "response1": "…", "response2": "…",
  "annotator1": 2, "annotator2": 2, "annotator3": 0, "motivation_app": "Grammarly"}, …], 0 a tie, 1 and 2 the better one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError, field_validator

from rlhf_core.data.exchange.format import Format, Reading, Row
from rlhf_core.data.exchange.sides import by_name
from rlhf_core.data.exchange.source import read_rows, value_of
from rlhf_core.data.exchange.talk import asked
from rlhf_core.data.io import Problems, explain
from rlhf_core.data.records import PairVote, Record
from rlhf_core.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

CRITERION = "overall"
ANNOTATORS = ("annotator1", "annotator2", "annotator3")
VERDICTS = {0: "tie", 1: "a", 2: "b"}
CODES = {"tie": 0, "both_bad": 0, "a": 1, "b": 2}
OUTCOMES = {0: ("tie", 0.5), 1: ("baseline", 0.0), 2: ("contender", 1.0)}
REMEDY = "Expected PandaLM's testset-v1.json, a JSON list of objects"


class JudgedPair(Record):
    """One object of the file. Some answers are the JSON value true; they are read as the text that JSON writes."""

    idx: int
    motivation_app: str
    cmp_key: str
    instruction: str
    input: str
    response1: str
    response2: str
    annotator1: Literal[0, 1, 2]
    annotator2: Literal[0, 1, 2]
    annotator3: Literal[0, 1, 2]

    @field_validator("response1", "response2", mode="before")
    @classmethod
    def _text(cls, value: object) -> object:
        return json.dumps(value) if isinstance(value, bool) else value

    @field_validator("cmp_key")
    @classmethod
    def _two_names(cls, key: str) -> str:
        names = key.split("_")
        if len(names) != 2 or not all(names):
            raise ValueError(f"expected two names joined by _, found {key!r}")
        return key


def read_pandalm(path: str | Path) -> pd.DataFrame:
    """Read the votes, three for each pair: the first answer is the baseline's, the second the contender's.

    Pairs with the same instruction and input share a `prompt_id`. The side on which people saw an answer is not in the
    file: `contender_side` is the file's order, "b", so that nothing about side bias follows from it.

    Raises:
        DataError: the file is missing or damaged, or holds rows that are no judged pairs or repeat an `idx`; lists up to
            20 as `file:line: field: what`.
    """
    path = Path(path)
    pairs: dict[int, JudgedPair] = {}
    problems = Problems(path)
    for line, row in read_rows(path):
        try:
            pair = JudgedPair.model_validate(value_of(row))
        except (DataError, ValidationError) as error:
            problems.add(line, *explain(error))
        else:
            if pair.idx in pairs:
                problems.add(line, f"idx: {pair.idx} occurs twice")
            pairs[pair.idx] = pair
    problems.refuse(REMEDY)
    if not pairs:
        raise DataError("holds no judged pairs", where=path, remedy=REMEDY)
    return _votes(list(pairs.values()))


def _votes(pairs: Sequence[JudgedPair]) -> pd.DataFrame:
    import pandas as pd  # here, for who imports formats alone needs none

    prompts: dict[tuple[str, str], str] = {}
    rows = []
    for pair in pairs:
        baseline, contender = pair.cmp_key.split("_")
        prompt_id = prompts.setdefault((pair.instruction, pair.input), f"pandalm-{len(prompts) + 1:03d}")
        asked = {"item_id": pair.idx, "prompt_id": prompt_id, "category": pair.motivation_app}
        for annotator in ANNOTATORS:
            outcome, score = OUTCOMES[getattr(pair, annotator)]
            who = {"labeller": annotator, "baseline": baseline, "contender": contender}
            rows.append(asked | who | {"outcome": outcome, "score": score})
    return pd.DataFrame(rows).assign(
        task_id=0,
        criterion=CRITERION,
        contender_side="b",
        reading_seconds=float("nan"),
        created_at=None,
        simulated=False,
        kind="item",
        repeat_of=pd.array([pd.NA] * len(rows), dtype="Int64"),
        gold=None,
    )


def _pair_votes(row: JudgedPair, reading: Reading) -> Iterator[PairVote]:
    baseline, contender = row.cmp_key.split("_")
    prompt = f"{row.instruction}\n\n{row.input}" if row.input.strip() else row.instruction
    about = asked([("user", prompt)], reading) | {"category": row.motivation_app, "prompt_id": reading.id}
    answers = {
        "a": {"contender": baseline, "text": row.response1},
        "b": {"contender": contender, "text": row.response2},
    }
    for annotator in ANNOTATORS:
        own = {"id": f"{reading.id}-{annotator}", "labeller": annotator, "verdict": VERDICTS[getattr(row, annotator)]}
        yield PairVote.model_validate(about | answers | own)


def _rows(votes: Iterable[PairVote], dropped: Counter[str]) -> Iterator[Row]:
    """Yield a row for each pair that all three people judged.

    Raises:
        DataError: not three people judged.
    """
    kept = [by_name(vote) for vote in votes if _fits(vote, dropped)]
    people = sorted({vote.labeller for vote in kept})
    if kept and len(people) != len(ANNOTATORS):
        what = "PandaLM's pairs are judged by the same three people"
        raise DataError(what, value=people, remedy="Export the votes of three labellers")
    pairs: dict[tuple[object, ...], dict[str, PairVote]] = {}
    for vote in kept:
        given = pairs.setdefault((vote.prompt_id, vote.transcript, vote.criterion, vote.a, vote.b), {})
        if vote.labeller in given:
            dropped["the labeller judged the pair before"] += 1
        given.setdefault(vote.labeller, vote)
    number = 0
    for given in pairs.values():
        if len(given) < len(ANNOTATORS):
            dropped["not all three people judged the pair"] += len(given)
            continue
        yield _row(number, [given[name] for name in people])
        number += 1


def _fits(vote: PairVote, dropped: Counter[str]) -> bool:
    if vote.automatic:
        dropped["a model judged, and PandaLM's annotators are people"] += 1
    elif "_" in vote.a.contender + vote.b.contender:
        dropped["a contender's name has a _, which stands between the two names of `cmp_key`"] += 1
    else:
        return True
    return False


def _row(number: int, votes: Sequence[PairVote]) -> Row:
    first = votes[0]
    about = {
        "idx": number,
        "motivation_app": first.category,
        "cmp_key": f"{first.a.contender}_{first.b.contender}",
        "instruction": first.transcript,
        "input": "",
        "response1": first.a.text,
        "response2": first.b.text,
    }
    return about | {name: CODES[vote.verdict] for name, vote in zip(ANNOTATORS, votes, strict=True)}


FORMATS = (
    Format(
        "pandalm",
        "PandaLM's test set: `instruction`, `response1`, `response2`, and what three annotators said (0 a tie, 1, 2)",
        JudgedPair,
        read={"votes": _pair_votes},
        join={"votes": _rows},
        cannot_hold="Ids, criteria, strengths, reasons and times are left out, turns become one text, and two bad answers are a "
        "tie; the people who judged become `annotator1` to `annotator3` and the contenders the first and the second, both in the "
        "order of their names. Pairs that not all three people judged, a person's second vote on a pair, votes of models and "
        "votes on contenders with a `_` in their names are not written.",
    ),
)
