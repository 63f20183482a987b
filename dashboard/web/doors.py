"""The ways in and out of team mode: `/join/SECRET` and `/leave`.

A GET only shows a page with a button, the same for every link, so that the previews of mail and chat programs use nothing up
and learn nothing. The button's POST begins the session. A link that is wrong, expired, revoked or replaced gets one answer.
"""

from __future__ import annotations

import math
import time
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dashboard.services.access import READ, Visitor
from dashboard.services.people import cookie_name
from dashboard.web.limits import Limits
from dashboard.web.plain import plain_page
from rlhf_core.feedback.people import PeopleStore

INVALID = "It may have expired, or been replaced by a newer one. Ask whoever sent it for a new link."


class Doors:
    """The routes that begin and end sessions at `url`, the address people open."""

    def __init__(self, people: PeopleStore, url: str, limits: Limits | None = None) -> None:
        self._people, self._url, self._limits = people, url, limits or Limits()
        self._secure = urlsplit(url).scheme == "https"
        self._cookie = cookie_name(url)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/join/{token}", self._ask, methods=["GET"]),
            Route("/join/{token}", self._join, methods=["POST"]),
            Route("/leave", self._ask_to_leave, methods=["GET"]),
            Route("/leave", self._leave, methods=["POST"]),
        ]

    async def _ask(self, request: Request) -> Response:
        if (refused := self._too_often(request)) is not None:
            return refused
        return plain_page(
            "You are invited", "This link is yours alone: what you do here is kept under your name.", "Go in"
        )

    async def _join(self, request: Request) -> Response:
        if (refused := self._foreign(request) or self._too_often(request)) is not None:
            return refused
        token, address = request.path_params["token"], address_of(request)
        joined = await run_in_threadpool(self._people.join, token, address)
        if joined is None:
            return plain_page("This link does not work", INVALID, status=404)
        cookie, session = joined
        reads = Visitor(session.name, session.role).may(READ)
        answer = RedirectResponse("/" if reads else "/judge", 303, {"Cache-Control": "no-store"})
        seconds = max(int(session.expires_at - time.time()), 0)
        answer.set_cookie(self._cookie, cookie, seconds, secure=self._secure, httponly=True, samesite="lax")
        return answer

    async def _ask_to_leave(self, request: Request) -> Response:
        return plain_page("Sign out", "Your link lets you in again until it expires.", "Sign out")

    async def _leave(self, request: Request) -> Response:
        if (refused := self._foreign(request)) is not None:
            return refused
        await run_in_threadpool(self._people.leave, request.cookies.get(self._cookie, ""))
        answer = plain_page("You are signed out", "Your link lets you in again until it expires.")
        answer.delete_cookie(self._cookie, secure=self._secure, httponly=True, samesite="lax")
        return answer

    def _foreign(self, request: Request) -> Response | None:
        """Refuse a form that another site sent: it could sign people in as somebody else."""
        if same_origin(request, self._url):
            return None
        return plain_page("Not from here", f"Open this page at {self._url} and try again.", status=403)

    def _too_often(self, request: Request) -> Response | None:
        if not (seconds := self._limits.wait(address_of(request))):
            return None
        answer = plain_page("Too many tries", f"Try again in {math.ceil(seconds)} seconds.", status=429)
        answer.headers["Retry-After"] = str(math.ceil(seconds))
        return answer


def same_origin(connection: HTTPConnection, url: str) -> bool:
    """Say whether a request was sent by a page of ours; one that does not say where it is from was not."""
    return connection.headers.get("origin") == url


def address_of(connection: HTTPConnection) -> str:
    """Return the address a request came from; behind a proxy on this machine, the one it forwards."""
    return connection.client.host if connection.client else ""
