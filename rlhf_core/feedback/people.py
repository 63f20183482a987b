"""Who may come in, and as what: personal invitation links, the sessions they begin, and how both end.

An invitation is a link with a secret of 256 bits; the store knows its SHA-256 alone, so who reads the database can open
nothing with it. Opening it begins a session with a secret of its own, a browser's cookie. A person is the newest invitation
of their name: inviting somebody again, in another role or not, ends what they had. Nothing is ever changed or deleted, so the
tables are also the record of who came in when, and who ended what.
"""

from __future__ import annotations

import hashlib
import secrets
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from rlhf_core.errors import PeopleError
from rlhf_core.feedback.clock import stamp
from rlhf_core.feedback.database import Database
from rlhf_core.feedback.locks import lock
from rlhf_core.feedback.records import Event, Invitation, Session
from rlhf_core.feedback.schema import ROLES, endings, invitations, sessions

DAY = 86_400.0
DAYS, MOST_DAYS = 14, 365
LONGEST_NAME = 60

_NOW, _NAME, _HASH = sa.bindparam("now"), sa.bindparam("name"), sa.bindparam("hash")
_LATER = invitations.alias("later")
_NEWEST = ~sa.exists().where(_LATER.c.name == invitations.c.name, _LATER.c.id > invitations.c.id)
_REVOKED = sa.exists().where(endings.c.invitation_id == invitations.c.id, endings.c.session_id.is_(None))
_IN_FORCE = _NEWEST & ~_REVOKED & (invitations.c.expires_at > _NOW)
_LEFT = sa.exists().where(endings.c.session_id == sessions.c.id)
_OPENED = sa.select(invitations).where(invitations.c.token_hash == _HASH, _IN_FORCE)
_HERE = (
    sa.select(sessions.c.id, sessions.c.invitation_id, invitations.c.name, invitations.c.role, invitations.c.expires_at)
    .select_from(sessions.join(invitations))
    .where(sessions.c.token_hash == _HASH, _IN_FORCE, ~_LEFT)
)
_OPEN_SESSIONS = (
    sa.select(sa.func.count())
    .where(sessions.c.invitation_id == invitations.c.id, ~_LEFT)
    .correlate(invitations)
    .scalar_subquery()
)
_PEOPLE = (
    sa.select(invitations, _REVOKED.label("revoked"), _OPEN_SESSIONS.label("sessions"))
    .where(_NEWEST)
    .order_by(invitations.c.id)
)


class PeopleStore:
    """Invitations and sessions in the vote database. Safe to share between threads and between processes.

    Raises:
        PeopleError: from `invite` and `revoke`, with the remedy, when what they are given does not fit.
    """

    def __init__(self, url_or_path: str | Path, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = Database(url_or_path), clock

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def invite(self, name: str, role: str, days: int = DAYS, by: str = "") -> str:
        """Return the secret of a new invitation, which is nowhere else; what the person had before ends.

        Args:
            name: whom it lets in; their votes are kept under it.
            days: how long the link and every session begun with it last.
            by: who invites; empty for the command on the server.
        """
        name = _checked_name(name)
        if role not in ROLES:
            raise PeopleError("unknown role", value=role, remedy=f"Expected one of {', '.join(ROLES)}")
        if not 1 <= days <= MOST_DAYS:
            raise PeopleError("an invitation lasts 1 to 365 days", value=days)
        token, now = secrets.token_urlsafe(32), self._clock()
        row = {"name": name, "role": role, "token_hash": _hash(token), "expires_at": now + days * DAY}
        with self._database.write() as connection:
            connection.execute(sa.insert(invitations).values(row | {"invited_by": by, "created_at": stamp(now)}))
        return token

    def join(self, token: str, address: str = "") -> tuple[str, Session] | None:
        """Begin a session with an invitation's secret; return the session and its own secret.

        None, whatever the reason: no such invitation, expired, revoked, or a newer one took its place.
        """
        with self._database.write() as connection:
            now = self._clock()
            opened = connection.execute(_OPENED, {"hash": _hash(token), "now": now}).one_or_none()
            if opened is None:
                return None
            cookie = secrets.token_urlsafe(32)
            row = {"invitation_id": opened.id, "token_hash": _hash(cookie), "address": address}
            query = sa.insert(sessions).values(row | {"created_at": stamp(now)}).returning(sessions.c.id)
            number = connection.execute(query).scalar_one()
            return cookie, Session(number, opened.name, opened.role, opened.expires_at)

    def session(self, cookie: str) -> Session | None:
        """Return the session that a cookie's secret belongs to, as long as it is in force."""
        with self._database.read() as connection:
            here = connection.execute(_HERE, {"hash": _hash(cookie), "now": self._clock()}).one_or_none()
        return Session(here.id, here.name, here.role, here.expires_at) if here else None

    def leave(self, cookie: str) -> None:
        """End one session; nothing happens when it is not in force."""
        with self._database.write() as connection:
            now = self._clock()
            here = connection.execute(_HERE, {"hash": _hash(cookie), "now": now}).one_or_none()
            if here is not None:
                row = {"invitation_id": here.invitation_id, "session_id": here.id, "ended_by": here.name}
                connection.execute(sa.insert(endings).values(row | {"created_at": stamp(now)}))

    def revoke(self, name: str, by: str = "") -> None:
        """End a person's invitation and every session begun with it, from this moment on. Their votes are kept."""
        with self._database.write() as connection:
            lock(connection, "person", name)
            found = connection.execute(_PEOPLE.where(invitations.c.name == _NAME), {"name": name}).one_or_none()
            if found is None:
                raise PeopleError("nobody of that name was invited", value=name, remedy="`rlhf people list` names all")
            if found.revoked:
                raise PeopleError("revoked already", where=name)
            row = {"invitation_id": found.id, "session_id": None, "ended_by": by, "created_at": stamp(self._clock())}
            connection.execute(sa.insert(endings).values(row))

    def people(self) -> list[Invitation]:
        """Return everybody's newest invitation, in the order they were given."""
        with self._database.read() as connection:
            rows = connection.execute(_PEOPLE).all()
        now = self._clock()
        return [
            Invitation(
                name=row.name,
                role=row.role,
                state="revoked" if row.revoked else "in force" if row.expires_at > now else "expired",
                expires=stamp(row.expires_at),
                invited=row.created_at,
                sessions=row.sessions,
            )
            for row in rows
        ]

    def events(self) -> list[Event]:
        """Return who was invited, came in, left and was revoked, by whom and from where, as the clock had it."""
        invited = sa.select(invitations.c.created_at, invitations.c.name, invitations.c.role, invitations.c.invited_by)
        joined = sa.select(sessions.c.created_at, invitations.c.name, sessions.c.address).join_from(
            sessions, invitations
        )
        ended = sa.select(endings.c.created_at, invitations.c.name, endings.c.session_id, endings.c.ended_by).join_from(
            endings, invitations
        )
        with self._database.read() as connection:
            found = [
                *(Event(*row[:2], f"invited as {row.role}", row.invited_by) for row in connection.execute(invited)),
                *(Event(*row[:2], "signed in", row.address) for row in connection.execute(joined)),
                *(
                    Event(*row[:2], "signed out" if row.session_id else "revoked", row.ended_by)
                    for row in connection.execute(ended)
                ),
            ]
        return sorted(found, key=lambda event: event.at)


def _hash(token: str) -> str:
    """Return a secret's SHA-256. Being looked up by it tells nobody who times the answer how much of a secret was right."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _checked_name(name: str) -> str:
    name = unicodedata.normalize("NFC", name.strip())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise PeopleError(
            "not a name", value=name, remedy=f"Give 1 to {LONGEST_NAME} printable letters: votes are kept under it"
        )
    return name
