"""Brings what a link names into view: a page opens at its top, and what was meant may stand far below."""

from __future__ import annotations

from functools import cache
from typing import Any

from streamlit.components.v2 import component

SCROLL = """
let arrived = null

export default ({ data }) => {
  const place = document.querySelector(`.st-key-${data.place}`)
  if (!place || arrived === data.link) return
  arrived = data.link
  place.style.scrollMarginTop = '4rem'  // the height of the bar over the page
  place.scrollIntoView()
}
"""


def arrive_at(place: str, link: str) -> None:
    """Scroll to the container under the key `place`, once for each `link` in the life of a page in the browser.

    Call it after what stands above that place is drawn. No element of Streamlit scrolls.
    """
    _scroller()(data={"place": place, "link": link}, key="arrival")


@cache
def _scroller() -> Any:
    return component("arrival", js=SCROLL)
