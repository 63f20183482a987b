"""Two texts with what differs between them marked: letter by letter what was written, told apart without colour alone."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

import streamlit as st

from dashboard.components.look import current_palette
from dashboard.palette import translucent
from dashboard.services.word_diff import Kind, Segment

TAGS: dict[Kind, str] = {"removed": "del", "added": "ins"}
TINT = 0.22


def show_marked(segments: Iterable[Segment], baseline_colour: str, contender_colour: str, *, struck: bool) -> None:
    """Show segments as one text: what the first text alone has dotted, or `struck` through, the second's underlined."""
    lines: dict[Kind, str] = {"removed": "line-through" if struck else "underline dotted", "added": "underline solid"}
    colours: dict[Kind, str] = {"removed": baseline_colour, "added": contender_colour}
    shape = "text-underline-offset:3px;padding:0 2px;border-radius:2px"
    styles: dict[Kind, str] = {
        kind: f"text-decoration:{lines[kind]};{shape};background:{translucent(colours[kind], TINT)}" for kind in TAGS
    }
    st.html(
        '<div dir="auto" style="white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.6">'
        f"{''.join(_tagged(segment, styles) for segment in segments)}</div>"
    )


def legend(baseline: str, contender: str, *, struck: bool) -> str:
    """Return what the marks mean; the names are prose."""
    first = "Struck through" if struck else "Dotted"
    return f"{first}: only in the {baseline}’s answer. Underlined: only in the {contender}’s."


def contender_colours(baseline: str, contender: str) -> tuple[str, str]:
    """Return the colours of two contenders in the browser's theme."""
    colours = current_palette().contenders((baseline, contender))
    return colours[baseline], colours[contender]


def _tagged(segment: Segment, styles: dict[Kind, str]) -> str:
    text = escape(segment.text)
    tag = TAGS.get(segment.kind)
    return f'<{tag} style="{styles[segment.kind]}">{text}</{tag}>' if tag else text
