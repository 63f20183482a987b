"""The conversation on the page: named in its address, kept with the run. Owns `talk` in the address and `play-talks`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st

from dashboard.services import playground
from dashboard.services.catalogue import RunEntry
from dashboard.services.settings import Settings
from dashboard.services.talks import MOST, Talk
from dashboard.services.wording import plain
from rlhf_core.errors import RlhfError

TALK, HELD = "talk", "play-talks"
FORGOTTEN = f"The conversation of this address is not kept here any more: of each run the last {MOST} are."


@dataclass(frozen=True)
class Held:
    """What this session shows of a run: a conversation, the name that it is kept under, and why it is not kept."""

    name: str = ""
    talk: Talk = field(default_factory=Talk)
    problem: str = ""


def current_talk(settings: Settings, entry: RunEntry) -> Talk:
    """Return the conversation that the address names, or else what this session held of the run last, as it stands now."""
    held = _all_held().get(entry.path, Held())
    named = st.query_params.get(TALK, held.name)
    if named != held.name:
        held = _all_held()[entry.path] = _fetch(settings, entry, named)
    talk = playground.as_it_stands(held.talk)
    if talk != held.talk:
        held = hold(settings, entry, talk, held.name)
    _name_it(held)
    return talk


def hold(settings: Settings, entry: RunEntry, talk: Talk, name: str = "") -> Held:
    """Show a conversation from now on and keep it, under a name of its own where none is given."""
    name, problem = name or playground.new_name(), ""
    try:
        playground.keep_talk(settings, entry, name, talk)
    except RlhfError as error:
        problem = str(error)
    held = _all_held()[entry.path] = Held(name, talk, problem)
    _name_it(held)
    return held


def forget(entry: RunEntry) -> None:
    """Begin anew; what was kept stays, for links that were sent."""
    _all_held()[entry.path] = Held()
    st.query_params.pop(TALK, None)


def say_if_kept(entry: RunEntry) -> None:
    """Say that the address brings the conversation back, or why it does not; nothing before the first answer."""
    held = _all_held().get(entry.path, Held())
    if held.problem:
        st.warning(plain(f"A reload forgets this conversation. {held.problem}"), icon=":material/warning:")
    elif held.name:
        st.caption("Kept with the run: this page’s address brings it back, messages and answers.")


def _fetch(settings: Settings, entry: RunEntry, name: str) -> Held:
    """Read what an address names; where that is nothing, say so, but for what was shown of another run a moment ago."""
    try:
        if found := playground.find_talk(settings, entry, name):
            return Held(name, found)
        said = "" if name in {held.name for held in _all_held().values()} else FORGOTTEN
    except RlhfError as error:
        said = str(error)
    if said:
        st.warning(plain(said), icon=":material/history:")
    return Held()


def _name_it(held: Held) -> None:
    """Have the address name what can be found by it."""
    name = "" if held.problem else held.name
    if name and st.query_params.get(TALK) != name:
        st.query_params[TALK] = name
    elif not name:
        st.query_params.pop(TALK, None)


def _all_held() -> dict[Path, Held]:
    return st.session_state.setdefault(HELD, {})
