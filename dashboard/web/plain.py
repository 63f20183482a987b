"""Pages without Streamlit, for people who are not let in yet: a title, a sentence, at most one button."""

from __future__ import annotations

from html import escape

from starlette.responses import HTMLResponse

POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
STYLE = """
:root { color-scheme: light dark; --ground: #ffffff; --ink: #1b2430; --line: #d9dfe6; --press: #334155 }
@media (prefers-color-scheme: dark) { :root { --ground: #12171e; --ink: #e4e9ef; --line: #323c49; --press: #5a7391 } }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif }
main { max-width: 26rem; margin: 1rem; padding: 1.5rem 2rem; border: 1px solid var(--line); border-radius: .5rem }
h1 { font-size: 1.3rem; font-weight: 600; margin: 0 0 .5rem } p { margin: 0 } form { margin: 1rem 0 0 }
button { font: inherit; font-weight: 600; padding: .5rem 1.25rem; border: 0; border-radius: .5rem; cursor: pointer;
  color: #ffffff; background: var(--press) }
"""


def plain_page(title: str, text: str, button: str = "", status: int = 200) -> HTMLResponse:
    """Return a page that nothing keeps; its button posts to the page's own address."""
    form = f'<form method="post"><button autofocus>{escape(button)}</button></form>' if button else ""
    body = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{escape(title)} · RLHF Studio</title><style>{STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1><p>{escape(text)}</p>{form}</main></body></html>"
    )
    return HTMLResponse(body, status, {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"})
