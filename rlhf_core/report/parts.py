"""What a report holds: frozen records of plain data, so that HTML, Markdown, CSV and JSON show the same numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from rlhf_core.evaluation.agreement import Agreement
from rlhf_core.evaluation.statistics import AtEqualLength, Estimate, side_of_zero
from rlhf_core.feedback.records import InstructionVersion
from rlhf_core.report.drift import Drift
from rlhf_core.report.judge_parts import AutoJudge, Judge
from rlhf_core.report.provenance import Provenance
from rlhf_core.report.refusals import Refusals
from rlhf_core.runs.lineage import Lineage
from rlhf_core.runs.outcome import Outcome


@dataclass(frozen=True)
class Stage:
    """One stage of the pipeline and how long it took."""

    name: str
    state: str
    step: int
    total: int
    seconds: float


@dataclass(frozen=True)
class Run:
    """Which run this is, and what is needed to repeat it. `started` is ISO 8601 in UTC."""

    name: str
    state: str
    recorded: bool
    started: str | None
    command: str | None
    commit: str | None
    seed: int | None
    hardware: str
    versions: dict[str, str | None]
    policy_model: str | None
    reward_model: str | None
    stages: tuple[Stage, ...]
    imported: str = ""
    """What the curves of a run that was trained elsewhere were read from; empty for every other."""

    @property
    def kind(self) -> str:
        """What sets it apart from a run that was trained here and now; empty where nothing does."""
        return "imported curves" if self.imported else "recorded run" if self.recorded else ""

    @property
    def seconds(self) -> float:
        """Time spent in all stages."""
        return sum(stage.seconds for stage in self.stages)


@dataclass(frozen=True)
class Scorer:
    """Who produced a score, and what it does not see. From `threshold` up a text counts as flagged."""

    name: str
    version: str
    blind_spots: str
    threshold: float | None


@dataclass(frozen=True)
class Comparison:
    """One row of `evaluation/comparisons.json`; `category` "" means all prompts, an end that is None is unbounded."""

    scorer: str
    measure: str
    unit: str
    baseline: str
    contender: str
    category: str
    n: int
    mean_baseline: float
    mean_contender: float
    difference: float
    low: float | None
    high: float | None
    share_up: float
    share_down: float
    method: str

    @property
    def direction(self) -> int:
        """1 when the interval lies above 0, −1 when it lies below, 0 when it includes 0 or has no end."""
        return side_of_zero(self.low, self.high)


@dataclass(frozen=True)
class Flagged:
    """How many completions reach a toxicity scorer's threshold, before and after, on the same prompts."""

    scorer: str
    measure: str
    threshold: float
    n: int
    before: int
    after: int
    only_before: int
    only_after: int
    p_value: float


@dataclass(frozen=True)
class Stop:
    """May one stop voting? An interval that holds however often one looks (`may_i_stop`), in shares.

    Attributes:
        overlap: votes that make a prompt count, its first ones.
        prompts: those that count so far.
        settled_at: the prompt at which ½ was excluded, or None.
        more: further prompts likely needed (median); None when settled, or beyond what anyone would judge.
        path: (prompts, low, high) along the way, at most 200 of them.
    """

    overlap: int
    prompts: int
    low: float
    high: float
    settled_at: int | None
    verdict: str
    more: int | None
    path: tuple[tuple[int, float, float], ...]


@dataclass(frozen=True)
class Votes:
    """What one set of votes says: people's or simulated ones, on one criterion, of one baseline against one contender.

    `consensus` counts items by the outcome most of their labellers chose, `split` those where several lead; `decided` is the
    contender's share of the votes that chose a side.
    """

    simulated: bool
    criterion: str
    baseline: str
    contender: str
    n: int
    prompts: int
    labellers: int
    instruction_versions: tuple[str, ...]
    win_rate: Estimate
    shares: dict[str, Estimate]
    position_bias: Estimate | None
    by_category: dict[str, Estimate]
    consensus: dict[str, int]
    stop: Stop
    decided: Estimate | None
    equal_length: AtEqualLength


@dataclass(frozen=True)
class Answer:
    """What every contender answered to one held-out prompt, with its reward-model scores (missing: not scored)."""

    prompt_id: str
    category: str
    prompt: str
    texts: dict[str, str]
    scores: dict[str, float]


@dataclass(frozen=True)
class Example:
    """One prompt with the two answers compared; `gain` is the contender's reward-model score less the baseline's."""

    answer: Answer
    baseline: str
    contender: str
    gain: float


@dataclass(frozen=True)
class Figure:
    """A headline number in words: `value`, its `interval`, and where it came from."""

    label: str
    value: str
    interval: str
    source: str


@dataclass(frozen=True)
class Measure:
    """A figure by its name, in its own unit (shares from 0 to 1); an end that is None is unbounded or not known."""

    name: str
    what: str
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Passage:
    """A paragraph under a title of its own."""

    title: str
    text: str


@dataclass(frozen=True)
class Facts:
    """Everything a report shows, computed once. What is missing is None or empty, and said in `missing`."""

    run: Run
    baseline: str
    contender: str
    verdict: str
    figures: tuple[Figure, ...]
    measures: tuple[Measure, ...]
    method: tuple[Passage, ...]
    data: tuple[Passage, ...]
    limitations: tuple[str, ...]
    provenance: Provenance
    caveats: tuple[str, ...]
    missing: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    kl: dict[str, Any] | None
    flagged: tuple[Flagged, ...]
    refusals: Refusals | None
    scorers: dict[str, Scorer]
    reward_model: dict[str, Any] | None
    lineage: Lineage | None
    against_votes: dict[str, Any] | None
    human_votes: tuple[Votes, ...]
    labellers: tuple[dict[str, Any], ...]
    instructions: tuple[InstructionVersion, ...]
    agreement: tuple[Agreement, ...]
    judges: tuple[Judge, ...]
    auto_judges: tuple[AutoJudge, ...]
    simulated_votes: tuple[Votes, ...]
    simulation_rule: str
    gains: tuple[Example, ...]
    best: tuple[Example, ...]
    worst: tuple[Example, ...]
    answers: tuple[Answer, ...]
    score_rows: tuple[dict[str, Any], ...]
    vote_rows: tuple[dict[str, Any], ...]
    metrics: dict[str, tuple[dict[str, Any], ...]]
    outcome: Outcome | None
    alarms: tuple[str, ...]
    drift: Drift | None
    config: str

    def find(self, scorer: str, measure: str, category: str = "") -> Comparison | None:
        """Return the comparison of the report's two contenders on one measure, or None."""
        return next((c for c in self.main(category) if (c.scorer, c.measure) == (scorer, measure)), None)

    def main(self, category: str | None = "") -> list[Comparison]:
        """Return the comparisons of the report's two contenders, in one category ("": all prompts; None: every row)."""
        pair = (self.baseline, self.contender)
        rows = [c for c in self.comparisons if (c.baseline, c.contender) == pair]
        return [c for c in rows if category is None or c.category == category]

    def as_json(self) -> dict[str, Any]:
        """Return all facts as plain data without NaN or infinity (they become null)."""
        return _finite(asdict(self))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value
