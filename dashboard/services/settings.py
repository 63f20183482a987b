"""Where the dashboard finds runs, the recorded run, votes and labelling instructions."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SAMPLE_DATA = Path(__file__).resolve().parents[2] / "sample_data"


@dataclass(frozen=True)
class Settings:
    """The places a dashboard works on. `votes` is a database path or URL."""

    run_root: Path
    recorded_run: Path
    votes: str
    instructions: Path


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings that RLHF_RUN_ROOT, RLHF_RECORDED_RUN, RLHF_VOTES and RLHF_INSTRUCTIONS ask for."""
    run_root = Path(environment.get("RLHF_RUN_ROOT", "runs"))
    return Settings(
        run_root,
        Path(environment.get("RLHF_RECORDED_RUN", SAMPLE_DATA / "recorded_run")),
        environment.get("RLHF_VOTES", str(run_root / "votes.db")),
        Path(environment.get("RLHF_INSTRUCTIONS", SAMPLE_DATA / "labelling_instructions.md")),
    )
