"""One widget for each setting of `TaskConfig`: its name is the label, its description the help. Owns keys `task-form-…`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import streamlit as st
from annotated_types import Ge
from streamlit.delta_generator import DeltaGenerator

from dashboard.services.wording import plain
from rlhf_core.config.task import TaskConfig

FIELDS = TaskConfig.model_fields


@dataclass
class Fields:
    """The widgets of a form, each with a place below it for what is wrong with its setting."""

    places: dict[str, DeltaGenerator] = field(default_factory=dict)

    def number(self, name: str, empty: str = "") -> int | None:
        """Ask for a whole number; `empty` says what none means, where none is allowed."""
        least: Any = next(rule.ge for rule in FIELDS[name].metadata + _inner(name) if isinstance(rule, Ge))
        value = st.number_input(
            _label(name), min_value=least, value=FIELDS[name].default, step=1, placeholder=empty, **_common(name)
        )
        return self._asked(name, value)

    def text(self, name: str) -> str:
        """Ask for a line of text."""
        written: str | None = st.text_input(_label(name), **_common(name))
        return self._asked(name, (written or "").strip())

    def one_of(self, name: str, words: Mapping[str, str]) -> str:
        """Ask for one of the values that the setting knows, called by `words`."""
        options = get_args(FIELDS[name].annotation)
        chosen = st.segmented_control(
            _label(name),
            options,
            default=FIELDS[name].default,
            required=True,
            format_func=words.__getitem__,
            **_common(name),
        )
        return self._asked(name, chosen)

    def some_of(self, name: str, options: Sequence[str], empty: str = "", *, own: bool = True) -> list[str]:
        """Ask for some of the options, and others where `own` ones are allowed."""
        usual = FIELDS[name].default
        first = [one for one in options if isinstance(usual, tuple) and one in usual]
        chosen = st.multiselect(
            _label(name), options, default=first, accept_new_options=own, placeholder=empty, **_common(name)
        )
        return self._asked(name, chosen)

    def files(self, name: str, label: str, *, several: bool) -> list[tuple[str, bytes]]:
        """Ask for JSONL files from the person's own machine: name and content of each."""
        given = st.file_uploader(
            label, type=["jsonl", "gz"], accept_multiple_files=several, key=f"task-form-{name}-files", help=_help(name)
        )
        files = given if isinstance(given, list) else [given] if given else []
        return self._asked(name, [(file.name, file.getvalue()) for file in files])

    def show_problems(self, problems: Mapping[str, str]) -> None:
        """Say below each widget what is wrong with its setting."""
        for name, problem in problems.items():
            self.places[name].markdown(f":red[:material/error: {plain(problem)}]")

    def _asked(self, name: str, value: Any) -> Any:
        self.places[name] = st.empty()
        return value


def _common(name: str) -> dict[str, Any]:
    return {"key": f"task-form-{name}", "help": _help(name), "persist_state": "session"}


def _label(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _help(name: str) -> str:
    """The description; what a file calls null is a field left empty."""
    text = (FIELDS[name].description or "").replace("null ", "left empty ")
    return text[:1].upper() + text[1:]


def _inner(name: str) -> list[Any]:
    """The rules of a number that may be missing."""
    return [rule for part in get_args(FIELDS[name].annotation) for rule in getattr(part, "__metadata__", ())]
