"""What the playground asks: the conversation so far, the next message, a system prompt, who answers and how both draw.

Owns what stands in the page's address: `prompt`, `system`, `left`, `right`, `temperature`, `top-p`, `seed` and `tokens`.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.services.exchange import Turn, history_of
from dashboard.services.playground import Drawing, Question
from dashboard.services.wording import contender_name, plain
from rlhf_core.data.contenders import sides
from rlhf_core.playground.protocol import LARGEST_SEED, MOST_TOKENS
from rlhf_core.report.words import sentence_case
from rlhf_core.visible import visible

LONGEST_PROMPT = 4000
"""Characters: the prompt stands in the address, and servers take no endless ones."""
LONGEST_SYSTEM = 1000
SIDES = ("left", "right")
SETTINGS = (*SIDES, "temperature", "top-p", "seed", "tokens")
TEMPERATURE = "0 takes the likeliest token every time"
TOP_P = "Draws from the likeliest tokens that hold this share of the probability; 1 from all"
SEED = "The same seed and settings give the same answers, here and in rlhf generate --prompt"
TOKENS = "An answer that has not ended by then is cut off"
SYSTEM = (
    "Told to both before the conversation, in place of the run's own system prompt; empty: the run's own. It is for trying "
    "out: labellers would not see it, so answers that follow one cannot be kept."
)


def question(turns: Sequence[Turn], busy: bool) -> None:
    """Show the conversation so far and the fields of what is asked next.

    They are disabled while answers are written, so that the keyboard is free for the buttons' keys.
    """
    if turns:
        _so_far(turns)
    st.text_area(
        "Next message" if turns else "Prompt", key="prompt", bind="query-params", max_chars=LONGEST_PROMPT, height=100,
        disabled=busy, placeholder="" if turns else "How do I get red wine out of a carpet?",
    )  # fmt: skip
    given = bool(st.query_params.get("system"))
    with st.expander("System prompt", given, key="play-system", icon=":material/tune:", type="compact"):
        st.text_area(
            "System prompt", key="system", bind="query-params", max_chars=LONGEST_SYSTEM, height=80, disabled=busy,
            label_visibility="collapsed", placeholder="You answer in one sentence.",
        )  # fmt: skip
        st.caption(SYSTEM)


def drawing(names: Sequence[str], usual: Drawing, busy: bool) -> None:
    """Who answers and how both draw, in one row that wraps."""
    with st.container(horizontal=True, gap="small"):
        for key, name in zip(SIDES, sides(names), strict=True):
            st.selectbox(
                key.capitalize(), names, index=names.index(name), key=key, bind="query-params", disabled=busy, width=160
            )
        _number("Temperature", "temperature", (0.0, 5.0, usual.temperature, 0.1), TEMPERATURE, busy)
        _number("Top p", "top-p", (0.05, 1.0, usual.top_p, 0.05), TOP_P, busy)
        _number("Seed", "seed", (0, LARGEST_SEED, usual.seed, 1), SEED, busy)
        _number("Most tokens", "tokens", (1, MOST_TOKENS, usual.max_new_tokens, 1), TOKENS, busy)


def asked(turns: Sequence[Turn]) -> tuple[Question, tuple[str, str], Drawing]:
    """Return what the fields hold now: the press of a button may have come before the page was drawn with it.

    Texts are given to their fields anew: a text area that is disabled in the run that takes its text may fall back on
    the text that it had at first.
    """
    for key in ("prompt", "system"):
        st.session_state[key] = st.session_state[key] or ""
    message, system = st.session_state["prompt"], st.session_state["system"]
    left, right, temperature, top_p, seed, tokens = (st.session_state[key] for key in SETTINGS)
    drawn = Drawing(float(temperature), float(top_p), int(seed), int(tokens))
    return Question(message, history_of(turns), system), (left, right), drawn


def empty_the_field() -> None:
    """Make room for the next message."""
    st.session_state["prompt"] = ""


def _so_far(turns: Sequence[Turn]) -> None:
    with st.container(border=True, gap="xsmall", key="play-so-far"):
        for turn in turns:
            st.caption("You")
            st.text(visible(turn.message), width="stretch")
            st.caption(f"{plain(sentence_case(contender_name(turn.contender)))}, {SIDES[turn.side]}")
            st.text(visible(turn.answer), width="stretch")
    st.caption("Both contenders are given this conversation.")


def _number(label: str, key: str, range_: tuple[float, float, float, float], about: str, busy: bool) -> None:
    """A number with its least, most, usual value and step; it stands in the address where it is not the usual one."""
    least, most, usual, step = range_
    st.number_input(label, least, most, usual, step, key=key, bind="query-params", disabled=busy, help=about, width=130)
