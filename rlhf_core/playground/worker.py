"""`rlhf play`: a process that answers requests from stdin, one JSON line each, with events on stdout, until stdin closes.

Models live here and not in the page's process. A stop may come while an answer is written; nothing else is read out of turn.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, BinaryIO

from rlhf_core.config import PipelineConfig, load_config
from rlhf_core.errors import DataError, RlhfError, RunError
from rlhf_core.playground.protocol import Event, Failed, Loading, Ready, Request, Stop, parse_request

if TYPE_CHECKING:
    from rlhf_core.playground.answering import Playground

STDIN, STDOUT, STDERR = 0, 1, 2


def serve_requests(run: Path) -> None:
    """Answer requests about a run until stdin closes, or nobody reads the answers any more.

    Raises:
        RunError: no such run. ConfigError: its configuration cannot be read.
    """
    config = run_config(run)
    requests = Inbox(os.fdopen(os.dup(STDIN), "rb", buffering=0))
    try:
        with _events_alone() as out:
            _serve(config, requests, lambda event: _tell(out, event))
    except BrokenPipeError:
        return


def run_config(run: Path) -> PipelineConfig:
    """Return the configuration of a run as it lies in its folder, which may have been moved since."""
    run = run.resolve()
    if not run.is_dir():
        raise RunError("no such run", where=run, remedy="`rlhf runs` lists the runs that are there")
    return load_config(run / "config.yaml").model_copy(update={"run_root": run.parent, "name": run.name})


class Inbox:
    """What arrives, read by a thread of its own: requests in their order, stops at once."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._requests: SimpleQueue[Request | DataError | None] = SimpleQueue()
        self._stopped: set[str] = set()
        Thread(target=self._read, args=(lines,), daemon=True).start()

    def __iter__(self) -> Iterator[Request | DataError]:
        """Yield requests, and what is wrong with a line that is none, until no more can come."""
        while (one := self._requests.get()) is not None:
            yield one

    def stopped(self, number: str) -> bool:
        """Say whether the request of that id is to end."""
        return number in self._stopped

    def _read(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            if not line.strip():
                continue
            try:
                asked = parse_request(line)
            except DataError as error:
                asked = error
            if isinstance(asked, Stop):
                self._stopped.add(asked.stop)
            else:
                self._requests.put(asked)
        self._requests.put(None)


def _serve(config: PipelineConfig, requests: Inbox, tell: Callable[[Event], None]) -> None:
    tell(Loading(what="the libraries"))
    from rlhf_core.terminal import prepare_libraries

    prepare_libraries()
    from rlhf_core.playground.answering import Playground

    playground = Playground(config, tell)
    tell(Ready())
    for request in requests:
        if isinstance(request, DataError):
            tell(Failed(id=None, why=str(request)))
        else:
            _answer(playground, request, requests, tell)


def _answer(playground: Playground, request: Request, requests: Inbox, tell: Callable[[Event], None]) -> None:
    """Answer a request, or tell why not: whatever one request meets, the next one is answered."""
    try:
        playground.answer(request, lambda: requests.stopped(request.id))
    except BrokenPipeError:
        raise
    except RlhfError as error:
        tell(Failed(id=request.id, why=str(error)))
    except Exception as error:
        traceback.print_exc()
        reason = (str(error).strip().splitlines() or [""])[0]
        tell(Failed(id=request.id, why=f"{type(error).__name__}: {reason}"))


def _events_alone() -> BinaryIO:
    """Take stdout for events, a write each: what libraries print goes to stderr from now on."""
    own = os.dup(STDOUT)
    os.dup2(STDERR, STDOUT)
    return os.fdopen(own, "wb", buffering=0)


def _tell(out: BinaryIO, event: Event) -> None:
    out.write(event.model_dump_json().encode("utf-8") + b"\n")
