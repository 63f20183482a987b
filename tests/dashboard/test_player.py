"""The page's side of a worker: snapshots, one request at a time, a worker that dies, one that nobody asks any more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboard.services import playground
from dashboard.services.exchange import COMPLETE, FAILED, STOPPED, WAITING, WRITING, advance, begin
from dashboard.services.player import Player
from dashboard.services.playground import Players
from rlhf_core.errors import RunError
from rlhf_core.playground.protocol import Done, End, Failed, Loading, Missing, Ready, Request, Score, Scores, Text
from tests.play_factory import ROOT

FAKE = [sys.executable, str(ROOT / "tests" / "fake_worker.py")]


def asked(prompt: str = "Why?", number: str = "1") -> Request:
    names = ("base", "tuned")
    return Request(id=number, prompt=prompt, contenders=names, temperature=0.7, max_new_tokens=8)


def until(holds: Callable[[], Any], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


@pytest.fixture
def player() -> Iterator[Player]:
    player = Player(FAKE)
    yield player
    player.close()


def test_an_exchange_grows_by_what_the_worker_tells():
    start = begin(asked())
    assert (start.state, start.active) == (WAITING, True)
    loading = advance(advance(start, Loading(what="the model of base")), Ready())
    assert (loading.state, loading.doing) == (WAITING, "the model of base")
    without = advance(loading, Missing(scorer="detoxify", why="no network"))
    assert without.missing == (("detoxify", "no network"),)
    written = advance(without, Text(id="1", side=1, text="Be", tokens=1))
    assert written.state == WRITING and [a.text for a in written.answers] == ["", "Be"]
    score = Score(scorer="reward model", measure="score", value=0.5)
    scored = advance(written, Scores(id="1", side=1, tokens=1, scores=(score,)))
    assert (scored.answers[1].scores, scored.answers[1].scored, scored.answers[1].text) == ((score,), 1, "Be")
    done = Done(id="1", side=1, text="Because", tokens=2, finished=True, first_seconds=0.1, seconds=1)
    whole = advance(scored, done)
    assert whole.answers[1].done == done and whole.answers[1].text == "Because" and whole.active
    assert advance(whole, End(id="1")).state == COMPLETE
    assert advance(whole, End(id="1", stopped=True)).state == STOPPED
    assert advance(whole, Failed(id=None, why="x")).problem == "x"
    assert start.answers[1].text == "" and start.missing == ()  # snapshots stay as they are


def test_what_is_of_another_request_or_comes_after_the_end_changes_nothing():
    start = begin(asked())
    assert advance(start, Text(id="2", side=0, text="other", tokens=1)) == start
    over = advance(start, End(id="1"))
    assert advance(over, Text(id="1", side=0, text="late", tokens=1)) == over


def test_a_worker_answers_one_request_at_a_time(player: Player):
    ticket = player.ask(asked("slowly"))
    until(lambda: ticket.exchange.answers[0].text == "base says slowly")
    with pytest.raises(RunError, match="another message is being answered"):
        player.ask(asked(number="2"))
    player.stop(ticket)
    until(lambda: not ticket.exchange.active)
    assert ticket.exchange.state == STOPPED and ticket.exchange.answers[1].text == ""
    second = player.ask(asked(number="2"))
    until(lambda: not second.exchange.active)
    assert second.exchange.state == COMPLETE
    assert [answer.text for answer in second.exchange.answers] == ["base says Why?", "tuned says Why?"]
    assert second.exchange.missing == (("detoxify", "the weights cannot be had"),)  # told once, known ever after
    assert ticket.exchange.state == STOPPED


def test_a_worker_that_is_ready_is_not_said_to_be_loading(player: Player):
    first = player.ask(asked("slowly"))
    assert first.exchange.doing == "a process for the models"
    until(lambda: first.exchange.doing == "the libraries")
    until(lambda: first.exchange.answers[0].text)
    player.stop(first)
    until(lambda: not first.exchange.active)
    assert player.ask(asked("slowly", "2")).exchange.doing == ""


def test_a_killed_worker_is_told_with_its_last_words_and_another_one_answers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(playground, "worker_command", lambda run: FAKE)
    players = Players()
    try:
        dead = players.ask(tmp_path, asked("die"))
        until(lambda: not dead.exchange.active)
        assert dead.exchange.state == FAILED and dead.exchange.problem == (
            "The process that holds the models was killed (SIGKILL): about to die. Press Answer again: that starts another one."
        )
        again = players.ask(tmp_path, asked(number="2"))
        until(lambda: not again.exchange.active)
        assert again.exchange.state == COMPLETE
    finally:
        players.close()


def test_an_error_before_the_first_request_is_the_last_word(tmp_path: Path):
    player = Player([sys.executable, "-m", "rlhf_core", "play", str(tmp_path / "none")])
    ticket = player.ask(asked())
    until(lambda: not ticket.exchange.active, 60)
    assert ticket.exchange.problem.startswith(
        f"The process that holds the models ended with status 1: {tmp_path}/none: no such run. `rlhf runs` lists"
    )
    player.close()


def test_a_worker_that_nobody_asks_ends(player: Player):
    short = Player(FAKE, idle_seconds=0.2)
    ticket = short.ask(asked())
    until(lambda: not ticket.exchange.active)
    until(lambda: not short.alive)
    until(lambda: not _runs(short.pid))
    with pytest.raises(RunError, match="has just ended"):
        short.ask(asked())
    assert player.alive  # the usual patience is longer


def test_a_closed_worker_is_gone_even_in_the_middle_of_an_answer():
    player = Player(FAKE)
    ticket = player.ask(asked("slowly"))
    until(lambda: ticket.exchange.answers[0].text)
    player.close()
    assert not _runs(player.pid) and ticket.exchange.state == FAILED


def test_a_worker_is_used_again_until_the_models_change_and_makes_room_for_another_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(playground, "worker_command", lambda run: FAKE)
    players, one, other = Players(), tmp_path / "one", tmp_path / "other"
    weights = one / "ppo" / "model" / "adapter.safetensors"
    weights.parent.mkdir(parents=True)
    weights.touch()

    def ask(run: Path) -> int:
        ticket = players.ask(run, asked())
        until(lambda: not ticket.exchange.active)
        return players._players[run][0].pid

    try:
        first = ask(one)
        assert ask(one) == first
        os.utime(weights, (1, 1))
        second = ask(one)
        assert second != first and not _runs(first)
        third = ask(other)
        assert _runs(third) and not _runs(second)
    finally:
        players.close()
    assert not _runs(third)


def test_the_worker_ends_with_the_process_that_asks(tmp_path: Path):
    """A dashboard that is killed can put nothing in order: its worker notices by itself."""
    code = (
        "import sys, time\nfrom dashboard.services.player import Player\n"
        f"player = Player({FAKE!r})\nprint(player.pid, flush=True)\ntime.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    pid = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    until(lambda: not _runs(pid))


def _runs(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
