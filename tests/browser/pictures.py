"""The pictures of the README and the docs: journeys keep them on their way, where RLHF_PICTURES names a folder for them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

from playwright.sync_api import Page

from tests.browser.settling import settle

FOLDER = "RLHF_PICTURES"
WIDE, HIGH, TALLEST = 1280, 900, 1600  # pixels
FADING = 1500  # ms in which charts are drawn
Keep = Callable[..., None]


def keeper(folder: str | None) -> Keep:
    """Return what keeps pictures in a folder, or does nothing without one."""
    return partial(_keep, Path(folder)) if folder else lambda *_, **__: None


def _keep(
    folder: Path, page: Page, name: str, *, scheme: Literal["light", "dark"] = "light", width: int = WIDE
) -> None:
    """Keep the page as high as it is, up to TALLEST, and leave it as it was."""
    before = page.viewport_size
    _in_colours(page, scheme)
    _resize(page, width, HIGH)
    page.mouse.move(width - 4, HIGH // 2)  # where nothing answers to it
    page.wait_for_timeout(FADING)
    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    _resize(page, width, min(max(height, HIGH), TALLEST))
    page.wait_for_timeout(FADING)
    page.screenshot(path=folder / f"{name}.png")
    _in_colours(page, "light")
    if before:
        _resize(page, before["width"], before["height"])


def _in_colours(page: Page, scheme: Literal["light", "dark"]) -> None:
    """Show the page in a theme; its charts take the theme's colours when it is loaded, at the address that says what it shows."""
    if page.evaluate(f"matchMedia('(prefers-color-scheme: {scheme})').matches"):
        return
    title = page.get_by_role("heading", level=1).inner_text()
    page.emulate_media(color_scheme=scheme)
    page.reload()
    page.get_by_role("heading", level=1, name=title).wait_for()


def _resize(page: Page, width: int, height: int) -> None:
    page.set_viewport_size({"width": width, "height": height})
    settle(page)
