"""Two texts side by side with what only one of them says marked: struck through on the left, underlined on the right."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from dashboard.components.look import current_palette
from dashboard.palette import translucent
from dashboard.services.word_diff import Segment, diff_words, only

BLOCK = '<div style="white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.6">{}</div>'


def show_difference(before: str, after: str, titles: tuple[str, str]) -> None:
    """Show two texts in equal columns under their titles; nothing in them acts as Markdown or HTML."""
    segments = diff_words(before, after)
    palette = current_palette()
    sides = (
        marked(only(segments, "removed"), "del", palette.base),
        marked(only(segments, "added"), "ins", palette.tuned),
    )
    for column, title, side in zip(st.columns(2, gap="medium"), titles, sides, strict=True):
        with column:
            st.markdown(f"**{title}**")
            st.html(BLOCK.format(side))


def marked(segments: Sequence[Segment], tag: str, colour: str) -> str:
    """Return segments as HTML, those that are not shared inside `tag` on a tint of `colour`."""
    style = f"background: {translucent(colour, 0.18)}; border-radius: 3px; padding: 0 2px"
    texts = ((segment.kind, escape(segment.text)) for segment in segments)
    return "".join(text if kind == "same" else f'<{tag} style="{style}">{text}</{tag}>' for kind, text in texts)
