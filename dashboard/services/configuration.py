"""What differs between the configurations of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from dashboard.services.catalogue import RunEntry

SETTING, UNSET = "Setting", "–"


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
