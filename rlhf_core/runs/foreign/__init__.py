"""Training curves that other tools wrote, one file for each format: found, checked whole, and read in full resolution."""

from __future__ import annotations

from rlhf_core.runs.foreign.formats import FORMATS, CurveFormat, find_format, read_curves
from rlhf_core.runs.foreign.series import Series

__all__ = ["FORMATS", "CurveFormat", "Series", "find_format", "read_curves"]
