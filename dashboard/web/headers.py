"""Headers that make browsers careful: no framing, no guessing of types, nothing from elsewhere."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path

import streamlit
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Send

from rlhf_core.report.html import SCRIPT_HASH

INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)


@cache
def policy() -> str:
    """Return the Content-Security-Policy of the app: as strict as Streamlit's pages bear.

    Scripts come from the app itself; the few lines inside its page are named by their SHA-256. Streamlit's components set
    styles on elements, show pictures as data, and run their own code and workers from blobs, which only code that runs already can
    make; charts compile expressions. The preview of a report keeps its script.
    """
    page = Path(streamlit.__file__).with_name("static") / "index.html"
    hashes = [
        f"'sha256-{b64encode(sha256(code.encode()).digest()).decode()}'" for code in INLINE.findall(page.read_text())
    ] + [f"'{SCRIPT_HASH}'"]
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' 'unsafe-eval' blob: {' '.join(hashes)}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "worker-src 'self' blob:",
            "frame-src 'self' blob: data:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def secured(send: Send, url: str) -> Send:
    """Return `send` with the headers added to every answer; a page that has a policy of its own keeps it.

    The referrer is the origin alone: no secret of a link's path goes anywhere, and forms still say where they come from
    (under `no-referrer` browsers send `Origin: null`).
    """

    async def send_secured(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.setdefault("Content-Security-Policy", policy())
            headers["X-Content-Type-Options"] = "nosniff"
            headers["X-Frame-Options"] = "DENY"
            headers["Referrer-Policy"] = "strict-origin"
            headers["Cross-Origin-Opener-Policy"] = "same-origin"
            if url.startswith("https:"):
                headers["Strict-Transport-Security"] = "max-age=31536000"
        await send(message)

    return send_secured
