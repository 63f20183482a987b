"""Two answers side by side, finished or being written, with what the scorers say of each. Shown as text: nothing in them acts."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.services.exchange import FAILED, STOPPED, WAITING, Answer, Exchange
from dashboard.services.wording import count, number, plain
from rlhf_core.report.words import MISSING, contender_name, sentence_case
from rlhf_core.visible import visible

PANEL_HEIGHT = 320
"""Pixels of an answer's panel, from the first moment on; what does not fit scrolls."""
REWARD_MODEL = "reward model"
REWARD = ("Reward", "In SD of the model's samples that PPO starts from; 0 is their mean")
UNSAID = ("score", "profanity")
"""Measures that say no more than their scorer's name."""


def answers(exchange: Exchange) -> Sequence[DeltaGenerator]:
    """Show both sides as they are at this moment; return their columns, where what belongs to one side may follow."""
    columns = st.columns(2, gap="small")
    for side, (column, answer) in enumerate(zip(columns, exchange.answers, strict=True)):
        with column:
            with st.container(border=True, height=PANEL_HEIGHT, gap="xsmall", key=f"play-panel-{side}"):
                st.subheader(plain(sentence_case(contender_name(answer.contender))), anchor=False)
                _text(exchange, answer)
            _figures(exchange, side)
    for scorer, why in exchange.missing:
        st.caption(f"{plain(scorer)} says nothing here: {plain(why)}")
    return columns


def _text(exchange: Exchange, answer: Answer) -> None:
    if exchange.state == WAITING:
        st.caption(f"Loading {plain(exchange.doing)} …" if exchange.doing else "Reading the prompt …")
        st.skeleton(height=PANEL_HEIGHT - 130)
    elif answer.text:
        st.text(visible(answer.text), width="stretch")
    elif answer.done:
        st.caption("It ended at once and wrote nothing.")
    elif answer.tokens:
        st.caption(f"{count(answer.tokens, 'token')} of several answers; the reward model picks one at the end.")
    else:
        st.caption("Nothing yet.")


def _figures(exchange: Exchange, side: int) -> None:
    """Length, what the scorers say, time; what comes later stands behind what is there, so that nothing jumps."""
    answer = exchange.answers[side]
    with st.container(horizontal=True, gap="medium", key=f"play-scores-{side}"):
        st.metric("Words", f"{len(answer.text.split()):,}", width="content")
        st.metric("Tokens", f"{answer.tokens:,}", width="content")
        if not answer.scores:
            st.metric("Reward", MISSING, width="content")
        for score in answer.scores:
            label, unit = REWARD if score.scorer == REWARD_MODEL else (score.scorer, "probability")
            part = "" if score.measure in UNSAID else f", {score.measure}"
            st.metric(plain(label + part), number(score.value), help=unit, width="content")
    st.caption(_ending(exchange, answer))


def _ending(exchange: Exchange, answer: Answer) -> str:
    done = answer.done
    if done is None:
        if exchange.state in (STOPPED, FAILED):
            return "Cut off."
        if answer.scores:
            return f"Being written. Scores are of the first {count(answer.scored, 'token')}."
        return "Being written." if answer.tokens else "Waiting."
    how = "Ended by itself" if done.finished else f"Cut off at {count(done.tokens, 'token')}"
    speed = done.tokens / done.seconds
    return f"{how}. First token after {done.first_seconds:.1f} s, {speed:.{0 if speed >= 10 else 1}f} tokens/s."
