"""The least that a configuration says, and what is said of one that is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlhf_core.config import load_config
from rlhf_core.errors import ConfigError

MINIMAL = "name: x\ndata: {prompts: p.jsonl, demonstrations: d.jsonl, rankings: r.jsonl}\n"


def message(path: Path, *overrides: str) -> str:
    """Return why a configuration is refused."""
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    return str(caught.value)
