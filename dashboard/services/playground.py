"""The Playground page's data: who can be asked, a worker for the run that is asked, and the pairs kept as judging items."""

from __future__ import annotations

import atexit
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import uuid4

from dashboard.services.access import MANAGE
from dashboard.services.catalogue import RunEntry
from dashboard.services.exchange import Exchange, failed, whole_answers
from dashboard.services.player import Player, Ticket, worker_command
from dashboard.services.settings import Settings
from dashboard.services.talks import Talk, read_talk, write_talk
from dashboard.services.task_drafts import create, stored_already
from dashboard.services.voting import open_store, read_instructions
from rlhf_core.data.records import Message
from rlhf_core.errors import DataError
from rlhf_core.feedback.records import TaskInfo
from rlhf_core.playground.contenders import Contender, contenders_of, model_folders
from rlhf_core.playground.kept import KeptPair, by_contenders, keep_pair, kept_pairs, pair_of, task_of
from rlhf_core.playground.protocol import MOST_TOKENS, Request

Stamp = tuple[int, ...]
HELD = 100
"""So many requests' answers are held until a page has kept them."""
CUT_OFF = "It was cut off: the dashboard has been started anew since. Press Answer again."


@dataclass(frozen=True)
class Question:
    """What both sides are asked: a message, the turns before it, and a system prompt in place of the run's own."""

    message: str
    history: Sequence[Message] = ()
    system_prompt: str = ""


@dataclass(frozen=True)
class Drawing:
    """How both sides draw."""

    temperature: float
    top_p: float
    seed: int
    max_new_tokens: int


class Players:
    """The workers that hold models at this moment, by run; one that waits makes room for another run's."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._players: dict[Path, tuple[Player, Stamp]] = {}
        self._tickets: dict[str, Ticket] = {}

    def ask(self, run: Path, request: Request) -> Ticket:
        """Send a request to the run's worker, starting one where there is none, or where its models have changed since.

        Raises:
            RunError: the worker is busy with another request.
        """
        with self._lock:
            player, made_from = self._players.get(run, (None, ()))
            if player is None or not player.alive or (made_from != _stamp(run) and not player.busy):
                self._close_idle()
                player = Player(worker_command(run))
                self._players[run] = player, _stamp(run)
            ticket = self._tickets[request.id] = player.ask(request)
            for old in list(self._tickets)[:-HELD]:
                del self._tickets[old]
            return ticket

    def ticket(self, number: str) -> Ticket | None:
        """Return the ticket of a request by its id, whoever asked; None where it is not held any more."""
        return self._tickets.get(number)

    def stop(self, run: Path, number: str) -> None:
        """End a request that is being answered."""
        player, _ = self._players.get(run, (None, ()))
        if player is not None and (ticket := self.ticket(number)) is not None:
            player.stop(ticket)

    def close(self) -> None:
        """End all workers."""
        with self._lock:
            for player, _ in self._players.values():
                player.close()
            self._players.clear()

    def _close_idle(self) -> None:
        for run, (player, _) in list(self._players.items()):
            if not player.busy:
                player.close()
                del self._players[run]


PLAYERS = Players()
atexit.register(PLAYERS.close)


def contenders(settings: Settings, entry: RunEntry) -> list[Contender]:
    """Return a run's contenders, those that cannot be asked yet too; for owners, who may know names."""
    settings.visitor.require(MANAGE)
    return contenders_of(entry.reader.config(), entry.path)


def usual_drawing(entry: RunEntry) -> Drawing:
    """Return how a run's own completions are drawn, which is where a playground begins."""
    generate: Mapping[str, Any] = entry.reader.config().get("generate") or {}
    most = min(int(generate.get("max_new_tokens", 64)), MOST_TOKENS)
    return Drawing(float(generate.get("temperature", 0.7)), float(generate.get("top_p", 1.0)), 0, most)


def ask(settings: Settings, entry: RunEntry, question: Question, pair: tuple[str, str], drawing: Drawing) -> Exchange:
    """Ask two contenders; returns at once, with what has come so far.

    Raises:
        DataError: an empty message, or the same contender twice.
        RunError: the worker is busy with another request.
    """
    settings.visitor.require(MANAGE)
    if not question.message.strip():
        raise DataError("The message is empty", remedy="Write one.")
    if pair[0] == pair[1]:
        raise DataError(f"Both sides are {pair[0]}", remedy="Choose another contender for one of them.")
    asked = {"prompt": question.message, "history": question.history, "system_prompt": question.system_prompt}
    request = Request(id=uuid4().hex, contenders=pair, **asked, **vars(drawing))
    return PLAYERS.ask(entry.path, request).exchange


def stop(settings: Settings, entry: RunEntry, exchange: Exchange) -> None:
    """End a request; what was written stays on the page."""
    settings.visitor.require(MANAGE)
    PLAYERS.stop(entry.path, exchange.request.id)


def as_it_stands(talk: Talk) -> Talk:
    """Return a conversation with what has been written since; cut off where nobody writes it any more."""
    if talk.exchange is None or not talk.exchange.active:
        return talk
    ticket = PLAYERS.ticket(talk.exchange.request.id)
    return replace(talk, exchange=ticket.exchange if ticket else failed(talk.exchange, CUT_OFF))


def new_name() -> str:
    """Return a name for another conversation."""
    return uuid4().hex[:12]


def keep_talk(settings: Settings, entry: RunEntry, name: str, talk: Talk) -> None:
    """Keep a conversation with its run under a name.

    Raises:
        RunError: the run's folder cannot be written.
    """
    settings.visitor.require(MANAGE)
    write_talk(entry.path, name, talk)


def find_talk(settings: Settings, entry: RunEntry, name: str) -> Talk | None:
    """Return the conversation of a name, as it was kept; None where there is none.

    Raises:
        RunError: its file is damaged.
    """
    settings.visitor.require(MANAGE)
    return read_talk(entry.path, name)


def keep(settings: Settings, entry: RunEntry, exchange: Exchange) -> bool:
    """Keep a pair of whole answers as a judging item; False where the same pair was kept before.

    Raises:
        DataError: the answers are not whole, alike, or follow a system prompt; the file of kept pairs is damaged.
    """
    settings.visitor.require(MANAGE)
    return keep_pair(entry.path, pair_of(exchange.request, whole_answers(exchange)))


def kept(settings: Settings, entry: RunEntry) -> dict[tuple[str, str], list[KeptPair]]:
    """Return the pairs kept of each two contenders of a run; for owners.

    Raises:
        DataError: the file of kept pairs is damaged.
    """
    settings.visitor.require(MANAGE)
    return by_contenders(kept_pairs(entry.path))


def make_task(settings: Settings, entry: RunEntry, pair: tuple[str, str]) -> tuple[TaskInfo, bool]:
    """Store the pairs kept of two contenders as a judging task; return it, and whether it is new.

    It is open at once, or a draft where answers name their author, as every task is.

    Raises:
        DataError: nothing is kept of these two, or there are no instructions.
    """
    pairs = kept(settings, entry).get(pair, [])
    spec = task_of(f"{entry.name}-playground", pairs, read_instructions(settings))
    if same := stored_already(settings, spec):
        return same, False
    return open_store(settings.votes).task(create(settings, spec)), True


def _stamp(run: Path) -> Stamp:
    """What changes when a run's models do."""
    files = [file for folder in model_folders(run) if folder.is_dir() for file in sorted(folder.iterdir())]
    return tuple(file.stat().st_mtime_ns for file in (run / "config.yaml", *files) if file.is_file())
