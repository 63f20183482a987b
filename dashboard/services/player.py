"""The worker of one run's playground: started as `rlhf play`, listened to by a thread, stopped when nobody asks any more."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from threading import RLock, Thread, Timer
from typing import IO

from dashboard.services.exchange import Exchange, advance, begin, failed
from rlhf_core.errors import DataError, RunError
from rlhf_core.playground.protocol import Event, Loading, Missing, Request, Stop, parse_event

IDLE_SECONDS = 300
GRACE = 5  # seconds a worker gets to end by itself once its stdin is closed
AGAIN = "Press Answer again: that starts another one"


@dataclass
class Ticket:
    """What whoever asked holds: the exchange as it is at this moment."""

    exchange: Exchange


def worker_command(run: Path) -> list[str]:
    """Return the command that answers requests about a run."""
    return [sys.executable, "-m", "rlhf_core", "play", str(run)]


class Player:
    """A worker process and what is under way in it; one request at a time."""

    def __init__(self, command: Sequence[str], idle_seconds: float = IDLE_SECONDS) -> None:
        self._log: IO[bytes] = TemporaryFile()  # noqa: SIM115 - as long as the process
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, start_new_session=True
        )
        self._lock, self._idle_seconds = RLock(), idle_seconds
        self._ticket: Ticket | None = None
        self._missing: tuple[tuple[str, str], ...] = ()
        self._loading, self._closing = "a process for the models", False
        self._timer: Timer | None = None
        self._listener = Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it takes requests."""
        return not self._closing and self._process.poll() is None

    @property
    def busy(self) -> bool:
        """Whether an answer is being written."""
        return self._ticket is not None

    def ask(self, request: Request) -> Ticket:
        """Send a request; the ticket's exchange changes as its answers come.

        Raises:
            RunError: another request is being answered, or the worker has ended.
        """
        with self._lock:
            if self._closing:
                raise RunError("the process that holds the models has just ended", remedy=AGAIN)
            if self.busy:
                raise RunError("another message is being answered", remedy="Wait until it is done, or stop it")
            if self._timer:
                self._timer.cancel()
            self._ticket = ticket = Ticket(begin(request, self._missing, self._loading))
            self._send(request)
            return ticket

    def stop(self, ticket: Ticket) -> None:
        """End a request; what was written stays."""
        with self._lock:
            if self._ticket is ticket:
                self._send(Stop(stop=ticket.exchange.request.id))

    def close(self) -> None:
        """End the worker, and whatever is under way in it."""
        with self._lock:
            self._closing = True
            if self._timer:
                self._timer.cancel()
            with suppress(BrokenPipeError):
                self._pipe(self._process.stdin).close()
        if self.busy:
            self._process.kill()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._listener.join(GRACE)

    def _send(self, message: Request | Stop) -> None:
        pipe = self._pipe(self._process.stdin)
        with suppress(BrokenPipeError):  # the listener notices that the worker has ended, and says why
            pipe.write(message.model_dump_json().encode("utf-8") + b"\n")
            pipe.flush()

    def _listen(self) -> None:
        for line in self._pipe(self._process.stdout):
            with suppress(DataError):
                self._take(parse_event(line))
        status = self._process.wait()
        with self._lock:
            if self._ticket is not None:
                self._settle(failed(self._ticket.exchange, self._last_words(status)))
            self._closing = True
            self._pipe(self._process.stdout).close()
            with suppress(BrokenPipeError):
                self._pipe(self._process.stdin).close()
            self._log.close()

    def _take(self, event: Event) -> None:
        with self._lock:
            if isinstance(event, Loading):
                self._loading = event.what
            elif isinstance(event, Missing):
                self._missing = (*self._missing, (event.scorer, event.why))
            if self._ticket is not None:
                self._settle(advance(self._ticket.exchange, event))

    def _settle(self, exchange: Exchange) -> None:
        """Give the exchange to whoever asked; once it is over, others may ask, and the worker waits for them a while."""
        assert self._ticket is not None
        self._ticket.exchange = exchange
        if not exchange.active:
            self._ticket, self._loading = None, ""
            self._timer = Timer(self._idle_seconds, self._close_if_idle)
            self._timer.daemon = True
            self._timer.start()

    def _close_if_idle(self) -> None:
        with self._lock:
            if self.busy:
                return
            self._closing = True
        self.close()

    def _last_words(self, status: int) -> str:
        """Say how the worker ended, and the last it said."""
        self._log.seek(0)
        said = self._log.read().decode("utf-8", "replace").strip()
        error = said.rpartition("error: ")[2] if "error: " in said else said.rpartition("\n")[2]
        how = f"was killed ({signal.Signals(-status).name})" if status < 0 else f"ended with status {status}"
        return ": ".join(filter(None, (f"The process that holds the models {how}", error))).rstrip(".") + f". {AGAIN}."

    @staticmethod
    def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
        assert stream is not None
        return stream
