"""No page reads a file of a run twice that has not changed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dashboard.navigation import VIEWS
from tests.dashboard.conftest import Studio

PAGES = [title for _, title, _, _ in VIEWS if title not in ("Judge", "People")]  # these two show votes, of the database
opened: list[str] = []
watched: list[str] = []


def _notice(event: str, given: tuple[Any, ...]) -> None:
    if watched and event == "open" and isinstance(given[0], str | os.PathLike):
        name = os.fspath(given[0])
        if name.startswith(watched[0]):
            opened.append(name.removeprefix(watched[0]))


sys.addaudithook(_notice)


@contextmanager
def watch(studio: Studio) -> Iterator[list[str]]:
    """The files under the run root that are opened within the block."""
    opened.clear()
    watched.append(str(studio.runs))
    yield opened
    watched.clear()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_drawn_again_opens_no_file_of_a_run(studio: Studio, page: str) -> None:
    studio.add_run(refusals=True)
    app = studio.open(page)
    with watch(studio) as found:
        app.run()
    assert not app.exception and not app.error
    assert not [
        name for name in found if not name.endswith("notes.md")
    ]  # a few lines that people write in their editor


def test_a_file_that_has_changed_is_read_once(studio: Studio) -> None:
    run = studio.add_run()
    app = studio.open("Overview")
    status = run / "status.json"
    status.write_text(json.dumps(json.loads(status.read_text()) | {"message": "changed"}))
    with watch(studio) as found:
        app.run()
    assert found == ["/demo/status.json"]
