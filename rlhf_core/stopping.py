"""How a run is asked to stop: the first signal lets a step that will be kept come to its end, the second one does not."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Paused(KeyboardInterrupt):
    """A run has stopped as it was asked to: after a whole step, with a checkpoint of it."""


def _nobody() -> None:
    return None


class Stop:
    """Somebody's wish that a run stop.

    Within `after_step` the first wish sets `asked`, and the loop there writes a checkpoint after the step under way and leaves.
    Anywhere else, and the second time, it stops at once, by a KeyboardInterrupt.
    """

    def __init__(self) -> None:
        self.asked = False
        self.tell: Callable[[], None] = _nobody
        """Called when a wish waits for a step; it interrupts whatever the program does, so it may not touch what that writes."""
        self._waits = False

    def ask(self) -> None:
        """Ask the run to stop.

        Raises:
            KeyboardInterrupt: nothing is to be waited for.
        """
        if self.asked or not self._waits:
            raise KeyboardInterrupt
        self.asked = True
        self.tell()

    @contextmanager
    def after_step(self) -> Iterator[None]:
        """Let a wish wait within. Whoever is within leaves after the step, once `asked`, with everything kept.

        Raises:
            Paused: at the end, when it was asked for.
        """
        self._waits = True
        try:
            yield
        finally:
            self._waits = False
        if self.asked:
            raise Paused

    @contextmanager
    def by_signals(self) -> Iterator[None]:
        """Take Ctrl-C and SIGTERM for wishes; a signal that whoever started the program had it ignore stays ignored."""
        before = {number: signal.getsignal(number) for number in SIGNALS}
        taken = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
        for number in taken:
            signal.signal(number, lambda *_: self.ask())
        try:
            yield
        finally:
            for number, handler in taken.items():
                signal.signal(number, handler)
