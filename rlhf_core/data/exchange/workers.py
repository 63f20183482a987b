"""Processes that share work with this one, each over a pipe of its own: that one is killed is known at once."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")
SECONDS_TO_END = 5.0


class LostProcess(Exception):
    """A process ended before its work was done; `signal` is what killed it, None where nothing did."""

    def __init__(self, exit_code: int | None) -> None:
        self.signal = -exit_code if exit_code is not None and exit_code < 0 else None
        super().__init__(exit_code)


def in_processes(work: Callable[[T], R], things: Iterable[T], processes: int) -> Iterator[tuple[T, R]]:
    """Yield every thing with what `work` makes of it, in order; each process has one thing in hand.

    What `work` raises is raised here. The pool of `concurrent.futures` is no substitute: where a process is killed while
    something larger than a pipe is on its way there, Python 3.11 waits for ever (CPython issue 94777).

    Raises:
        LostProcess: a process was killed.
    """
    workers: deque[_Worker[T, R]] = deque()
    with ExitStack() as ending:
        for thing in things:
            done = None
            if len(workers) < processes:
                worker = ending.enter_context(closing(_Worker(work)))
            else:
                worker = workers.popleft()
                done = worker.take()
            worker.give(thing)
            workers.append(worker)
            if done:
                yield done
        for worker in workers:
            yield worker.take()


class _Worker(Generic[T, R]):
    """One process, which is given one thing at a time: as it waits for the next, nobody waits for somebody who waits."""

    _thing: T

    def __init__(self, work: Callable[[T], R]) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, work), daemon=True)
        self._process.start()
        theirs.close()  # else its end would not be ours to see

    def give(self, thing: T) -> None:
        """Let it work on a thing."""
        self._thing = thing
        try:
            self._pipe.send(thing)
        except OSError as error:
            raise self._lost() from error

    def take(self) -> tuple[T, R]:
        """Wait for what has become of the thing, and return both."""
        try:
            found = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise self._lost() from error
        if isinstance(found, Exception):
            raise found
        return self._thing, found

    def close(self) -> None:
        """End it, whatever it is doing."""
        self._pipe.close()
        self._process.terminate()
        self._process.join()

    def _lost(self) -> LostProcess:
        self._process.join(SECONDS_TO_END)
        return LostProcess(self._process.exitcode)


def _serve(pipe: Connection, work: Callable[[Any], Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that gives the work ends this one
    with suppress(EOFError, OSError):  # it is gone
        while True:
            thing = pipe.recv()
            try:
                found = work(thing)
            except Exception as error:
                found = error
            pipe.send(found)
