"""What the page of people asks for, for owners alone; and who a cookie belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit

import pandas as pd

from dashboard.services.access import AT_THE_KEYBOARD, MANAGE, NOBODY, Visitor
from dashboard.services.settings import Settings
from rlhf_core.feedback.people import PeopleStore

LOCAL_HOSTS = ("127.0.0.1", "::1", "localhost")


@lru_cache(maxsize=4)
def open_people(url: str) -> PeopleStore:
    """Return the people of the vote store at `url`, one per process."""
    return PeopleStore(url)


def cookie_name(url: str) -> str:
    """Return the session cookie's name: over https one that browsers let no other host set."""
    return "__Host-rlhf" if urlsplit(url).scheme == "https" else "rlhf"


def find_visitor(settings: Settings, cookies: Mapping[str, str], host: str | None) -> Visitor:
    """Return who looks, asked of the store each time: a revoked person is nobody at once.

    Without a team it is whoever sits at this machine, unless the server listens on `host` for others too: then nobody.
    """
    if settings.team_url is None:
        return AT_THE_KEYBOARD if host in LOCAL_HOSTS else NOBODY
    cookie = cookies.get(cookie_name(settings.team_url))
    session = open_people(settings.votes).session(cookie) if cookie else None
    return Visitor(session.name, session.role) if session else NOBODY


def list_people(settings: Settings) -> pd.DataFrame:
    """Return a row for each person who was invited."""
    settings.visitor.require(MANAGE)
    rows = [
        {
            "Name": one.name,
            "Role": one.role,
            "Link": one.state,
            "Until (UTC)": one.expires[:16].replace("T", " "),
            "Signed in": one.sessions,
        }
        for one in open_people(settings.votes).people()
    ]
    return pd.DataFrame(rows)


def revocable(settings: Settings) -> list[str]:
    """Return the names whose links are in force, the owner's own left out."""
    settings.visitor.require(MANAGE)
    people = open_people(settings.votes).people()
    return [one.name for one in people if one.state == "in force" and one.name != settings.visitor.name]


def invite(settings: Settings, name: str, role: str, days: int) -> str:
    """Return a new personal link, which nothing can show again.

    Raises:
        AccessError: not an owner.
        PeopleError: no name.
    """
    settings.visitor.require(MANAGE)
    token = open_people(settings.votes).invite(name, role, days, by=settings.visitor.name)
    return f"{settings.team_url}/join/{token}"


def revoke(settings: Settings, name: str) -> None:
    """End a person's link and sessions at once.

    Raises:
        AccessError: not an owner.
        PeopleError: nobody of that name has a link.
    """
    settings.visitor.require(MANAGE)
    open_people(settings.votes).revoke(name, by=settings.visitor.name)


def record(settings: Settings) -> pd.DataFrame:
    """Return what happened to people's access, newest first."""
    settings.visitor.require(MANAGE)
    events = reversed(open_people(settings.votes).events())
    return pd.DataFrame(
        [
            {"When (UTC)": one.at[:16].replace("T", " "), "Name": one.name, "What": one.what, "By, from": one.by}
            for one in events
        ]
    )
