"""People: who may come in and as what; links made, and ended. For owners, in team mode."""

from __future__ import annotations

from dashboard.components.gate import current_settings
from dashboard.components.invitations import invite_form, people_table, record_of_access, revoke_form
from dashboard.components.look import page_heading
from dashboard.components.states import guarded


def show() -> None:
    """Draw the page."""
    settings = current_settings()
    page_heading("People", "Who may come in, and as what.")
    with guarded("The people"):
        invite_form(settings)
        people_table(settings)
        revoke_form(settings)
        record_of_access(settings)
