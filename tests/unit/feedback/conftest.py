"""A vote store in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rlhf_core.feedback.store import VoteStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[VoteStore]:
    with closing(VoteStore(tmp_path / "votes.db")) as opened:
        yield opened
