"""What follows a run that people have judged: the round that learns from their votes, and the command that makes it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from dashboard.services.access import MANAGE
from dashboard.services.catalogue import RunEntry
from dashboard.services.settings import Settings
from dashboard.services.voting import human_votes
from rlhf_core.feedback.database import without_password
from rlhf_core.runs import lineage

MODELS = ("ppo/model", "reward/model")
"""What a round grows from; a recorded run comes without."""


@dataclass(frozen=True)
class NextRound:
    """The round after a run: its number, the name of its run, whether that has begun, and the command that makes it."""

    number: int
    run: str
    begun: bool
    command: str


def next_round(settings: Settings, entry: RunEntry) -> NextRound | None:
    """Return what follows a run; None for who is no owner, and for a run that nobody has judged or that lacks its models."""
    if not settings.visitor.may(MANAGE) or not all((entry.path / name).is_dir() for name in MODELS):
        return None
    if entry.reader.status().state != "complete" or human_votes(settings, entry).empty:
        return None
    origin = entry.reader.lineage()
    folder = lineage.next_folder(entry.path, origin)
    begun = (folder / lineage.FILE).is_file()
    return NextRound(lineage.next_number(origin), folder.name, begun, _command(settings, entry.path))


def _command(settings: Settings, run: Path) -> str:
    """The command as it is typed in a terminal, where PGPASSWORD or ~/.pgpass holds the vote database's password."""
    database = without_password(settings.votes) if "://" in settings.votes else str(Path(settings.votes).resolve())
    beside = database == str(run.parent / "votes.db")
    return shlex.join(["rlhf", "round", str(run), *([] if beside else ["--votes", database])])
