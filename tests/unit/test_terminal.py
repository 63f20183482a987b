"""What the command prints while it works: bars on a terminal, lines in a log."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from rlhf_core.data.io import write_json
from rlhf_core.evaluation.compare import best_of_summary
from rlhf_core.runs.reader import RunReader
from rlhf_core.terminal import LINE_EVERY, _Bars, _Lines, print_comparisons


def lines_of(steps: range, total: int) -> list[str]:
    out = io.StringIO()
    with _Lines(Console(file=out, width=200)) as listener:
        for step in steps:
            listener.progress("ppo", step, total, "score [bold]1.0[/bold]")
    return out.getvalue().splitlines()


def test_a_log_gets_a_line_every_tenth_step_and_at_the_end() -> None:
    assert LINE_EVERY == 10
    assert [line.split()[1] for line in lines_of(range(1, 26), 25)] == ["10/25", "20/25", "25/25"]


def test_messages_are_text_not_markup() -> None:
    assert lines_of(range(10, 11), 25) == ["ppo: 10/25 score [bold]1.0[/bold]"]


def test_a_log_tells_the_stages_apart() -> None:
    out = io.StringIO()
    with _Lines(Console(file=out, width=200)) as listener:
        listener.stage_skipped("sft")
        listener.stage_started("reward")
        listener.stage_finished("reward", 61.4)
    assert out.getvalue().splitlines() == [
        "sft: complete with the same inputs: skipped", "reward: started", "reward: done in 61 s",
    ]  # fmt: skip


def test_bars_show_stage_steps_and_message() -> None:
    out = io.StringIO()
    with _Bars(Console(file=out, width=160, force_terminal=True)) as listener:
        listener.stage_skipped("sft")
        listener.stage_started("ppo")
        listener.progress("ppo", 3, 12, "score 0.5")
        (bar,) = listener.bars.tasks
        assert (bar.description, bar.completed, bar.total, bar.fields["message"]) == ("ppo", 3, 12, "score 0.5")
        listener.stage_finished("ppo", 2.0)
        assert bar.finished
    text = out.getvalue()
    assert "complete with the same inputs: skipped" in text and "12/12" in text and "left" in text


def test_bars_say_that_a_pause_waits_for_the_step() -> None:
    with _Bars(Console(file=io.StringIO(), force_terminal=True)) as listener:
        listener.stage_started("ppo")
        listener.progress("ppo", 3, 12, "score 0.5")
        listener.stage_pausing("ppo")
        (bar,) = listener.bars.tasks
        assert (bar.completed, bar.fields["message"]) == (3, "pausing after this step; once more stops at once")


def test_a_log_says_it_past_every_buffer(capfd: pytest.CaptureFixture[str]) -> None:
    """The signal may have come within a write to the same stream."""
    with _Lines(Console(file=io.StringIO())) as listener:
        listener.stage_pausing("ppo")
    assert capfd.readouterr().err == "ppo: pausing after this step; once more stops at once\n"


def test_a_stage_that_never_reported_still_ends_as_done() -> None:
    with _Bars(Console(file=io.StringIO(), force_terminal=True)) as listener:
        listener.stage_started("evaluate")
        listener.stage_finished("evaluate", 0.1)
        assert listener.bars.tasks[0].finished


def test_a_comparison_with_best_of_n_says_how_far_that_can_have_moved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {
        "baseline": "best-of-8", "contender": "tuned", "scorer": "text", "measure": "words", "category": "", "n": 4,
        "mean_baseline": 3.0, "mean_contender": 4.0, "difference": 1.0, "low": 0.5, "high": 1.5, "unit": "words",
    }  # fmt: skip
    rows = [row, row | {"baseline": "base"}]
    content = {"rows": rows, "best_of": best_of_summary(["base", "best-of-8", "tuned"])}
    write_json(tmp_path / "evaluation" / "comparisons.json", content)
    print_comparisons(RunReader(tmp_path), "best-of-8", "tuned")
    said = " ".join(capsys.readouterr().out.split())
    assert "best-of-8: at most 1.20 nats per response from sft. KL(best-of-n ‖ its base) ≤ log n − (n − 1)/n" in said
    print_comparisons(RunReader(tmp_path), "base", "tuned")
    assert "best-of-8" not in capsys.readouterr().out
