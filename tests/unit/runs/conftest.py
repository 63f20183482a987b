"""A run of the tiny model that nobody writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlhf_core.config import load_config
from rlhf_core.runs.directory import RunDirectory

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run with a configuration, written by nobody."""
    directory = RunDirectory(tmp_path / "tiny")
    directory.create(load_config(ROOT / "configs" / "tiny.yaml", [f"run_root={tmp_path}"]).to_yaml(), seed=0)
    return directory
