"""Phrases that one contender says more often than another: counted in responses, paired by prompt, false discoveries bounded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, stats

from rlhf_core.data.words import WORD, tokens
from rlhf_core.errors import DataError
from rlhf_core.evaluation.statistics import Estimate, mcnemar_exact, paired_difference

LONGEST = 3
"""Phrases have up to so many words."""
FEWEST = 6
"""A phrase is tested where at least so many prompts have it in one of the two responses alone.

With five, all on one side, p is 2/32: no evidence at 5%. Under the null hypothesis sides are exchangeable within a prompt,
so how many prompts differ says nothing of the direction, and leaving phrases out by it leaves the test exact.
"""
PRIOR = 10.0
"""The prior weighs as much as so many prompts in which the phrase is as common as in both contenders together."""
RATE = 0.05
"""Phrases with q up to this are found; so large a share of them may be false, on average."""
Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Phrase:
    """How much more often the contender says something; `before` is the baseline, `after` the contender.

    Attributes:
        before, after: responses that contain it, of each; `only_before`, `only_after` those where the other one does not.
        log_odds: log odds of containing it, after less before, shrunk by the prior; `z` is that over its standard error.
        p_value: two-sided, exact; `q_value` adjusted for all phrases that were tested.
        difference: share of prompts, after less before, with its own 95% interval.
    """

    text: str
    before: int
    after: int
    only_before: int
    only_after: int
    log_odds: float
    z: float
    p_value: float
    q_value: float
    difference: Estimate


@dataclass(frozen=True)
class PhraseReport:
    """What was tested over how many prompts, how many phrases were found, and the clearest of all, largest |z| first."""

    prompts: int
    tested: int
    found: int
    phrases: tuple[Phrase, ...]


class PhraseIndex:
    """The phrases of two contenders' responses to the same prompts, counted once and compared over any of the prompts.

    Phrases that the very same responses contain, such as `can't help` within `i can't help`, are one: the longest.
    """

    def __init__(self, before: Sequence[str], after: Sequence[str]) -> None:
        """Count; one response of each contender to every prompt.

        Raises:
            DataError: lengths that differ.
        """
        if len(before) != len(after):
            raise DataError("expected a response of each contender to every prompt", value=[len(before), len(after)])
        held = [phrases_of(text) for text in (*before, *after)]
        seen = Counter(phrase for phrases in held for phrase in phrases)
        members: dict[str, list[int]] = {phrase: [] for phrase, count in seen.items() if count >= FEWEST}
        for place, phrases in enumerate(held):
            for phrase in phrases & members.keys():
                members[phrase].append(place)
        self.size = len(before)
        alike = _alike(members)
        self.phrases = tuple(group[0] for group in alike)
        self._rows = {phrase: row for row, group in enumerate(alike) for phrase in group}
        self._texts = (*before, *after)
        self._sizes = np.array([phrase.count(" ") + 1 for phrase in self.phrases], dtype=np.int64)
        table = _table([members[phrase] for phrase in self.phrases], 2 * self.size)
        self._before, self._after = table[:, : self.size], table[:, self.size :]

    def compare(self, kept: Mask | None = None, listed: int = 100, shortest: int = 1) -> PhraseReport:
        """Compare how often both say each phrase, over the prompts of `kept` (one flag each; None: all).

        Each phrase has McNemar's exact test over prompts (`mcnemar_exact`), and p-values of all tested phrases are adjusted
        by Benjamini & Hochberg (1995). The log odds ratio is that of Monroe, Colaresi & Quinn (2008), "Fightin' Words", over
        responses that contain the phrase rather than its occurrences, which a single long response could drive, and with the
        covariance of paired responses in its standard error (`log_odds`).

        Args:
            shortest: phrases of at least so many words are tested, and no others count in the adjustment.
            listed: so many phrases are described, each with the interval of `paired_difference`.

        Raises:
            DataError: a mask of another length.
        """
        chosen = np.ones(self.size, dtype=bool) if kept is None else np.asarray(kept, dtype=bool)
        if chosen.shape != (self.size,):
            raise DataError("expected one flag for each prompt", value=[list(chosen.shape), self.size])
        counts = self._counts(chosen)
        tested = np.flatnonzero((counts[1] + counts[2] >= FEWEST) & (self._sizes >= shortest))
        if not len(tested):
            return PhraseReport(int(chosen.sum()), 0, 0, ())
        both, only_before, only_after = (part[tested] for part in counts)
        p = np.array([_exact(*pair) for pair in zip(only_before.tolist(), only_after.tolist(), strict=True)])
        q = stats.false_discovery_control(p, method="bh")
        odds, z = log_odds(both, only_before, only_after, int(chosen.sum()))
        order = np.lexsort((tested, p, -np.abs(z)))[:listed]
        rows = [
            Phrase(
                self.phrases[tested[n]],
                int(both[n] + only_before[n]),
                int(both[n] + only_after[n]),
                int(only_before[n]),
                int(only_after[n]),
                float(odds[n]),
                float(z[n]),
                float(p[n]),
                float(q[n]),
                self._difference(int(tested[n]), chosen),
            )
            for n in order
        ]
        return PhraseReport(int(chosen.sum()), len(tested), int((q <= RATE).sum()), tuple(rows))

    def containing(self, phrase: str) -> Mask:
        """Return for which prompts one of the two responses contains a phrase of any length, word by word."""
        words = [word for stretch in _stretches(_folded(phrase)) for word in stretch]
        row = self._rows.get(" ".join(words))
        if row is not None:
            return np.asarray((self._before[[row]] + self._after[[row]]).toarray()[0] > 0)
        held = np.array([_contains(text, words) for text in self._texts], dtype=bool)
        return held[: self.size] | held[self.size :]

    def _counts(self, chosen: Mask) -> tuple[Counts, Counts, Counts]:
        """Return, by phrase, the chosen prompts of which both, only the first and only the second response contain it."""
        weight = chosen.astype(np.int64)
        both = np.asarray(self._before.multiply(self._after) @ weight)
        return both, np.asarray(self._before @ weight) - both, np.asarray(self._after @ weight) - both

    def _difference(self, row: int, chosen: Mask) -> Estimate:
        before, after = (side[[row]].toarray()[0][chosen] for side in (self._before, self._after))
        return paired_difference(before, after)


def phrases_of(text: str) -> frozenset[str]:
    """Return the phrases of a text: one to `LONGEST` words in a row, in small letters, across no mark and no line's end."""
    return frozenset(
        " ".join(words[start : start + size])
        for words in _stretches(_folded(text))
        for size in range(1, LONGEST + 1)
        for start in range(len(words) - size + 1)
    )


def log_odds(both: Counts, only_before: Counts, only_after: Counts, prompts: int) -> tuple[Floats, Floats]:
    """Return, by phrase, δ = log(y₁/(N − y₁)) − log(y₀/(N − y₀)), and δ over its standard error; some prompts must differ.

    The four cells of a pair have a Dirichlet prior of weight α₀ = PRIOR with means π², π(1−π), (1−π)π, (1−π)², π the share
    of all responses that contain the phrase: y₁ = both + only_after + α₀π, y₀ likewise, a = both + α₀π², N = n + α₀.
    Var δ = N/(y₁(N−y₁)) + N/(y₀(N−y₀)) − 2N(aN − y₁y₀)/(y₁(N−y₁)y₀(N−y₀)), the last term for the pairing (delta method).
    """
    share = (2 * both + only_before + only_after) / (2 * prompts)
    total = prompts + PRIOR
    a = both + PRIOR * share**2
    y0, y1 = both + only_before + PRIOR * share, both + only_after + PRIOR * share
    v0, v1 = y0 * (total - y0), y1 * (total - y1)
    delta = np.log(y1 / (total - y1)) - np.log(y0 / (total - y0))
    variance = total / v1 + total / v0 - 2 * total * (a * total - y1 * y0) / (v1 * v0)
    return delta, delta / np.sqrt(variance)


def _stretches(text: str) -> Iterator[list[str]]:
    """Yield words that follow each other without a mark or line's end between them."""
    words: list[str] = []
    for gap, token in tokens(text):
        if "\n" in gap and words:
            yield words
            words = []
        if token and WORD.fullmatch(token):
            words.append(token)
        elif words:
            yield words
            words = []


def _folded(text: str) -> str:
    return text.replace("’", "'").casefold()


def _contains(text: str, words: list[str]) -> bool:
    """Say whether a text has the words in a row; most texts are answered by a look for their letters."""
    folded = _folded(text)
    if not words or not all(word in folded for word in words):
        return False
    size = len(words)
    return any(
        stretch[start : start + size] == words
        for stretch in _stretches(folded)
        for start in range(len(stretch) - size + 1)
    )


def _alike(members: dict[str, list[int]]) -> list[list[str]]:
    """Return the phrases in groups that the same responses contain, the longest phrase first."""
    groups: dict[tuple[int, ...], list[str]] = {}
    for phrase, places in sorted(members.items(), key=lambda item: (-item[0].count(" "), item[0])):
        groups.setdefault(tuple(places), []).append(phrase)
    return sorted(groups.values())


def _table(rows: Sequence[Sequence[int]], width: int) -> sparse.csr_array:
    """Return (phrase, response) as 1 where the response contains the phrase."""
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    places = np.array([place for row in rows for place in row], dtype=np.int64)
    return sparse.csr_array((np.ones(len(places), dtype=np.int64), places, starts), shape=(len(rows), width))


@lru_cache(maxsize=4096)
def _exact(only_before: int, only_after: int) -> float:
    """Return McNemar's p-value, which rests on the pairs that differ alone."""
    first = np.repeat([1.0, 0.0], [only_before, only_after])
    return mcnemar_exact(first, 1 - first).p_value
