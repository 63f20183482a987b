"""What a practised eye would notice in a run's metrics: what is out of order, the figures that show it, what people do then.

Each rule looks at one thing and returns a finding or nothing. A level has to last for some logged values, so that one odd
batch is no finding; drift, collapse and numbers that are none count at once. Thresholds are those of the registry's healthy
ranges and of the run's own guards, or stand beside their rule.
"""

from __future__ import annotations

import pandas as pd

from rlhf_core.report.health import learning, ppo
from rlhf_core.report.health.finding import Config, Finding, Rule

__all__ = ["Finding", "examine", "looked_at"]

RULES: dict[str, dict[str, Rule]] = {
    "pretrain": learning.RULES,
    "sft": learning.RULES,
    "reward": learning.RULES | learning.REWARD_RULES,
    "ppo": ppo.RULES,
    "other": {},
}


def examine(stage: str, metrics: pd.DataFrame, config: Config) -> list[Finding]:
    """Return what is out of order in a stage's metrics, the gravest first.

    Args:
        stage: pretrain, sft, reward, ppo, or other, of which nothing is known.
        metrics: as `RunReader.metrics` returns them.
        config: the run's configuration as plain data, as `RunReader.config` returns it; what it lacks has no threshold.
    """
    found = (rule(metrics, config) for rule in RULES[stage].values())
    return [finding for finding in found if finding]


def looked_at(stage: str) -> list[str]:
    """Return the names of what is looked at in a stage."""
    return list(RULES[stage])
