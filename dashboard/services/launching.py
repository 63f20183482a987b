"""What the Runs page asks for: where every run stands, starting, pausing and resuming; for owners alone."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.services import wording
from dashboard.services.access import MANAGE
from dashboard.services.catalogue import STAGE_NAMES, RunEntry, list_entries
from dashboard.services.settings import Settings
from rlhf_core.config import PipelineConfig
from rlhf_core.errors import RlhfError, RunError
from rlhf_core.runs import launch, lineage
from rlhf_core.runs.launch import AT_WORK, RESUMABLE, Standing
from rlhf_core.runs.reader import RunStatus
from rlhf_core.visible import visible

TAIL_LINES = 14
DAMAGED = "damaged"


@dataclass(frozen=True)
class RunRow:
    """One run of the list. `state` is that of `Standing`, imported or damaged; `problem` says what keeps it from being read."""

    entry: RunEntry
    state: str
    standing: Standing | None
    last_line: str = ""
    problem: str = ""

    @property
    def at_work(self) -> bool:
        """Whether a process works on it."""
        return self.state in AT_WORK

    @property
    def can_pause(self) -> bool:
        """Whether its process can be asked to stop."""
        return self.state in ("starting", "running")

    @property
    def can_resume(self) -> bool:
        """Whether it can go on; a later round goes on with its own command."""
        return self.state in (*RESUMABLE, "new") and not is_round(self.entry)

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
    """Ask a run's process to stop at once; everything up to its last checkpoint is kept.

    Raises:
        RunError: no process is at work on it.
        AccessError: not an owner.
    """
    settings.visitor.require(MANAGE)
    launch.pause(find_run(settings, name).path, settings.visitor.name)


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


def is_round(entry: RunEntry) -> bool:
    """Say whether a run is a later round, which goes on with its own command."""
    return (entry.path / lineage.FILE).is_file()


def own_command(row: RunRow) -> str:
    """Return the command that goes on with a run in a terminal."""
    command = str(row.entry.reader.environment.get("command") or "")
    path = shlex.quote(str(row.entry.path / "config.yaml"))
    root = shlex.quote(f"run_root={row.entry.path.parent}")
    return command if is_round(row.entry) and command else f"rlhf pipeline {path} --set {root}"


def standing_words(row: RunRow) -> str:
    """Say in a sentence where a run stands."""
    if row.standing is None:
        return "Its status cannot be read."
    status, by = row.standing.status, f" by {row.standing.by}" if row.standing.by else ""
    why = failure_words(row).partition("\n")[0]
    sentences = {
        "starting": "Its process has started and is loading.",
        "running": f"At work{f', started{by}' if by else ''}.",
        "pausing": "It was asked to stop and is leaving its files in order.",
        "paused": f"Paused{by}{_where(status)}. It goes on from its last checkpoint, to the last bit.",
        "interrupted": f"Stopped{_where(status)}, and not from here. It goes on from its last checkpoint.",
        "failed": f"It failed{'' if _unheard(row.standing) else _where(status)}: {why}",
        "complete": f"Complete in {wording.duration(sum(stage.seconds for stage in status.stages))}.",
        "recorded": "Recorded earlier on another machine; it is here to be looked at.",
        "imported": f"Trained elsewhere; its curves were imported from {status.imported}.",
        "new": "It has a configuration and was never started.",
    }
    return sentences[row.state]


def progress_words(row: RunRow) -> str:
    """Return how far a run is, beside its bar: `PPO: step 3 of 10, about 2 min left`, or the share of its stages."""
    if row.state == "running" and row.standing:
        return _now(row.standing.status)
    return f"{row.progress:.0%} of its stages"


def imported_words(row: RunRow) -> str:
    """Return what an imported run has: `SFT to step 60, PPO to step 24`."""
    stages = row.standing.status.stages if row.standing else ()
    return ", ".join(f"{STAGE_NAMES[stage.name]} to step {stage.step:,}" for stage in stages)


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
        standing = launch.standing(entry.reader)
    except (RlhfError, OSError) as error:
        return RunRow(entry, DAMAGED, None, problem=str(error))
    lines = [] if entry.recorded else launch.log_tail(entry.path, 1)
    state = "imported" if standing.status.imported else "recorded" if entry.recorded else standing.state
    return RunRow(entry, state, standing, visible(lines[0]) if lines else "")


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
