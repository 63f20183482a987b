"""The playground: a prompt for two contenders, their answers as they are written, and the key that keeps the pair.

Owns the keys `play-…`, and those that stand in the page's address: `prompt`, `left`, `right`, `temperature`, `top-p`, `seed`
and `tokens`.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.components.announcer import announce
from dashboard.components.play_answers import answers
from dashboard.components.states import empty_state
from dashboard.services import playground
from dashboard.services.catalogue import RunEntry
from dashboard.services.exchange import COMPLETE, FAILED, STOPPED
from dashboard.services.player import Ticket
from dashboard.services.playground import Drawing, usual_drawing
from dashboard.services.settings import Settings
from dashboard.services.wording import listed, plain
from rlhf_core.data.contenders import sides
from rlhf_core.errors import RlhfError
from rlhf_core.playground.contenders import Contender
from rlhf_core.playground.protocol import LARGEST_SEED, MOST_TOKENS

LONGEST_PROMPT = 4000
"""Characters: the prompt stands in the address, and servers take no endless ones."""
REFRESH_SECONDS = 0.3
TICKET = "play-ticket"
ASKED = ("prompt", "left", "right", "temperature", "top-p", "seed", "tokens")
TEMPERATURE = "0 takes the likeliest token every time"
TOP_P = "Draws from the likeliest tokens that hold this share of the probability; 1 from all"
SEED = "The same seed and settings give the same answers, here and in rlhf generate --prompt"
TOKENS = "An answer that has not ended by then is cut off"
SPOKEN = {
    COMPLETE: "Both answers are written.",
    STOPPED: "Stopped.",
    FAILED: "No answer came.",
}


def nobody_to_ask(entry: RunEntry, everyone: list[Contender]) -> None:
    """Say why two contenders cannot be asked, and what would help."""
    there = [one.name for one in everyone if not one.lacks]
    if entry.recorded:
        text = "The recorded run brings its answers along but no models. Train one of your own, then ask it here."
        return empty_state("A recording cannot answer", text, "rlhf pipeline configs/quickstart.yaml --fetch")
    if not everyone:
        text = "This run trains no contenders: a pipeline does."
        return empty_state("Nobody to ask", text, "rlhf pipeline configs/quickstart.yaml")
    now = f"There is only {plain(listed(there))} so far. " if there else ""
    text = f"{now}Contenders can be asked as soon as their stage has left a model: {_missing_words(everyone)}."
    stages = dict.fromkeys(stage for one in everyone for stage in one.lacks)
    return empty_state("Two contenders are needed", text, "\n".join(f"rlhf {stage} CONFIG.yaml" for stage in stages))


def desk(settings: Settings, entry: RunEntry, everyone: list[Contender]) -> None:
    """Show the prompt and its settings, the buttons, and the answers to what was asked last."""
    ticket = _ticket(entry)
    busy = ticket is not None and ticket.exchange.active
    _question(busy)
    _settings([one.name for one in everyone if not one.lacks], usual_drawing(entry), busy)
    if lacking := [one for one in everyone if one.lacks]:
        st.caption(f"Not there yet: {_missing_words(lacking)}.")
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.button(
            "Answer", key="play-answer", icon=":material/play_arrow:", shortcut="Ctrl+Enter", disabled=busy,
            on_click=_ask, args=(settings, entry),
        )  # fmt: skip
        st.button(
            "Stop", key="play-stop", icon=":material/stop:", shortcut="Esc", disabled=not busy,
            on_click=_stop, args=(settings, entry),
        )  # fmt: skip
        st.button(
            "Keep the pair", key="play-keep", icon=":material/bookmark_add:", shortcut="K",
            disabled=ticket is None or busy, on_click=_keep, args=(settings, entry),
        )  # fmt: skip
        said = _message()
    if ticket is None:
        text = "Both contenders draw the same random numbers. The first answer takes a while: the models are loaded for it."
        empty_state("Answers appear here, side by side", text)
    elif busy:
        _watch(ticket)
    else:
        if problem := ticket.exchange.problem:
            st.error(plain(problem), icon=":material/error:")
        answers(ticket.exchange)
    announce(said or (SPOKEN.get(ticket.exchange.state, "The answers are being written.") if ticket else ""))


def _question(busy: bool) -> None:
    st.text_area(
        "Prompt", key="prompt", bind="query-params", max_chars=LONGEST_PROMPT, height=100, disabled=busy,
        placeholder="How do I get red wine out of a carpet?",
    )  # fmt: skip


def _settings(names: list[str], usual: Drawing, busy: bool) -> None:
    """Who answers and how both draw, in one row that wraps."""
    with st.container(horizontal=True, gap="small"):
        for label, name in zip(("Left", "Right"), sides(names), strict=True):
            st.selectbox(
                label, names, index=names.index(name), key=label.lower(), bind="query-params", disabled=busy, width=160
            )
        _number("Temperature", "temperature", (0.0, 5.0, usual.temperature, 0.1), TEMPERATURE, busy)
        _number("Top p", "top-p", (0.05, 1.0, usual.top_p, 0.05), TOP_P, busy)
        _number("Seed", "seed", (0, LARGEST_SEED, usual.seed, 1), SEED, busy)
        _number("Most tokens", "tokens", (1, MOST_TOKENS, usual.max_new_tokens, 1), TOKENS, busy)


def _number(label: str, key: str, range_: tuple[float, float, float, float], about: str, busy: bool) -> None:
    """A number with its least, most, usual value and step; it stands in the address where it is not the usual one."""
    least, most, usual, step = range_
    st.number_input(label, least, most, usual, step, key=key, bind="query-params", disabled=busy, help=about, width=130)


def _watch(ticket: Ticket) -> None:
    """Draw the answers again and again while they are written, then let the whole page know."""

    @st.fragment(run_every=REFRESH_SECONDS)
    def refreshed() -> None:
        if not ticket.exchange.active:
            st.rerun()
        answers(ticket.exchange)

    refreshed()


def _message() -> str:
    """Show what the last press of a button came to, once, beside the buttons, where nothing below moves; return it."""
    colour, icon, text = st.session_state.pop("play-message", ("", "", ""))
    if text:
        st.markdown(f":{colour}[:material/{icon}: {plain(text)}]", width="stretch")
    return text


def _ticket(entry: RunEntry) -> Ticket | None:
    run, ticket = st.session_state.get(TICKET, (None, None))
    return ticket if run == entry.path else None


def _ask(settings: Settings, entry: RunEntry) -> None:
    """Ask by what the widgets hold now: the press may have come before the page was drawn with it."""
    prompt, left, right, temperature, top_p, seed, tokens = (st.session_state[key] for key in ASKED)
    drawing = Drawing(float(temperature), float(top_p), int(seed), int(tokens))
    try:
        held: tuple[Path, Ticket] = entry.path, playground.ask(settings, entry, prompt or "", (left, right), drawing)
        st.session_state[TICKET] = held
    except RlhfError as error:
        _refuse(str(error))


def _stop(settings: Settings, entry: RunEntry) -> None:
    if (ticket := _ticket(entry)) is not None:
        playground.stop(settings, entry, ticket)


def _keep(settings: Settings, entry: RunEntry) -> None:
    if (ticket := _ticket(entry)) is None:
        return
    try:
        new = playground.keep(settings, entry, ticket.exchange)
    except RlhfError as error:
        _refuse(f"Not kept: {error}")
        return
    said = "Kept as a judging item." if new else "Kept already: the same prompt and answers count once."
    st.session_state["play-message"] = "green", "bookmark_added", said


def _refuse(why: str) -> None:
    st.session_state["play-message"] = "red", "error", why


def _missing_words(everyone: list[Contender]) -> str:
    """`tuned (rlhf ppo), best-of-8 (rlhf reward)`."""
    return plain(", ".join(f"{one.name} (rlhf {' and '.join(one.lacks)})" for one in everyone if one.lacks))
