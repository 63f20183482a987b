"""Where the dashboard finds runs, the recorded run, votes and labelling instructions; whom it serves."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dashboard.services.access import AT_THE_KEYBOARD, NOBODY, Visitor

SAMPLE_DATA = Path(__file__).resolve().parents[2] / "sample_data"


@dataclass(frozen=True)
class Settings:
    """The places a dashboard works on, and who looks. `votes` is a database path or URL.

    `team_url` is the address people open in team mode; None in local mode.
    """

    run_root: Path
    recorded_run: Path
    votes: str
    instructions: Path
    team_url: str | None = None
    visitor: Visitor = NOBODY


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings that RLHF_RUN_ROOT, RLHF_RECORDED_RUN, RLHF_VOTES, RLHF_INSTRUCTIONS and RLHF_TEAM_URL ask for.

    In team mode nobody looks yet: who does, and what they may, is for the page's gate to find out.
    """
    team_url = environment.get("RLHF_TEAM_URL")
    run_root = Path(environment.get("RLHF_RUN_ROOT", "runs"))
    return Settings(
        run_root,
        Path(environment.get("RLHF_RECORDED_RUN", SAMPLE_DATA / "recorded_run")),
        environment.get("RLHF_VOTES", str(run_root / "votes.db")),
        Path(environment.get("RLHF_INSTRUCTIONS", SAMPLE_DATA / "labelling_instructions.md")),
        team_url,
        NOBODY if team_url else AT_THE_KEYBOARD,
    )
