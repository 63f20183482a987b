"""Playground: a message, or a conversation, to any two contenders; their answers side by side as they are written."""

from __future__ import annotations

from dashboard.components.gate import current_settings
from dashboard.components.look import page_heading
from dashboard.components.play_kept import kept_pairs
from dashboard.components.playground import desk, nobody_to_ask
from dashboard.components.runs import pick_run
from dashboard.components.states import guarded
from dashboard.services.playground import contenders


def show() -> None:
    """Draw the page."""
    settings = current_settings()
    if (entry := pick_run(settings)) is None:
        return
    page_heading("Playground", "One prompt, two contenders: what does each write?")
    with guarded("The playground"):
        everyone = contenders(settings, entry)
        if sum(not one.lacks for one in everyone) < 2:
            nobody_to_ask(entry, everyone)
        else:
            desk(settings, entry, everyone)
    with guarded("What was kept"):
        kept_pairs(settings, entry)
