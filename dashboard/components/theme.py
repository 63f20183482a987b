"""Draws the page anew when the browser goes from light to dark or back: charts take the colours of one theme from the server."""

from __future__ import annotations

from functools import cache
from typing import Any

from streamlit.components.v2 import component

FOLLOW = """
export default ({ setTriggerValue }) => {
  const dark = matchMedia('(prefers-color-scheme: dark)')
  const tell = () => setTimeout(() => setTriggerValue('changed', String(dark.matches)))  // once the page has its new theme
  dark.addEventListener('change', tell)
  return () => dark.removeEventListener('change', tell)
}
"""


def follow_theme() -> None:
    """Run the page again whenever the system's theme changes; of itself Streamlit recolours all but what is in figures."""
    _follower()(key="theme", on_changed_change=lambda: None)


@cache
def _follower() -> Any:
    return component("theme", js=FOLLOW)
