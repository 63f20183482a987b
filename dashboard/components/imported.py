"""What a page says of a run of which curves alone were imported: that there is nothing to show here, and what to do instead."""

from __future__ import annotations

from dashboard.components.states import empty_state
from dashboard.services.catalogue import RunEntry, imported_from

WHY = (
    "This run was trained elsewhere: its curves are here, its answers are not, so there is nothing to {what}. Where you have "
    "its model, let it answer the prompts of a run that was trained here, beside that run’s own contenders:"
)
COMMAND = "rlhf contender add runs/quickstart theirs --model FOLDER"


def empty_place(entry: RunEntry, what: str, title: str, text: str, command: str | None = None) -> None:
    """Say what this place will show and the command that gets there; of an imported run, that there is nothing to `what`."""
    if imported_from(entry):
        curves_alone(what)
    else:
        empty_state(title, text, command)


def curves_alone(what: str) -> None:
    """Say that there is nothing to `what`, and how the model of such a run is compared with others."""
    empty_state("Only curves were imported", WHY.format(what=what), COMMAND)
