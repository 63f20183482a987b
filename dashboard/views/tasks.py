"""Tasks: what people are asked to judge, how far they are; one task from opening to export; a new one."""

from __future__ import annotations

from dashboard.components.gate import current_settings
from dashboard.components.states import guarded
from dashboard.components.task_form import new_task
from dashboard.components.task_list import NEW, asked_task, task_list
from dashboard.components.task_page import task_page


def show() -> None:
    """Draw the page."""
    settings = current_settings()
    with guarded("This"):
        asked = asked_task()
        if asked == NEW:
            new_task(settings)
        elif asked:
            task_page(settings, asked)
        else:
            task_list(settings)
