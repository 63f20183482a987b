"""Where the real data of development lies, for tests that skip without it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
REAL_DATA = Path(os.environ.get("RLHF_REAL_DATA") or ROOT.parent / "shared" / "data")


def needs(name: str) -> pytest.MarkDecorator:
    """Skip where this part of the real data is absent."""
    reason = f"no {REAL_DATA / name}: set RLHF_REAL_DATA to the folder that holds {name.split('/')[0]}/"
    return pytest.mark.skipif(not (REAL_DATA / name).exists(), reason=reason)
