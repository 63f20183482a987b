"""Two contenders of a run, prompt by prompt: a row for each prompt both answered, computed once for unchanged files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from dashboard.services import evaluation
from dashboard.services.catalogue import RunEntry
from dashboard.services.evaluation import REWARD_MODEL, TEXT
from dashboard.services.toxicity import toxicity_measures
from dashboard.services.voting import file_stamp
from rlhf_core.data.contenders import sides
from rlhf_core.evaluation.compare import unit_of
from rlhf_core.evaluation.phrases import PhraseIndex
from rlhf_core.runs.reader import RunReader

Stamp = tuple[int, int] | None


@dataclass(frozen=True)
class Measure:
    """One measure of a scorer. Its columns in a comparison's rows are `before(…)`, `after(…)` and `change(…)`."""

    scorer: str
    measure: str

    @property
    def label(self) -> str:
        """The measure in words."""
        return "Score" if self.scorer == REWARD_MODEL else self.measure.replace("_", " ").capitalize()

    def column(self, of: str) -> str:
        """Return the column of its value `before` or `after`, or of its `change`."""
        return f"{of}({self.scorer}, {self.measure})"


SCORE = Measure(REWARD_MODEL, "score")


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two contenders over the prompts that both answered; the same object as long as their files are unchanged.

    Attributes:
        rows: by prompt: prompt_id, prompt, category, before and after (the answers), words_before, words_after, words (their
            change), characters, prompt_words, and three columns for each measure; NaN where there is no score. Not to be changed.
        measures: those of the run's scorers, the reward model's score first where there is one.
        toxicity: the leading toxicity measure, or None.
        left_out: prompts that one of the two did not answer.
        scale: by measure, its unit and what its differences are divided by in averages (`compare.unit_of`).
    """

    baseline: str
    contender: str
    rows: pd.DataFrame
    measures: tuple[Measure, ...]
    toxicity: Measure | None
    left_out: int
    scale: dict[Measure, tuple[str, float]]

    @cached_property
    def phrases(self) -> PhraseIndex:
        """The phrases of all answers, counted when they are first asked for."""
        return PhraseIndex(self.rows["before"].tolist(), self.rows["after"].tolist())


def pairs_of(entry: RunEntry) -> list[tuple[str, str]]:
    """Return every pair of a run's contenders as (baseline, contender), the report's own pair first."""
    names = entry.reader.contenders()
    if len(names) < 2:
        return []
    main = sides(names)
    return [main, *(pair for pair in combinations(names, 2) if pair != main)]


def compare_pair(entry: RunEntry, baseline: str, contender: str) -> Comparison:
    """Return the comparison of two contenders; read anew only where their files have changed.

    Raises:
        DataError, RunError: completions or scores are damaged.
    """
    files = [entry.path / "completions" / f"{name}.jsonl" for name in (baseline, contender)]
    files.append(entry.path / "evaluation" / "scores.json")
    return _compared(
        entry.path, baseline, contender, tuple(file_stamp(file) if file.is_file() else None for file in files)
    )


@lru_cache(maxsize=8)
def _compared(path: Path, baseline: str, contender: str, stamps: tuple[Stamp, ...]) -> Comparison:
    """`stamps` are there for the key."""
    del stamps
    reader = RunReader(path)
    rows, left_out = _texts(reader, baseline, contender)
    scores = evaluation.scores(reader)
    found = [Measure(*pair) for pair in dict.fromkeys(zip(scores["scorer"], scores["measure"], strict=True))]
    measures = sorted((m for m in found if m != Measure(TEXT, "words")), key=lambda m: m != SCORE)
    wide = {measure: _wide(scores, measure) for measure in measures}
    columns: dict[str, np.ndarray] = {}
    for measure in measures:
        values = wide[measure].reindex(rows["prompt_id"])
        before, after = (
            values[name].to_numpy(float) if name in values else np.full(len(rows), np.nan)
            for name in (baseline, contender)
        )
        columns |= {
            measure.column("before"): before,
            measure.column("after"): after,
            measure.column("change"): after - before,
        }
    leading = next(((scorer, names[0]) for scorer, names in toxicity_measures(reader).items()), None)
    return Comparison(
        baseline,
        contender,
        pd.concat([rows, pd.DataFrame(columns, index=rows.index)], axis=1),
        tuple(measures),
        Measure(*leading) if leading else None,
        left_out,
        {m: unit_of(m.scorer, m.measure, wide[m]) for m in measures},
    )


def _wide(scores: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    """Return one measure's values by prompt_id, a column for each contender; several answers to one prompt are averaged."""
    part = scores.loc[(scores["scorer"] == measure.scorer) & (scores["measure"] == measure.measure)]
    return part.pivot_table(index="prompt_id", columns="contender", values="value")


def _texts(reader: RunReader, baseline: str, contender: str) -> tuple[pd.DataFrame, int]:
    """Return the answers to the prompts that both answered, in the order of the contender's, and how many one side lacks."""
    old = {row.prompt_id: row for row in reader.completions(baseline)}
    new = {row.prompt_id: row for row in reader.completions(contender)}
    both = [key for key in new if key in old]
    frame = pd.DataFrame(
        {
            "prompt_id": both,
            "prompt": [new[key].prompt for key in both],
            "category": [new[key].category for key in both],
            "before": [old[key].text for key in both],
            "after": [new[key].text for key in both],
        },
        dtype="str",
    )
    counts = {
        name: [len(text.split()) for text in frame[column]]
        for name, column in (("prompt_words", "prompt"), ("words_before", "before"), ("words_after", "after"))
    }
    frame = frame.assign(**{name: np.array(values, dtype=np.int64) for name, values in counts.items()})
    letters = [np.array([len(text) for text in frame[side]], dtype=np.int64) for side in ("before", "after")]
    frame["words"], frame["characters"] = frame["words_after"] - frame["words_before"], letters[1] - letters[0]
    return frame, len(old.keys() ^ new.keys())
