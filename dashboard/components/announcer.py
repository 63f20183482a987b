"""Tells people with a screen reader what changed: a live region that stays on the page, unseen, while its text changes."""

from __future__ import annotations

from functools import cache
from typing import Any

from streamlit.components.v2 import component

UNSEEN = "p { position: absolute; width: 1px; height: 1px; margin: 0; overflow: hidden; clip-path: inset(50%); }"
SAY = "export default ({ data, parentElement }) => { parentElement.querySelector('p').textContent = data }"


def announce(text: str) -> None:
    """Have screen readers read `text` once they are silent; the same text again is not read.

    No element of Streamlit does this: what it draws anew is a new element, which screen readers need not notice.
    """
    _region()(data=text, key="announcer")


@cache
def _region() -> Any:
    return component("announcer", html='<p role="status"></p>', css=UNSEEN, js=SAY)
