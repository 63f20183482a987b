"""The playground: a message to two contenders, their answers as they are written, and the key that keeps the pair.

Owns the keys `play-…` of its buttons, and `play-message`.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.components.announcer import announce
from dashboard.components.imported import curves_alone
from dashboard.components.play_answers import answers
from dashboard.components.play_question import SIDES, asked, drawing, empty_the_field, question
from dashboard.components.play_talk import current_talk, forget, hold, say_if_kept
from dashboard.components.states import empty_state
from dashboard.services import playground
from dashboard.services.catalogue import RunEntry, imported_from
from dashboard.services.exchange import COMPLETE, FAILED, STOPPED, Exchange, turn_of
from dashboard.services.playground import usual_drawing
from dashboard.services.settings import Settings
from dashboard.services.talks import Talk
from dashboard.services.wording import listed, plain
from rlhf_core.errors import RlhfError
from rlhf_core.playground.contenders import Contender

REFRESH_SECONDS = 0.3
MESSAGE = "play-message"
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
    if imported_from(entry):
        return curves_alone("ask")
    if not everyone:
        text = "This run trains no contenders: a pipeline does."
        return empty_state("Nobody to ask", text, "rlhf pipeline configs/quickstart.yaml")
    now = f"There is only {plain(listed(there))} so far. " if there else ""
    text = f"{now}Contenders can be asked as soon as their stage has left a model: {_missing_words(everyone)}."
    stages = dict.fromkeys(stage for one in everyone for stage in one.lacks)
    return empty_state("Two contenders are needed", text, "\n".join(f"rlhf {stage} CONFIG.yaml" for stage in stages))


def desk(settings: Settings, entry: RunEntry, everyone: list[Contender]) -> None:
    """Show the conversation, the message and its settings, the buttons, and the answers to what was asked last."""
    talk = current_talk(settings, entry)
    exchange = talk.exchange
    busy = exchange is not None and exchange.active
    question(talk.turns, busy)
    drawing([one.name for one in everyone if not one.lacks], usual_drawing(entry), busy)
    if lacking := [one for one in everyone if one.lacks]:
        st.caption(f"Not there yet: {_missing_words(lacking)}.")
    said = _buttons(settings, entry, talk)
    say_if_kept(entry)
    if exchange is None:
        _nothing_yet(talk)
    elif busy:
        _watch(talk)
    else:
        if problem := exchange.problem:
            st.error(plain(problem), icon=":material/error:")
        columns = answers(exchange)
        if exchange.state == COMPLETE:
            _ways_on(settings, entry, columns)
    announce(said or (SPOKEN.get(exchange.state, "The answers are being written.") if exchange else ""))


def _buttons(settings: Settings, entry: RunEntry, talk: Talk) -> str:
    """Show the buttons and, beside them, what the last press came to; return that."""
    exchange = talk.exchange
    busy = exchange is not None and exchange.active
    for_trying = exchange is not None and bool(exchange.request.system_prompt)
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
            disabled=exchange is None or busy or for_trying, on_click=_keep, args=(settings, entry),
        )  # fmt: skip
        if talk.turns:
            st.button(
                "Start anew", key="play-anew", icon=":material/restart_alt:", disabled=busy, on_click=_anew,
                args=(entry,),
            )  # fmt: skip
        if for_trying:
            st.caption("These answers follow a system prompt, which labellers would not see: the pair cannot be kept.")
        return _message()


def _nothing_yet(talk: Talk) -> None:
    text = "Both contenders draw the same random numbers."
    if not talk.turns:
        text += " The first answer takes a while: the models are loaded for it."
    empty_state("Answers appear here, side by side", text)


def _ways_on(settings: Settings, entry: RunEntry, columns: Sequence[DeltaGenerator]) -> None:
    """A button under each answer that takes it as the conversation's next turn."""
    for side, column in enumerate(columns):
        column.button(
            f"Go on with the {SIDES[side]} answer", key=f"play-go-on-{SIDES[side]}", icon=":material/forum:",
            on_click=_go_on, args=(settings, entry, side),
        )  # fmt: skip


def _watch(talk: Talk) -> None:
    """Draw the answers again and again while they are written, then let the whole page know."""

    @st.fragment(run_every=REFRESH_SECONDS)
    def refreshed() -> None:
        exchange = playground.as_it_stands(talk).exchange
        if exchange is None or not exchange.active:
            st.rerun()
        else:
            answers(exchange)

    refreshed()


def _message() -> str:
    """Show what the last press of a button came to, once, where nothing below moves; return it."""
    colour, icon, text = st.session_state.pop(MESSAGE, ("", "", ""))
    if text:
        st.markdown(f":{colour}[:material/{icon}: {plain(text)}]", width="stretch")
    return text


def _asked_last(settings: Settings, entry: RunEntry) -> Exchange | None:
    return current_talk(settings, entry).exchange


def _ask(settings: Settings, entry: RunEntry) -> None:
    turns = current_talk(settings, entry).turns
    try:
        hold(settings, entry, Talk(turns, playground.ask(settings, entry, *asked(turns))))
    except RlhfError as error:
        _refuse(str(error))


def _stop(settings: Settings, entry: RunEntry) -> None:
    if (exchange := _asked_last(settings, entry)) is not None:
        playground.stop(settings, entry, exchange)


def _keep(settings: Settings, entry: RunEntry) -> None:
    if (exchange := _asked_last(settings, entry)) is None:
        return
    try:
        new = playground.keep(settings, entry, exchange)
    except RlhfError as error:
        _refuse(f"Not kept: {error}")
        return
    _tell(
        "Kept as a judging item." if new else "Kept already: the same prompt and answers count once.", "bookmark_added"
    )


def _go_on(settings: Settings, entry: RunEntry, side: int) -> None:
    talk = current_talk(settings, entry)
    if talk.exchange is None:
        return
    try:
        turn = turn_of(talk.exchange, side)
    except RlhfError as error:
        _refuse(str(error))
        return
    hold(settings, entry, Talk((*talk.turns, turn)))
    empty_the_field()
    _tell(f"The conversation goes on with the {SIDES[side]} answer. Write the next message.", "forum")


def _anew(entry: RunEntry) -> None:
    forget(entry)
    empty_the_field()


def _tell(what: str, icon: str) -> None:
    st.session_state[MESSAGE] = "green", icon, what


def _refuse(why: str) -> None:
    st.session_state[MESSAGE] = "red", "error", why


def _missing_words(everyone: list[Contender]) -> str:
    """`tuned (rlhf ppo), best-of-8 (rlhf reward)`."""
    return plain(", ".join(f"{one.name} (rlhf {' and '.join(one.lacks)})" for one in everyone if one.lacks))
