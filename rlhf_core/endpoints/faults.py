"""What can go wrong with a request, in words: what happened, what to do, and whether it is worth another try."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx2

from rlhf_core.endpoints.limits import MOST_PATIENCE, retry_after
from rlhf_core.visible import one_line

AGAIN = "The same command goes on where it was: what was answered is kept"
KEY = "Set the key in OPENAI_API_KEY, or name its environment variable: --set key_variable=NAME"
PASSING = (408, 409, 425, 429, 500, 502, 503, 504, 529)
BUSY = (429, 503, 529)
MOST_SAID = 500


@dataclass(frozen=True)
class Fault:
    """A request that failed.

    Attributes:
        said: the endpoint's own words, if any.
        passing: another try may succeed; `wait` are the seconds until then that the endpoint asks for.
        busy: it asks for rest, so other requests have to wait as well.
    """

    what: str
    remedy: str
    said: str = ""
    passing: bool = False
    busy: bool = False
    wait: float | None = None


def timed_out(seconds: float) -> Fault:
    """The answer took too long."""
    remedy = f"Allow more with --set timeout=…, or ask for less at once with --set concurrency=1. {AGAIN}"
    return Fault(f"no answer within {seconds:g} s", remedy, passing=True)


def unreachable(said: str, *, before: bool) -> Fault:
    """Nothing listens there; where it did `before`, it may again."""
    return Fault("cannot be reached", f"Start the server, or check the address and the network. {AGAIN}", said, before)


def cut_off(said: str) -> Fault:
    """The connection ended within the answer."""
    return Fault("the answer was cut off", AGAIN, said, passing=True)


def malformed(said: str) -> Fault:
    """What came back is no chat completion."""
    remedy = "Give the base address of an OpenAI-compatible server, which mostly ends with /v1"
    return Fault("the answer is no chat completion", remedy, _clean(said), passing=True)


def refused(response: httpx2.Response) -> Fault:
    """A status other than 200."""
    status, wait = response.status_code, retry_after(response.headers.get("retry-after"))
    what, remedy = _words(status)
    if wait is not None and wait > MOST_PATIENCE:
        what, remedy = f"{what}; it wants {wait:,.0f} s of rest", f"Come back later. {AGAIN}"
    if response.is_redirect:
        remedy = "Give the address it redirects to"
        return Fault(f"redirects ({status})", remedy, _clean(response.headers.get("location", "")))
    return Fault(what, remedy, _message(response), status in PASSING, status in BUSY or wait is not None, wait)


def _words(status: int) -> tuple[str, str]:
    if status == 401:
        return "the key is missing or wrong (401)", KEY
    if status == 403:
        return "the key may not do this (403)", "Ask whoever gave you the key, or name another model"
    if status == 404:
        return "there is no such address or model (404)", "The address mostly ends with /v1; check the model's name"
    if status == 429:
        return "too many requests (429)", f"Ask less often with --set per_minute=…, or check your quota. {AGAIN}"
    if status >= 500:
        return f"the server failed ({status})", AGAIN
    if status in (400, 413, 422):
        remedy = "Check the model's name; a parameter that is not known there can be left out: --set temperature=null"
        return f"the request was refused ({status})", remedy
    return f"the endpoint answered with status {status}", "Check the address and the model's name"


def _message(response: httpx2.Response) -> str:
    """The endpoint's own words: `error.message` as OpenAI has it, `detail` as FastAPI, or whatever else it sent."""
    try:
        content: Any = response.json()
    except ValueError:
        return _clean(response.text)
    for name in ("error", "detail", "message"):
        if isinstance(content, dict) and content.get(name):
            content = content[name]
    return _clean(content if isinstance(content, str) else str(content))


def _clean(text: str) -> str:
    return one_line(" ".join(text.split())[:MOST_SAID])
