"""What a run will take of this machine: time of each stage, memory, disk; and on what that rests.

First choice are earlier runs on this machine: their seconds for each operation (see `work`), apart from the seconds until a
stage began to work. Three of them or more give an interval for the next one, two their own spread. Where there are none,
operations are divided by a short measured rate of multiplication: a rough figure.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from scipy import special

from rlhf_core.config import PipelineConfig
from rlhf_core.runs.past import Past, models_of, sizes_of
from rlhf_core.runs.work import measure_data, stage_work

NEWEST = 5
"""So many of the newest runs say how fast this machine is: programs change."""
LEVEL = 0.8
"""How often a run takes as long as its interval says, if runs vary as the earlier ones did."""
FEWEST = 3
"""So many earlier runs give an interval: of two, one twice as long as the other, it would go from 1 to 40."""
FARTHEST = 30.0
"""How many times more or less work a run of other models may have done to say something of this one."""
EFFICIENCY = 1.2
"""Operations of `work` that a pipeline gets done in the time of one multiplied float32 number, measured on the quickstart.

Above 1, for adapters need fewer than are counted for training, and writing fewer than are counted for it."""
LOADING = 3.0
"""Seconds until a stage works, where no run has told."""
ROUGH = 3.0
"""A rough figure is given as an interval: divided and multiplied by this."""
BASE_MEMORY = 10**9
FROZEN_BYTES, TRAINED_BYTES = 16, 32
"""Memory for each parameter of the largest model at work: weights, copies, activations and logits together."""
KEPT_BYTES, ADAPTERS = 2 * 16 + 4, 0.02
"""Disk for each trained parameter: two checkpoints (weights, two moments, best weights) and the model. Adapters' share."""


@dataclass(frozen=True)
class StageEstimate:
    """Seconds of one stage, None for what nobody can say. Without `low` and `high` one earlier run says nothing of a spread;
    from two they are the spread, from `FEWEST` a prediction interval.

    `basis` is measured (from `runs` earlier runs, of other models where `same` is False), rough, none or unknown.
    """

    stage: str
    seconds: float | None
    low: float | None = None
    high: float | None = None
    basis: str = "unknown"
    runs: int = 0
    same: bool = True


@dataclass(frozen=True)
class Estimate:
    """What a run will take: seconds of its stages, bytes of memory and disk; None for what nobody can say.

    `memory_measured` says whether memory is what an earlier run of these models held; `early` whether held-out measurements
    or guards may end a stage before all that is counted here.
    """

    stages: tuple[StageEstimate, ...]
    memory: int | None
    memory_measured: bool
    disk: int | None
    early: bool

    @property
    def seconds(self) -> float | None:
        """All stages together; None where one is unknown."""
        return _sum(stage.seconds for stage in self.stages)

    @property
    def interval(self) -> tuple[float, float] | None:
        """All stages at their shortest and at their longest; None where one has no spread.

        As likely as each of them where a slow day slows all alike, and likelier where they vary apart.
        """
        low, high = _sum(stage.low for stage in self.stages), _sum(stage.high for stage in self.stages)
        return None if low is None or high is None else (low, high)


def estimate(config: PipelineConfig, past: Sequence[Past], rate: float | None = None) -> Estimate:
    """Estimate a run from `past` stages, newest first; `rate` is in operations a second, measured where it is needed and not given.

    Raises:
        DataError: a data file is missing or malformed.
    """
    sizes, past = sizes_of(config), _of_device(config, past)
    stages = []
    for name, work in stage_work(config, measure_data(config.data)).items():
        operations = None if sizes is None else work.operations(sizes)
        of_stage = _of_stage(config, name, operations, past)
        same = all(one.models == models_of(config) for one in of_stage)
        stages.append(_stage(name, operations, of_stage, same, rate))
    peaks = [one.memory for one in past if one.memory and one.models == models_of(config)]
    guards, fine_tuned = config.ppo.guards, config.sft is not None
    early = fine_tuned or guards.keeps_best or guards.goes_back or guards.score_threshold is not None
    memory = max(peaks) if peaks else _memory(config, sizes)
    return Estimate(tuple(stages), memory, bool(peaks), _disk(config, sizes), early)


def prediction_interval(seconds: Sequence[float]) -> tuple[float, float]:
    """Return where the next of such times lies in `LEVEL` of cases: exp(m ± t·s·√(1 + 1/n)).

    m and s are mean and standard deviation of the n logarithms, taken for normal, and t is the point of Student's t with n − 1
    degrees of freedom (Hahn & Meeker 1991, Statistical Intervals). The least and the greatest of n hold the next one in
    (n − 1)/(n + 1) of cases, half of them for three.
    """
    logs, n = np.log(seconds), len(seconds)
    point = special.stdtrit(n - 1, (1 + LEVEL) / 2)
    half = point * logs.std(ddof=1) * math.sqrt(1 + 1 / n)
    return math.exp(logs.mean() - half), math.exp(logs.mean() + half)


def multiplication_rate(size: int = 768, seconds: float = 0.2) -> float:
    """Return how many floating-point operations a second this processor does when it multiplies float32 matrices.

    The best of repeated products counts: others shared the processor.
    """
    left = np.random.default_rng(0).random((size, size), dtype=np.float32)
    np.matmul(left, left)  # the first one starts threads
    best, until = 0.0, time.perf_counter() + seconds
    while (began := time.perf_counter()) < until:
        np.matmul(left, left)
        best = max(best, 2 * size**3 / (time.perf_counter() - began))
    return best


def _of_device(config: PipelineConfig, past: Sequence[Past]) -> list[Past]:
    """The stages that computed with what this run will: a graphics card wherever earlier runs had one, unless it is refused."""
    with_card = config.device != "cpu" and any(one.accelerator for one in past)
    return [one for one in past if bool(one.accelerator) == with_card]


def _of_stage(config: PipelineConfig, name: str, operations: float | None, past: Sequence[Past]) -> list[Past]:
    """The earlier stages that say most of this one: of the same models, else of others that did work of the same order."""
    of_stage = [one for one in past if one.stage == name]
    same = [one for one in of_stage if one.models == models_of(config)]
    near = [one for one in of_stage if operations and 1 / FARTHEST <= one.operations / operations <= FARTHEST]
    return (same or near)[:NEWEST]


def _stage(name: str, operations: float | None, past: Sequence[Past], same: bool, rate: float | None) -> StageEstimate:
    if operations is None:
        return StageEstimate(name, None)
    if not operations:
        return StageEstimate(name, 0.0, 0.0, 0.0, "none")
    if not past:
        seconds = LOADING + operations / ((rate or multiplication_rate()) * EFFICIENCY)
        return StageEstimate(name, seconds, seconds / ROUGH, seconds * ROUGH, "rough")
    each = [one.setup + one.pace * operations for one in past]
    low, high = (None, None) if len(each) == 1 else _spread(each)
    return StageEstimate(name, median(each), low, high, "measured", len(each), same)


def _spread(each: Sequence[float]) -> tuple[float, float]:
    return prediction_interval(each) if len(each) >= FEWEST else (min(each), max(each))


def _memory(config: PipelineConfig, sizes: Mapping[str, int] | None) -> int | None:
    if sizes is None:
        return None
    policy = sizes["policy"] * (FROZEN_BYTES if config.policy.lora else TRAINED_BYTES)
    reward = sizes["reward"] * (FROZEN_BYTES if config.reward.lora else TRAINED_BYTES) * config.reward.members
    return BASE_MEMORY + max(policy, reward)


def _disk(config: PipelineConfig, sizes: Mapping[str, int] | None) -> int | None:
    if sizes is None:
        return None
    policy = sizes["policy"] * (ADAPTERS if config.policy.lora else 1) * (2 if config.sft else 1)
    reward = sizes["reward"] * (ADAPTERS if config.reward.lora else 1) * config.reward.members
    return round(KEPT_BYTES * (policy + reward))


def _sum(parts: Iterable[float | None]) -> float | None:
    known = [*parts]
    return None if None in known else sum(part for part in known if part is not None)
