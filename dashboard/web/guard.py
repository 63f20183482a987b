"""What stands before Streamlit in team mode: nobody without a session gets anything of the app, a labeller only the page.

Streamlit's own endpoints know nothing of roles: whoever has the address of a download gets it. So a labeller reaches those
that the Judge page needs and no others. Every message of a websocket is checked against the store before Streamlit sees it:
a revoked person's next click, or a page that refreshes itself, does nothing any more.
"""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.services.access import READ, Visitor
from dashboard.services.people import cookie_name
from dashboard.web.doors import same_origin
from dashboard.web.headers import secured
from dashboard.web.plain import plain_page
from rlhf_core.feedback.people import PeopleStore
from rlhf_core.feedback.records import Session

SESSION_HEADER = "x-rlhf-session"
"""Tells Streamlit which session a websocket belongs to, so that it resumes its state for nobody else. Ours alone to set."""
STREAM = "/_stcore/stream"
OPEN_TO_ALL = ("/leave", "/_stcore/health")
FOR_LABELLERS = ("/", "/judge", "/favicon.png", "/_stcore/host-config")
POLICY_VIOLATION = 1008


class Guard:
    """ASGI middleware that lets in whom the store knows."""

    def __init__(self, app: ASGIApp, people: PeopleStore, url: str) -> None:
        self.app, self._people, self._url = app, people, url
        self._cookie = cookie_name(url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may pass."""
        if scope["type"] == "http":
            await self._http(scope, receive, secured(send, self._url))
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, session = scope["path"], await self._session(HTTPConnection(scope))
        if path in OPEN_TO_ALL or path.startswith("/join/"):
            await self.app(scope, receive, send)
        elif session is None:
            text = "Open the link you were sent. If you have none, or it has expired, ask the owner of this studio."
            await plain_page("By invitation", text, status=401)(scope, receive, send)
        elif Visitor(session.name, session.role).may(READ) or path in FOR_LABELLERS or path.startswith("/static/"):
            await self.app(_marked(scope, session), receive, send)
        else:
            await plain_page("Nothing here", f"Your page is {self._url}/judge", status=404)(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        session = await self._session(connection)
        if session is None or scope["path"] != STREAM or not same_origin(connection, self._url):
            await receive()
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
            return
        closed = False

        async def checked() -> Message:
            nonlocal closed
            message = await receive()
            if message["type"] == "websocket.receive" and await self._session(connection) is None:
                closed = True
                await send({"type": "websocket.close", "code": POLICY_VIOLATION})
                return {"type": "websocket.disconnect", "code": POLICY_VIOLATION}
            return message

        async def until_closed(message: Message) -> None:
            if not closed:
                await send(message)

        await self.app(_marked(scope, session), checked, until_closed)

    async def _session(self, connection: HTTPConnection) -> Session | None:
        if not (cookie := connection.cookies.get(self._cookie)):
            return None
        return await run_in_threadpool(self._people.session, cookie)


def _marked(scope: Scope, session: Session) -> Scope:
    """The request with the session's number in our header, whatever the browser had put there."""
    marked = {**scope, "headers": list(scope["headers"])}
    MutableHeaders(scope=marked)[SESSION_HEADER] = str(session.id)
    return marked
