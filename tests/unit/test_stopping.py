"""A wish to stop: when it waits for the step under way, when it does not, and that signals are such wishes."""

from __future__ import annotations

import os
import signal

import pytest

from rlhf_core.stopping import Paused, Stop


def test_outside_of_steps_a_run_stops_at_once() -> None:
    stop, told = Stop(), []
    stop.tell = lambda: told.append(True)
    with pytest.raises(KeyboardInterrupt) as caught:
        stop.ask()
    assert not isinstance(caught.value, Paused) and not stop.asked and not told


def test_within_steps_the_first_wish_waits_and_is_told_and_the_block_ends_as_a_pause() -> None:
    stop, told = Stop(), []
    stop.tell = lambda: told.append(True)
    with pytest.raises(Paused), stop.after_step():
        assert not stop.asked
        stop.ask()
        assert stop.asked and told == [True]


def test_the_second_wish_does_not_wait() -> None:
    stop = Stop()
    with pytest.raises(KeyboardInterrupt) as caught, stop.after_step():
        stop.ask()
        stop.ask()
    assert not isinstance(caught.value, Paused)


def test_without_a_wish_nothing_happens_and_afterwards_none_waits() -> None:
    stop = Stop()
    with stop.after_step():
        pass
    with pytest.raises(KeyboardInterrupt):
        stop.ask()


def test_an_error_within_a_step_is_not_taken_for_a_pause() -> None:
    stop = Stop()
    with pytest.raises(ValueError, match="the loss is not finite"), stop.after_step():
        stop.ask()
        raise ValueError("the loss is not finite")


def test_ctrl_c_and_sigterm_are_wishes_and_are_given_back() -> None:
    stop, before = Stop(), [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt), stop.by_signals(), stop.after_step():
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked
        os.kill(os.getpid(), signal.SIGINT)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_signal_that_was_to_be_ignored_is() -> None:
    """A shell that starts a command in the background has it ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Stop().by_signals():
            os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
