"""Judge: instructions first, then pairs, blind."""

from __future__ import annotations

from dashboard.components.judging import instructions_screen, judging, pair_screen
from dashboard.components.look import page_heading
from dashboard.components.runs import pick_run
from dashboard.components.states import empty_state, guarded
from dashboard.services.settings import read_settings
from dashboard.services.voting import can_judge, open_store, open_task, read_instructions


def show() -> None:
    """Draw the page."""
    settings = read_settings()
    if (entry := pick_run(settings)) is None:
        return
    if not can_judge(entry):
        page_heading("Judge")
        text = "Pairs of answers appear here once the run has written its completions."
        empty_state("Nothing to judge yet", text, "rlhf generate CONFIG.yaml")
        return
    with guarded("Judging"):
        task_id = open_task(settings, entry)
        if judging():
            pair_screen(open_store(settings.votes), task_id)
        else:
            instructions_screen(read_instructions(settings))
