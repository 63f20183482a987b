"""Where the rows of a run go while it trains, besides its own files: one small interface, one file for each tracker."""

from __future__ import annotations

from rlhf_core.runs.sinks.feed import Feed
from rlhf_core.runs.sinks.trackers import OPENERS, Trackers

__all__ = ["OPENERS", "Feed", "Trackers"]
