"""Phrases that one contender says more often, as rows to read; compared once for each set of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache

import numpy as np
import pandas as pd

from dashboard.services import wording
from dashboard.services.comparing import Comparison
from dashboard.services.prompt_table import Mask
from rlhf_core.evaluation.phrases import RATE, Phrase, PhraseReport
from rlhf_core.report.exports import to_csv
from rlhf_core.report.words import sentence_case

LISTED, DRAWN = 40, 10
"""So many phrases are listed, and on each side drawn."""


def phrase_report(compared: Comparison, kept: Mask, shortest: int = 1) -> PhraseReport:
    """Return the differences over the kept prompts, in phrases of `shortest` words or more."""
    return _report(compared, kept.tobytes(), shortest)


def phrase_table(compared: Comparison, phrases: Sequence[Phrase]) -> pd.DataFrame:
    """Return a row for each phrase; shares in points, as the contender's less the baseline's."""
    names = [sentence_case(wording.contender_name(name)) for name in (compared.baseline, compared.contender)]
    return pd.DataFrame(
        [
            {
                "Phrase": phrase.text,
                names[0]: phrase.before,
                names[1]: phrase.after,
                "Difference, points": _points(phrase),
                "q": phrase.q_value,
                "z": phrase.z,
                "Log odds": phrase.log_odds,
            }
            for phrase in phrases
        ]
    )


def drawn(report: PhraseReport) -> list[Phrase]:
    """Return the clearest phrases of each side, those of the contender first; of the found ones where there are any."""
    found = [phrase for phrase in report.phrases if phrase.q_value <= RATE] or list(report.phrases)
    ours = [phrase for phrase in found if phrase.z > 0][:DRAWN]
    theirs = [phrase for phrase in found if phrase.z < 0][:DRAWN]
    return [*ours, *reversed(theirs)]


def _points(phrase: Phrase) -> str:
    one = phrase.difference
    return wording.difference(one.value, one.low, one.high, "share")


def phrases_csv(compared: Comparison, report: PhraseReport) -> str:
    """Return the listed phrases with all their numbers as CSV that no spreadsheet runs (`to_csv`)."""
    named = {"baseline": compared.baseline, "contender": compared.contender, "prompts": report.prompts}
    rows = [named | asdict(phrase) for phrase in report.phrases]
    return to_csv([row | row.pop("difference") for row in rows])


@lru_cache(maxsize=32)
def _report(compared: Comparison, kept: bytes, shortest: int) -> PhraseReport:
    return compared.phrases.compare(np.frombuffer(kept, dtype=bool), LISTED, shortest)
