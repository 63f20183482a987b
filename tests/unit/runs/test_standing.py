"""Where runs stand as processes: whose process is at work on a run, and what its state is called."""

from __future__ import annotations

import time

import pytest

from rlhf_core.data.io import write_json
from rlhf_core.errors import RunError
from rlhf_core.runs.directory import RunDirectory
from rlhf_core.runs.launch import pause, resume
from rlhf_core.runs.reader import RunReader
from rlhf_core.runs.standing import note_pause, pause_asked, standing, writer
from tests.processes import claim, sleeper


def test_a_command_of_ours_that_was_there_when_the_status_was_written_is_the_writer(run: RunDirectory) -> None:
    with sleeper("rlhf_core") as process:
        claim(run, process.pid, time.time())
        found = writer(run.path)
        assert found and found.pid == process.pid
        assert standing(RunReader(run.path)).state == "running" and standing(RunReader(run.path)).pid == process.pid
    assert writer(run.path) is None and standing(RunReader(run.path)).state == "interrupted"


def test_a_process_that_was_given_the_same_id_later_is_another_one(run: RunDirectory) -> None:
    """It began now; the status was written an hour ago, so by somebody else."""
    with sleeper("rlhf_core") as process:
        claim(run, process.pid, time.time() - 3600)
        assert writer(run.path) is None and standing(RunReader(run.path)).state == "interrupted"
        with pytest.raises(RunError, match="no process is at work on this run"):
            pause(run.path)
        assert process.is_running()


def test_a_pause_is_asked_for_and_then_told_from_a_crash(run: RunDirectory) -> None:
    with sleeper("rlhf_core") as process:
        claim(run, process.pid, time.time())
        pause(run.path, "Ana")
        assert process.wait(10) is None or not process.is_running()
    assert (standing(RunReader(run.path)).state, standing(RunReader(run.path)).by) == ("paused", "Ana")
    run.create("name: tiny\n", seed=0)  # it went on in a terminal, and that process has ended since
    run.update(state="interrupted")
    assert standing(RunReader(run.path)).state == "interrupted"


def test_a_run_that_was_asked_to_stop_is_pausing_until_it_has(run: RunDirectory) -> None:
    with sleeper("rlhf_core") as process:
        claim(run, process.pid, time.time())
        write_json(run.path / "pause.json", {"at": time.time(), "by": ""})
        assert standing(RunReader(run.path)).state == "pausing"


def test_a_run_that_completed_in_spite_of_a_pause_is_complete(run: RunDirectory) -> None:
    write_json(run.path / "pause.json", {"at": time.time(), "by": ""})
    run.update(state="complete")
    assert standing(RunReader(run.path)).state == "complete"


def test_a_start_that_said_nothing_is_starting_while_it_lives_and_failed_afterwards(run: RunDirectory) -> None:
    run.update(state="interrupted")
    with sleeper("rlhf_core") as process:
        write_json(run.path / "launch.json", {"pid": process.pid, "at": time.time() + 0.01, "by": "Ana"})
        assert (standing(RunReader(run.path)).state, standing(RunReader(run.path)).by) == ("starting", "Ana")
    assert standing(RunReader(run.path)).state == "failed"


def test_a_recorded_run_has_no_process_and_does_not_go_on(run: RunDirectory) -> None:
    with sleeper("rlhf_core") as process:
        claim(run, process.pid, time.time())
        write_json(run.path / "status.json", run.read_status() | {"recorded": True})
        assert standing(RunReader(run.path)).state == "recorded" and writer(run.path) is None
        with pytest.raises(RunError, match=r"was recorded elsewhere and cannot go on here\. Start a new run from it"):
            resume(run.path)


def test_who_asked_first_is_who_did_and_an_earlier_start_s_pause_does_not_count(run: RunDirectory) -> None:
    """The process that is asked notes it too, without a name, for it may have been asked in a terminal."""
    write_json(run.path / "pause.json", {"at": time.time() - 3600, "by": "Eve"})
    assert not pause_asked(run.path)
    note_pause(run.path, "Ana")
    note_pause(run.path)
    assert pause_asked(run.path)
    run.update(state="paused")
    assert (standing(RunReader(run.path)).state, standing(RunReader(run.path)).by) == ("paused", "Ana")


def test_a_run_that_says_it_is_paused_is_paused_until_it_is_started_again(run: RunDirectory) -> None:
    run.update(state="paused")
    assert standing(RunReader(run.path)).state == "paused"
    write_json(run.path / "launch.json", {"pid": 2**22 + 1, "at": time.time() + 1, "by": ""})
    assert standing(RunReader(run.path)).state == "failed"  # the new process ended and said nothing
