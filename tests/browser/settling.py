"""Waiting for Streamlit: what was chosen has reached the server, what the server answered is drawn, and nothing is under way.

A click is sent some 50 ms after it is made, and the page says that it is busy only once the server has begun to answer: in
between a page looks settled that is not, and what is pressed then may be answered for the page as it was, or be lost.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from playwright.sync_api import Browser, Page

TURNS = count()
QUIET = 250
"""Milliseconds without anything: longer than a browser takes to send what was chosen."""
LISTEN = """
const send = WebSocket.prototype.send
WebSocket.prototype.send = function (data) {
    if (!this.isHeard) {
        this.isHeard = true
        this.addEventListener('message', () => { window.heardAt = performance.now() })
    }
    window.askedAt = performance.now()
    return send.call(this, data)
}
"""
SETTLED = """([quiet, turn]) => {
    if (window.quietTurn !== turn) Object.assign(window, {quietTurn: turn, quietSince: undefined})
    const app = document.querySelector('[data-testid=stApp]')
    const waits = window.askedAt > (window.heardAt ?? 0)
    if (app?.dataset.testScriptState !== 'notRunning' || waits) window.quietSince = undefined
    else window.quietSince ??= performance.now()
    return performance.now() - window.quietSince >= quiet
}"""


def open_page(browser: Browser, **options: Any) -> Page:
    """Open an empty page, with nothing left from another, that knows whether the server has answered."""
    page = browser.new_page(**options)
    page.context.add_init_script(LISTEN)
    return page


def settle(page: Page) -> None:
    """Wait until the server has answered all that was asked of it, and the page has nothing more to draw."""
    page.wait_for_function(SETTLED, arg=[QUIET, next(TURNS)])


def press(page: Page, *keys: str) -> None:
    """Press keys one after another, each on a page that stands, and wait for what the last one does."""
    for key in keys:
        settle(page)
        page.keyboard.press(key)
    settle(page)
