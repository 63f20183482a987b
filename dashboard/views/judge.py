"""Judge: instructions first, then one item after another, blind."""

from __future__ import annotations

from dashboard.components.gate import current_settings
from dashboard.components.judging import instructions_screen, item_screen, judging
from dashboard.components.states import guarded
from dashboard.components.tasks import pick_task
from dashboard.services.voting import open_store


def show() -> None:
    """Draw the page."""
    settings = current_settings()
    with guarded("Judging"):
        if (task := pick_task(settings)) is None:
            return
        if judging(task.id):
            item_screen(open_store(settings.votes), task.id)
        else:
            instructions_screen(task)
