"""The buttons of a verdict: on a pair, once for each criterion, or on a ranking, built best first. Owns keys `judge-…`.

Every button holds the token of the item it stands under, in its key and in its callback: a second press, queued while the
next item is on its way, still speaks of the item that was seen and cannot vote on one that was not.
"""

from __future__ import annotations

import time
from string import ascii_lowercase
from typing import TypeVar

import streamlit as st

from dashboard.services.wording import plain
from rlhf_core.errors import VoteError
from rlhf_core.feedback.records import Assignment
from rlhf_core.feedback.store import VoteStore

D = TypeVar("D")
VERDICTS = (("a", "A", "1"), ("tie", "Tie", "0"), ("both_bad", "Both bad", "9"), ("b", "B", "2"))
PAIR_KEYS = "**1** A is better, **2** B is better, **0** tie, **9** both bad"
RANKING_KEYS = (
    "**1** to **9** the next best of A, B, C …, **0** ties it with what follows, **Z** takes one off, **Enter** done"
)


def pair_ballot(store: VoteStore, item: Assignment | None) -> None:
    """Show the four verdicts on a pair; with several criteria they ask for one after the other."""
    token = item.token if item else "done"
    if item and len(item.criteria) > 1:
        number = len(_draft(token, dict))
        st.caption(f"Which is better: **{plain(item.criteria[number])}**? ({number + 1} of {len(item.criteria)})")
    with st.container(horizontal=True, gap="xsmall"):
        for verdict, label, key in VERDICTS:
            st.button(
                label, key=f"judge-{verdict}-{token}", shortcut=key, width="stretch", disabled=item is None,
                on_click=_say, args=(store, item, verdict),
            )  # fmt: skip


def ranking_ballot(store: VoteStore, item: Assignment) -> None:
    """Show a button for each completion that has no place yet; pressed best first, with ties by `=`."""
    draft = _draft(item.token, list)
    letters, groups = ascii_lowercase[: len(item.texts)], "".join(draft)
    if len(item.criteria) > 1:
        number = len(_draft(f"{item.token}-said", dict))
        st.caption(f"Rank by: **{plain(item.criteria[number])}** ({number + 1} of {len(item.criteria)})")
    st.markdown(f"**{_spoken(groups)}**" if groups else "Choose the best first.", width="stretch")
    with st.container(horizontal=True, gap="xsmall"):
        for n, letter in enumerate(letters, 1):
            st.button(
                letter.upper(), key=f"judge-place-{letter}-{item.token}", shortcut=str(n), width="stretch",
                disabled=letter in groups, on_click=_place, args=(item.token, letter),
            )  # fmt: skip
        open_end = not groups or groups.endswith("=") or all(letter in groups for letter in letters)
        for label, name, key, change, disabled in (
            ("Tie with next", "equal", "0", _equal, open_end),
            ("Take one off", "back", "Z", _back, not groups),
        ):
            st.button(
                label,
                key=f"judge-{name}-{item.token}",
                shortcut=key,
                disabled=disabled,
                on_click=change,
                args=(item.token,),
            )
        done = all(letter in groups for letter in letters)
        st.button(
            "Done", key=f"judge-rank-{item.token}", shortcut="Enter", disabled=not done,
            on_click=_rank, args=(store, item),
        )  # fmt: skip


def spoken_draft(item: Assignment) -> str:
    """Return what has been said of an item that is not a vote yet, and what is asked next; empty before the first word."""
    said = _draft(f"{item.token}-said" if item.form == "ranking" else item.token, dict)
    groups = "".join(_draft(item.token, list)) if item.form == "ranking" else ""
    asked = f"{len(said) + 1} of {len(item.criteria)}: {item.criteria[len(said)]}" if said else ""
    return ". ".join(filter(None, (asked, _spoken(groups))))


def begin_reading(item: Assignment) -> None:
    """Note when an item came on the screen."""
    st.session_state.setdefault("judge-shown", {}).setdefault(item.token, time.monotonic())


def cast(store: VoteStore, token: str, verdict: str | dict[str, str]) -> None:
    """Record a verdict; a refusal is shown on the next page, and the item can be judged anew."""
    shown = st.session_state.get("judge-shown", {}).pop(token, None)
    reason = st.session_state.get(f"judge-reason-{token}", "").strip()
    strength: int | None = st.session_state.get(f"judge-strength-{token}")
    rated = dict.fromkeys(verdict, strength) if strength and isinstance(verdict, dict) else {}
    try:
        seconds = time.monotonic() - shown if shown else 0.0
        store.vote(token, verdict, reading_seconds=seconds, reason=reason, strength=rated)
    except VoteError as error:
        st.session_state["judge-message"] = str(error)
        _draft(token, dict).clear()
        _draft(f"{token}-said", dict).clear()


def take_back(item: Assignment) -> bool:
    """Take back what was said of an item that is not a vote yet; False when nothing was."""
    if groups := _draft(item.token, list) if item.form == "ranking" else None:
        groups.pop()
        return True
    said = _draft(f"{item.token}-said" if item.form == "ranking" else item.token, dict)
    if said:
        said.popitem()
        return True
    return False


def _say(store: VoteStore, item: Assignment, verdict: str) -> None:
    said = _draft(item.token, dict)
    if len(said) == len(item.criteria):
        return  # pressed again while the next item was on its way
    said[item.criteria[len(said)]] = verdict
    if len(said) == len(item.criteria):
        cast(store, item.token, said)


def _rank(store: VoteStore, item: Assignment) -> None:
    said = _draft(f"{item.token}-said", dict)
    if len(said) == len(item.criteria):
        return
    said[item.criteria[len(said)]] = "".join(_draft(item.token, list))
    _draft(item.token, list).clear()
    if len(said) == len(item.criteria):
        cast(store, item.token, said)


def _place(token: str, letter: str) -> None:
    draft = _draft(token, list)
    if letter not in "".join(draft):
        draft.append(letter if not draft or draft[-1] == "=" else f">{letter}")


def _equal(token: str) -> None:
    _draft(token, list).append("=")


def _back(token: str) -> None:
    if draft := _draft(token, list):
        draft.pop()


def _draft(token: str, kind: type[D]) -> D:
    """What has been said of an item so far, before it is a vote."""
    return st.session_state.setdefault("judge-drafts", {}).setdefault(token, kind())


def _spoken(groups: str) -> str:
    return groups.upper().replace(">", " › ").replace("=", " = ").strip()
