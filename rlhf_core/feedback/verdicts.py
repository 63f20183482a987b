"""Verdicts as text: `a`, `b`, `tie` or `both_bad` on a pair; `b>a=c` on a ranking, best first, letters as shown."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from string import ascii_lowercase

from rlhf_core.errors import VoteError

PAIR_VERDICTS = ("a", "b", "tie", "both_bad")
STRENGTHS = (1, 2, 3)
"""Slightly, clearly, much better."""


def check_verdict(verdict: str, form: str, size: int) -> None:
    """Refuse what is no verdict on `size` completions.

    Raises:
        VoteError: unknown words on a pair; a ranking that does not name every letter once.
    """
    if form == "pairwise":
        if verdict not in PAIR_VERDICTS:
            raise VoteError("unknown verdict", value=verdict, remedy=f"Expected one of {', '.join(PAIR_VERDICTS)}")
    elif sorted(verdict.replace(">", "=").split("=")) != list(ascii_lowercase[:size]):
        letters = ascii_lowercase[:size]
        raise VoteError(
            f"not a ranking of {size} completions",
            value=verdict,
            remedy=f"Expected every letter of {letters} once, best first, such as {'>'.join(letters)}; = is a tie",
        )


def on_places(verdict: str, shown: str) -> str:
    """Return a verdict on what was shown as one on the completions in their stored order (as `gold` is kept)."""
    named = {ascii_lowercase[n]: ascii_lowercase[int(place)] for n, place in enumerate(shown)}
    if verdict in ("tie", "both_bad"):
        return verdict
    groups = [[named[letter] for letter in group.split("=")] for group in verdict.split(">")]
    return ">".join("=".join(sorted(group)) for group in groups)


def comparisons(verdict: str, size: int) -> Iterator[tuple[int, int, str]]:
    """Yield (i, j, outcome) for every pair i < j of places, `verdict` being on places; the later one is the contender.

    A ranking of K completions gives K(K−1)/2 comparisons.
    """
    if verdict in PAIR_VERDICTS:
        yield 0, 1, {"a": "baseline", "b": "contender"}.get(verdict, verdict)
        return
    rank = {letter: n for n, group in enumerate(verdict.split(">")) for letter in group.split("=")}
    for i, j in combinations(range(size), 2):
        ahead = rank[ascii_lowercase[i]] - rank[ascii_lowercase[j]]
        yield i, j, "tie" if not ahead else "contender" if ahead > 0 else "baseline"
