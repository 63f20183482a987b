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
    page.emulate_media(color_scheme=scheme)
    _resize(page, width, HIGH)
    page.mouse.move(1, 1)
    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    _resize(page, width, min(max(height, HIGH), TALLEST))
    page.wait_for_timeout(FADING)
    page.screenshot(path=folder / f"{name}.png")
    page.emulate_media(color_scheme="light")
    if before:
        _resize(page, before["width"], before["height"])


def _resize(page: Page, width: int, height: int) -> None:
    page.set_viewport_size({"width": width, "height": height})
    settle(page)
