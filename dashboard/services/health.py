"""What stands out in a stage of a run, looked for again only once its metrics or its configuration have changed."""

from __future__ import annotations

from functools import lru_cache

from dashboard.services.catalogue import RunEntry
from rlhf_core.report.health import Finding, examine


def findings(entry: RunEntry, stage: str) -> tuple[Finding, ...] | None:
    """Return what is out of order in a stage's metrics, the gravest first; None before the first of them."""
    revision = entry.reader.metrics_revision(stage)
    config = entry.path / "config.yaml"
    changed = config.stat().st_mtime_ns if config.is_file() else 0
    return _findings(entry, stage, revision, changed)


@lru_cache(maxsize=256)
def _findings(entry: RunEntry, stage: str, revision: int, config_changed: int) -> tuple[Finding, ...] | None:
    metrics = entry.reader.metrics(stage)
    return None if metrics.empty else tuple(examine(stage, metrics, entry.reader.config()))
