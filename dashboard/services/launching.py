"""What the Runs page asks for: where every run stands, starting, pausing and resuming; for owners alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.services import wording
from dashboard.services.access import MANAGE
from dashboard.services.catalogue import STAGE_NAMES, RunEntry, list_entries
from dashboard.services.settings import Settings
from rlhf_core.config import PipelineConfig
from rlhf_core.errors import RlhfError, RunError
from rlhf_core.runs import launch
from rlhf_core.runs.reader import RunStatus
from rlhf_core.runs.standing import AT_WORK, RESUMABLE, Standing, standing
from rlhf_core.visible import visible

TAIL_LINES = 14
DAMAGED = "damaged"


@dataclass(frozen=True)
class RunRow:
    """One run of the list.

    Attributes:
        state: that of `Standing`, or damaged.
        problem: what keeps the run from being read.
        half_round: whether it is a later round whose stages are complete, and whose test and next task are not made yet.
    """

    entry: RunEntry
    state: str
    standing: Standing | None
    last_line: str = ""
    problem: str = ""
    half_round: bool = False

    @property
    def at_work(self) -> bool:
        """Whether a process works on it."""
        return self.state in AT_WORK

    @property
    def can_pause(self) -> bool:
        """Whether its process can be asked to stop."""
        return self.state in ("starting", "running")

    @property
    def can_stop_now(self) -> bool:
        """Whether it is finishing a step that it can be asked to give up."""
        return self.state == "pausing" and self.standing is not None and not _kept(self.standing)

    @property
    def can_resume(self) -> bool:
        """Whether it can go on."""
        return self.state in (*RESUMABLE, "new") or self.half_round

    @property
    def began(self) -> float | None:
        """When it was started last, as a Unix time; None for never."""
        return self.standing.began or None if self.standing else None

    @property
    def progress(self) -> float:
        """Share of its stages' steps that are done, 0 … 1; each stage counts the same."""
        stages = self.standing.status.stages if self.standing else ()
        return sum(stage.progress for stage in stages) / len(stages) if stages else 0.0


def run_rows(settings: Settings) -> list[RunRow]:
    """Return every run, those at work first, then the newest.

    Raises:
        AccessError: not an owner.
    """
    settings.visitor.require(MANAGE)
    rows = [_row(entry) for entry in list_entries(settings)]
    return sorted(rows, key=lambda row: not row.at_work)


def list_sentence(rows: Sequence[RunRow]) -> str:
    """Say how many runs there are, and how many are at work."""
    at_work = sum(row.at_work for row in rows)
    if not rows:
        return "Nothing was trained here yet."
    runs = wording.count(len(rows), "run")
    return f"{at_work} of {runs} at work." if at_work else f"{runs}, none at work."


def run_row(settings: Settings, name: str) -> RunRow:
    """Return one run by its name, as it stands in the address.

    Raises:
        RunError: there is none.
        AccessError: not an owner.
    """
    settings.visitor.require(MANAGE)
    return _row(find_run(settings, name))


def find_run(settings: Settings, name: str) -> RunEntry:
    """Return the run of a name; the recorded one is called by its label.

    Raises:
        RunError: there is none.
    """
    found = next((entry for entry in list_entries(settings) if entry.label == name), None)
    if found is None:
        raise RunError("no such run", value=name, remedy="Choose one of the runs listed")
    return found


def start(settings: Settings, config: PipelineConfig) -> str:
    """Start a new run as a process that outlives the page, and return its name.

    Raises:
        RunError: the name is taken, or nothing can be started.
        AccessError: not an owner.
    """
    settings.visitor.require(MANAGE)
    return launch.start(config, settings.visitor.name).name


def pause(settings: Settings, name: str) -> None:
    """Ask a run's process to stop after the step under way, which is kept.

    Raises:
        RunError: no process is at work on it.
        AccessError: not an owner.
    """
    settings.visitor.require(MANAGE)
    launch.pause(find_run(settings, name).path, settings.visitor.name)


def stop_now(settings: Settings, name: str) -> None:
    """Ask a run that is pausing to stop at once; everything up to its last checkpoint is kept.

    Raises:
        RunError: no process is at work on it.
        AccessError: not an owner.
    """
    settings.visitor.require(MANAGE)
    launch.stop_now(find_run(settings, name).path)


def resume(settings: Settings, name: str) -> None:
    """Start a run again that has stopped, so that it goes on where it was.

    Raises:
        RunError: it cannot go on here.
        AccessError: not an owner.
    """
    settings.visitor.require(MANAGE)
    launch.resume(find_run(settings, name).path, settings.visitor.name)


def log_tail(entry: RunEntry, lines: int = TAIL_LINES) -> str:
    """Return the end of what a run printed; empty where nothing was kept."""
    return "" if entry.recorded else visible("\n".join(launch.log_tail(entry.path, lines)))


def log_file(entry: RunEntry) -> str:
    """Return where the whole of what a run printed lies."""
    return str(launch.log_path(entry.path))


def standing_words(row: RunRow) -> str:
    """Say in a sentence where a run stands."""
    if row.standing is None:
        return "Its status cannot be read."
    status, by = row.standing.status, f" by {row.standing.by}" if row.standing.by else ""
    kept = ", which is kept" if _kept(row.standing) else ""
    doing = "its process is ending" if _kept(row.standing) else "finishing the step"
    left = "; its test against votes and the next task are still to be made" if row.half_round else ""
    why = failure_words(row).partition("\n")[0]
    sentences = {
        "starting": "Its process has started and is loading.",
        "running": f"At work{f', started{by}' if by else ''}.",
        "pausing": f"Pausing{_where(status)}, {doing}{f'; asked{by}' if by else ''}.",
        "paused": f"Paused{by}{_where(status)}{kept}. It goes on from its last checkpoint, to the last bit.",
        "interrupted": f"Stopped{_where(status)}, and not from here. It goes on from its last checkpoint.",
        "failed": f"It failed{'' if _unheard(row.standing) else _where(status)}: {why}",
        "complete": f"Complete in {wording.duration(sum(stage.seconds for stage in status.stages))}{left}.",
        "recorded": "Recorded earlier on another machine; it is here to be looked at.",
        "new": "It has a configuration and was never started.",
    }
    return sentences[row.state]


def progress_words(row: RunRow) -> str:
    """Return how far a run is, beside its bar: `PPO: step 3 of 10, about 2 min left`, or the share of its stages."""
    if row.state == "running" and row.standing:
        return _now(row.standing.status)
    return f"{row.progress:.0%} of its stages"


def failure_words(row: RunRow) -> str:
    """Return what a failed run says of why: its own message, else the last error in its log."""
    if row.state != "failed" or row.standing is None:
        return ""
    status, lines = row.standing.status, launch.log_tail(row.entry.path, 200)
    place = next((n for n in range(len(lines) - 1, -1, -1) if lines[n].startswith("error: ")), None)
    said = "\n".join(lines[place:]).removeprefix("error: ") if place is not None else ""
    known = said or "".join(lines[-1:]) if _unheard(row.standing) else status.message or said
    return known or "Its process ended and left no word."


def contention_words(rows: Sequence[RunRow], besides: str = "") -> str:
    """Say which other runs are at work on this machine, for they share its processor and memory; empty when there are none."""
    others = [row.entry.label for row in rows if row.at_work and row.entry.label != besides]
    if not others:
        return ""
    verb = "is" if len(others) == 1 else "are"
    said = f"{wording.listed(others)} {verb} at work on this machine"
    return f"{said}: together they share its processor and memory, and each takes longer."


def _row(entry: RunEntry) -> RunRow:
    try:
        found, origin = standing(entry.reader), entry.reader.lineage()
    except (RlhfError, OSError) as error:
        return RunRow(entry, DAMAGED, None, problem=str(error))
    lines = [] if entry.recorded else launch.log_tail(entry.path, 1)
    state = "recorded" if entry.recorded else found.state
    half = state == "complete" and origin is not None and origin.next_task is None
    return RunRow(entry, state, found, visible(lines[0]) if lines else "", half_round=half)


def _kept(standing: Standing) -> bool:
    """Whether the last step was finished for a pause, and a checkpoint of it written."""
    return standing.status.state == "paused"


def _unheard(standing: Standing) -> bool:
    """Whether the process that was started last wrote no status: what the status says is older."""
    return standing.began > (standing.status.updated or 0.0)


def _now(status: RunStatus) -> str:
    current = status.current
    if current is None:
        return "At work"
    left = wording.time_left(current.eta_seconds)
    steps = f" step {current.step} of {current.total}" if current.total else ""
    return f"{STAGE_NAMES[current.name]}:{steps or ' loading'}{left}"


def _where(status: RunStatus) -> str:
    current = status.current
    if current is None:
        return ""
    steps = f" at step {current.step} of {current.total}" if current.total else ""
    return f" in {STAGE_NAMES[current.name]}{steps}"
