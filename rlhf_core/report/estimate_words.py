"""An estimate in words: times no finer than they are known, and what each rests on."""

from __future__ import annotations

from rlhf_core.report.words import MISSING, count, duration
from rlhf_core.runs.estimate import FEWEST, LEVEL, ROUGH, Estimate, StageEstimate

COST = "Cost here is time, memory and disk of this machine: nothing is bought, and the energy it uses is not measured."
STEPS = ((20, 1), (90, 5), (1200, 60), (7200, 300))
"""Below so many seconds, times are given to this many."""


def coarse(seconds: float) -> str:
    """Return a time to about a tenth: `14 s`, `3 min`, `1 h 20 min`."""
    step = next((step for below, step in STEPS if seconds < below), 600)
    return duration(max(round(seconds / step), 1) * step).replace(" 00 s", "")


def roughly(one: StageEstimate) -> str:
    """Return a stage's time as `7 min to 9 min`, or `about 8 min` where one run says nothing of a spread."""
    if one.seconds is None:
        return "unknown"
    if one.basis == "none":
        return MISSING
    return between(one.low, one.high, one.seconds)


def between(low: float | None, high: float | None, middle: float) -> str:
    """Return an interval of times, or its middle where its ends are not known or read the same."""
    if low is None or high is None or coarse(low) == coarse(high):
        return f"about {coarse(middle)}"
    return f"{coarse(low)} to {coarse(high)}"


def basis_words(one: StageEstimate) -> str:
    """Return what a stage's time rests on."""
    if one.basis == "measured":
        models = "" if one.same else " of other models, scaled by their size"
        spread = f"; {LEVEL:.0%} interval" if one.runs >= FEWEST else "; their spread" if one.runs > 1 else ""
        return f"{count(one.runs, 'earlier run')} on this machine{models}{spread}"
    known = {
        "rough": f"a measured rate of multiplication: rough, right within a factor of {ROUGH:g} or so",
        "none": "not asked for",
        "unknown": "a model that is not on this machine yet: its size is unknown",
    }
    return known[one.basis]


def summary(made: Estimate) -> str:
    """Return time, memory and disk in one sentence or two."""
    if made.seconds is None:
        time = "How long it takes cannot be said before its models are here"
    else:
        low, high = made.interval or (None, None)
        time = f"It takes {between(low, high, made.seconds)}"
        if made.early:
            time += ", less where a stage ends early"
    memory = "" if made.memory is None else f" {_memory(made)}"
    disk = "" if made.disk is None else f" It leaves about {size(made.disk)} on the disk."
    return f"{time}.{memory}{disk}"


def interval_words(made: Estimate) -> str:
    """Say what the intervals of stages are; empty where none has one."""
    if not any(one.basis == "measured" and one.runs >= FEWEST for one in made.stages):
        return ""
    of = f"of a hundred such runs {100 * LEVEL:.0f} are expected within it"
    return f"{LEVEL:.0%} interval: {of}, if they vary as the earlier ones did."


def size(amount: int) -> str:
    """Return bytes as `3.3 GB` or `180 MB`."""
    return f"{amount / 1e9:.1f} GB" if amount >= 950_000_000 else f"{max(round(amount / 1e6), 1)} MB"


def _memory(made: Estimate) -> str:
    amount = size(made.memory or 0)
    if made.memory_measured:
        return f"An earlier run of these models held up to {amount} of memory."
    return f"Memory goes up to roughly {amount}, by the size of its models: half or double is possible."
