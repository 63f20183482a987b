"""Points at the same place in all curves at once: what the mouse shows in one chart, the others show too."""

from __future__ import annotations

from functools import cache
from typing import Any

from streamlit.components.v2 import component

TOGETHER = """
let listening = null
const areas = () => [...document.querySelectorAll('[class*="st-key-curve-"] .nsewdrag')]

function point(event, pointed) {
  const from = pointed.getBoundingClientRect()
  const share = (event.clientX - from.left) / from.width
  for (const area of areas().filter(other => other !== pointed)) {
    const to = area.getBoundingClientRect()
    area.dispatchEvent(new MouseEvent('mousemove', {
      clientX: to.left + share * to.width, clientY: to.top + to.height / 2, view: window,
    }))
  }
}

const leave = left => {
  for (const area of areas().filter(other => other !== left)) area.dispatchEvent(new MouseEvent('mouseout', { view: window }))
}

export default () => {
  listening?.abort()
  listening = new AbortController()
  let pointed = null
  document.addEventListener('mousemove', event => {
    if (!event.isTrusted || event.buttons) return
    const area = event.target.closest?.('[class*="st-key-curve-"] .nsewdrag') ?? null
    if (pointed && area !== pointed) leave(area)
    pointed = area
    if (area) point(event, area)
  }, { signal: listening.signal, passive: true })
  return () => listening.abort()
}
"""


def hover_together() -> None:
    """Let all charts under keys `curve-…` show the values at the place the mouse points to in one of them.

    They have to share their range of x. Charts of Streamlit know nothing of each other, and none of its elements can tell
    them; without this, the mouse acts on one chart as ever.
    """
    _listener()(key="hover")


@cache
def _listener() -> Any:
    return component("hover", js=TOGETHER)
