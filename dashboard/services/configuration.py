"""What differs between the configurations of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from dashboard.services.catalogue import RunEntry

SETTING, UNSET = "Setting", "–"
OF_ONE_RUN = ("seed", "name", "run_root")
"""Settings that repetitions of a run with other seeds do not share."""


def differences(entries: Sequence[RunEntry]) -> pd.DataFrame:
    """Return one row per setting that is not the same in all runs, one column per run; a run without it shows a dash."""
    each = {entry.label: _flat(entry.reader.config()) for entry in entries}
    names = dict.fromkeys(name for settings in each.values() for name in settings)
    rows = [{SETTING: name} | {run: settings.get(name, UNSET) for run, settings in each.items()} for name in names]
    differing = [row for row in rows if len({row[run] for run in each}) > 1]
    return pd.DataFrame(differing, columns=[SETTING, *each])


def _flat(settings: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """`{ppo: {optim: {lr: 1}}}` as `{"ppo.optim.lr": "1"}`; a list is one setting."""
    found: dict[str, str] = {}
    for name, value in settings.items():
        inner = (
            _flat(value, f"{above}{name}.") if isinstance(value, Mapping) and value else {f"{above}{name}": str(value)}
        )
        found.update(inner)
    return found


def seed_groups(entries: Sequence[RunEntry]) -> list[list[int]]:
    """Return the places of the runs, those together whose configurations differ in their seed alone, in order of the first."""
    groups: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for place, entry in enumerate(entries):
        settings = _flat(entry.reader.config())
        same = tuple(sorted((name, value) for name, value in settings.items() if name not in OF_ONE_RUN))
        groups.setdefault(same or (("run", entry.label),), []).append(place)
    return list(groups.values())
