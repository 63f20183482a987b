"""What comes through to Streamlit in team mode: nothing without a session, for a labeller only what the Judge page needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from dashboard.web.doors import Doors
from dashboard.web.guard import Guard
from dashboard.web.limits import Limits, Rate
from rlhf_core.feedback.people import PeopleStore
from tests.clock import Clock

URL = "https://rlhf.example"
COOKIE = "__Host-rlhf"


async def inner(request: Request) -> JSONResponse:
    """Stands for Streamlit's endpoints: says what it was asked."""
    return JSONResponse({"path": request.url.path, "session": request.headers.getlist("x-rlhf-session")})


async def echo(socket: WebSocket) -> None:
    """Stands for Streamlit's stream: answers every message, and says whose it is."""
    await socket.accept()
    try:
        while True:
            await socket.send_text(f"{await socket.receive_text()} of {socket.headers['x-rlhf-session']}")
    except WebSocketDisconnect:
        pass


@pytest.fixture
def people(tmp_path: Path) -> Iterator[PeopleStore]:
    with closing(PeopleStore(tmp_path / "votes.db")) as store:
        yield store


def studio(people: PeopleStore, limits: Limits | None = None, url: str = URL) -> Starlette:
    routes = [
        *Doors(people, url, limits).routes(),
        WebSocketRoute("/_stcore/stream", echo),
        WebSocketRoute("/other", echo),
        Route("/{path:path}", inner, methods=["GET", "POST", "PUT", "DELETE"]),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Guard, people=people, url=url)])


def browser(people: PeopleStore, role: str = "", limits: Limits | None = None) -> TestClient:
    """A browser, signed in when it has a role."""
    client = TestClient(studio(people, limits), base_url=URL, follow_redirects=False)
    if role:
        joined = people.join(people.invite(f"the {role}", role))
        assert joined
        client.cookies.set(COOKIE, joined[0])
    return client


def open_stream(client: TestClient, path: str = "/_stcore/stream", **headers: str) -> Any:
    return client.websocket_connect(path, headers={"origin": URL} | headers)


def test_the_door_lets_in_and_out(people: PeopleStore):
    client, token = browser(people), people.invite("Ana", "labeller")
    assert client.get("/judge").status_code == 401
    came = client.post(f"/join/{token}", headers={"origin": URL})
    assert (came.status_code, came.headers["location"], came.headers["cache-control"]) == (303, "/judge", "no-store")
    parts = {part.strip().lower() for part in came.headers["set-cookie"].split(";")}
    assert {"httponly", "secure", "path=/", "samesite=lax"} <= parts
    age = next(int(part.removeprefix("max-age=")) for part in parts if part.startswith("max-age"))
    assert 14 * 86_400 - 60 < age <= 14 * 86_400
    assert client.get("/judge").json()["path"] == "/judge"
    assert client.post("/leave", headers={"origin": URL}).status_code == 200
    assert client.get("/judge").status_code == 401
    assert people.people()[0].sessions == 0


def test_over_http_the_cookie_is_still_for_the_server_alone(people: PeopleStore):
    client = TestClient(studio(people, url="http://127.0.0.1:8501"), follow_redirects=False)
    token = people.invite("Olga", "owner")
    came = client.post(f"/join/{token}", headers={"origin": "http://127.0.0.1:8501"})
    assert came.headers["location"] == "/"
    assert came.headers["set-cookie"].startswith("rlhf=") and "secure" not in came.headers["set-cookie"].lower()


def test_looking_at_a_link_uses_nothing_up_and_says_nothing(people: PeopleStore):
    client, token = browser(people), people.invite("Ana", "labeller")
    pages = [client.get(f"/join/{secret}") for secret in (token, token, "nonsense")]
    assert {page.text for page in pages} == {pages[0].text} and "Ana" not in pages[0].text
    assert "set-cookie" not in pages[0].headers and people.people()[0].sessions == 0
    assert pages[0].headers["referrer-policy"] == "strict-origin" and pages[0].headers["cache-control"] == "no-store"
    assert "default-src 'none'" in pages[0].headers["content-security-policy"]


def test_wrong_expired_revoked_and_replaced_links_get_one_answer(tmp_path: Path):
    clock = Clock()
    with closing(PeopleStore(tmp_path / "votes.db", clock)) as people:
        client = browser(people)
        expired, revoked, replaced = (people.invite(name, "labeller", days=1) for name in ("E", "V", "P"))
        people.revoke("V")
        people.invite("P", "labeller")
        clock.now += 86_400
        answers = [
            client.post(f"/join/{token}", headers={"origin": URL}) for token in (expired, revoked, replaced, "x")
        ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1 and not client.cookies


@pytest.mark.parametrize("origin", [None, "null", "https://evil.example", "http://rlhf.example", f"{URL}:444"])
def test_forms_of_other_sites_are_refused(people: PeopleStore, origin: str | None):
    client, token = browser(people, "labeller"), people.invite("Ana", "labeller")
    headers = {} if origin is None else {"origin": origin}
    for path in (f"/join/{token}", "/leave"):
        assert client.post(path, headers=headers).status_code == 403
    assert {one.name: one.sessions for one in people.people()} == {"the labeller": 1, "Ana": 0}


def test_too_many_tries_are_told_when_to_come_back(people: PeopleStore):
    clock = Clock()
    client = browser(people, limits=Limits(Rate(3, 10.0), Rate(100, 1.0), clock))
    token = people.invite("Ana", "labeller")
    answers = [client.post("/join/guess", headers={"origin": URL}).status_code for _ in range(4)]
    assert answers == [404, 404, 404, 429]
    refused = client.post(f"/join/{token}", headers={"origin": URL})
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
    assert "Try again in 10 seconds." in refused.text
    clock.now += 10
    assert client.post(f"/join/{token}", headers={"origin": URL}).status_code == 303


PATHS = ("/", "/judge", "/results", "/media/abc.html", "/component/x/index.html", "/_stcore/metrics", "/static/js/a.js",
         "/_stcore/upload_file/s/f", "/_stcore/bidi-components/x", "/_stcore/agent/openapi.json", "/_stcore/health",
         "/_stcore/host-config", "/auth/login", "/judge/../media/abc.html", "//media/abc.html")  # fmt: skip
REACHED = {
    "": {"/_stcore/health"},
    "labeller": {"/", "/judge", "/static/js/a.js", "/_stcore/health", "/_stcore/host-config"},
    "reviewer": set(PATHS),
    "owner": set(PATHS),
}


@pytest.mark.parametrize("role", REACHED)
def test_what_each_role_reaches(people: PeopleStore, role: str):
    client = browser(people, role)
    for method in ("GET", "POST", "PUT", "DELETE"):
        answers = {path: client.request(method, as_typed(path)) for path in PATHS}
        assert {path for path, answer in answers.items() if answer.status_code == 200} == REACHED[role]
        for path in set(PATHS) - REACHED[role]:
            assert answers[path].status_code == (404 if role else 401), path
            assert answers[path].text.startswith("<!DOCTYPE html>")


def as_typed(path: str) -> str:
    """The address of a path, dots kept: clients would resolve them."""
    return f"{URL}{path}".replace("..", "%2e%2e")


def test_nobody_but_the_guard_says_whose_session_it_is(people: PeopleStore):
    client = browser(people, "owner")
    told = client.get("/", headers=[("x-rlhf-session", "99"), ("X-RLHF-Session", "98")]).json()
    assert told["session"] == ["1"]


def test_every_answer_carries_the_careful_headers(people: PeopleStore):
    answer = browser(people, "owner").get("/")
    assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy and "object-src 'none'" in policy
    scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert "'unsafe-inline'" not in scripts and "'sha256-" in scripts


@pytest.mark.parametrize("role", ["labeller", "owner"])
def test_a_stream_is_for_who_is_signed_in(people: PeopleStore, role: str):
    with open_stream(browser(people, role), **{"x-rlhf-session": "99"}) as stream:
        stream.send_text("hello")
        assert stream.receive_text() == "hello of 1"


@pytest.mark.parametrize(
    ("role", "path", "headers"),
    [
        ("", "/_stcore/stream", {}),
        ("owner", "/other", {}),
        ("owner", "/_stcore/stream", {"origin": "https://evil.example"}),
        ("owner", "/_stcore/stream", {"origin": ""}),
        ("owner", "/_stcore/stream", {"origin": "https://evil.example", "host": "evil.example"}),
        ("", "/_stcore/stream", {"cookie": f"{COOKIE}=guess"}),
    ],
)
def test_other_streams_do_not_open(people: PeopleStore, role: str, path: str, headers: dict[str, str]):
    with pytest.raises(WebSocketDisconnect) as caught, open_stream(browser(people, role), path, **headers):
        pass
    assert caught.value.code == 1008


@pytest.mark.parametrize("end", ["revoke", "replace", "leave"])
def test_the_next_message_after_the_end_reaches_nobody(people: PeopleStore, end: str):
    client = browser(people, "labeller")
    with open_stream(client) as stream:
        stream.send_text("before")
        assert stream.receive_text() == "before of 1"
        if end == "revoke":
            people.revoke("the labeller")
        elif end == "replace":
            people.invite("the labeller", "labeller")
        else:
            people.leave(client.cookies[COOKIE])
        stream.send_text("after")
        with pytest.raises(WebSocketDisconnect) as caught:
            stream.receive_text()
    assert caught.value.code == 1008
    assert client.get("/judge").status_code == 401


def test_a_lifespan_passes(people: PeopleStore):
    with TestClient(studio(people)) as client:
        assert client.get("/_stcore/health").status_code == 200


def test_refusals_of_the_app_inside_carry_the_headers_too(people: PeopleStore):

    async def teapot(request: Request) -> PlainTextResponse:
        return PlainTextResponse("no", 418)

    app = Starlette(routes=[Route("/", teapot)], middleware=[Middleware(Guard, people=people, url=URL)])
    client = TestClient(app, base_url=URL)
    joined = people.join(people.invite("Olga", "owner"))
    assert joined
    client.cookies.set(COOKIE, joined[0])
    answer = client.get("/")
    assert answer.status_code == 418 and answer.headers["x-frame-options"] == "DENY"
