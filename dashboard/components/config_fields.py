"""One widget for each setting of a run's configuration, chosen by its type. Owns the keys `launch-<start>-<place>`.

What a person has changed is kept beside the widgets, for those in closed sections are not drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from dashboard.services.config_form import (
    CHOICE,
    CHOICES,
    NUMBER,
    SECTION,
    SWITCH,
    TEXT,
    WHOLE,
    YAML,
    FormField,
    is_in_force,
)
from dashboard.services.field_words import label_of
from dashboard.services.wording import plain

CHANGED = "launch-changed"
WIDE = (YAML,)


@dataclass
class ConfigFields:
    """The widgets of a form on one starting configuration; `first` holds its values before anybody changed any."""

    start: str
    first: Mapping[str, Any]
    problems: Mapping[str, str]

    @property
    def values(self) -> dict[str, Any]:
        """The values as they stand."""
        return {**self.first, **self._changed()}

    def show(self, fields: Sequence[FormField], columns: int = 3, *, long: bool = False) -> None:
        """Draw the fields whose sections are on, in columns; `long` names the section too."""
        shown = [field for field in fields if is_in_force(field, self.values)]
        narrow = [field for field in shown if field.kind not in WIDE]
        for start in range(0, len(narrow), columns):  # row by row, so that a phone shows them in order
            for place, field in zip(st.columns(columns, gap="medium"), narrow[start : start + columns], strict=False):
                with place:
                    self._one(field, long)
        for field in shown:
            if field.kind in WIDE:
                self._one(field, long)

    def forget(self) -> None:
        """Go back to the starting configuration."""
        st.session_state.pop(CHANGED, None)
        for key in [str(key) for key in st.session_state if str(key).startswith("launch-set-")]:
            del st.session_state[key]

    def _one(self, field: FormField, long: bool) -> None:
        key = f"launch-set-{self.start}-{field.place}"
        if key not in st.session_state:
            st.session_state[key] = self.values[field.place]
        value = _widget(field, key, label_of(field, long))
        changed = self._changed()
        if value == self.first[field.place]:
            changed.pop(field.place, None)
        else:
            changed[field.place] = value
        if problem := self.problems.get(field.place):
            st.markdown(f":red[:material/error: {plain(problem)}]")

    def _changed(self) -> dict[str, Any]:
        """What was changed from this start, by place; kept while the session lasts."""
        return st.session_state.setdefault(CHANGED, {}).setdefault(self.start, {})


def _widget(field: FormField, key: str, label: str) -> Any:
    common: dict[str, Any] = {"key": key, "help": _help(field), "persist_state": "session"}
    if field.kind in (SWITCH, SECTION):
        return st.toggle(label, **common)
    if field.kind == WHOLE:
        low, high = (None if end is None else int(end) for end in (field.low, field.high))
        return st.number_input(label, low, high, **_value(field), step=1, placeholder="none", **common)
    if field.kind == NUMBER:
        low, high = (None if end is None else float(end) for end in (field.low, field.high))
        step = _step(st.session_state[key])
        return st.number_input(label, low, high, **_value(field), step=step, format="%g", placeholder="none", **common)
    if field.kind == CHOICE:
        options = [None, *field.options] if field.optional else field.options
        return st.selectbox(label, options, format_func=lambda one: "none" if one is None else str(one), **common)
    if field.kind == CHOICES:
        chosen = st.multiselect(label, field.options, **common)
        return [option for option in field.options if option in chosen]
    if field.kind == TEXT:
        return st.text_input(label, placeholder="none" if field.optional else None, **common)
    return st.text_area(label, height="content", **common)


def _value(field: FormField) -> dict[str, Any]:
    """A number that may be missing has no default; others have one, which the session's state replaces."""
    return {"value": None} if field.optional else {"value": "min"}


def _step(value: float | None) -> float:
    """A tenth of the value's order of magnitude: 0.0001 for 0.001."""
    return 10.0 ** (math.floor(math.log10(abs(value))) - 1) if value else 0.1


def _help(field: FormField) -> str:
    """The dotted key, what it is and its bounds; null is a field left empty, or a section switched off."""
    off = "off: " if field.kind == SECTION else "left empty: "
    about = field.help.replace("null: ", off).replace("null ", off)
    ends = [f"{word} {end:g}" for word, end in (("from", field.low), ("to", field.high)) if end is not None]
    bounds = f" ({' '.join(ends)})" if ends else ""
    return f"`{field.place}`: {plain(about)}{bounds}"
