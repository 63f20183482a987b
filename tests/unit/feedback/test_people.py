"""Who is let in: until it expires, is revoked or replaced, and with nothing in the database that opens anything."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rlhf_core.errors import PeopleError
from rlhf_core.feedback.people import DAY, PeopleStore
from tests.clock import START, Clock


@pytest.fixture
def people(url: str, clock: Clock) -> Iterator[PeopleStore]:
    with closing(PeopleStore(url, clock)) as store:
        yield store


def come_in(people: PeopleStore, token: str) -> str:
    """Open a link that must be in force, and return the cookie."""
    joined = people.join(token, "192.0.2.7")
    assert joined is not None
    return joined[0]


def test_a_link_lets_in_under_its_name_and_role_on_any_device(people: PeopleStore):
    token = people.invite(" Ana ", "labeller")
    first, second = come_in(people, token), come_in(people, token)
    assert first != second
    for cookie in (first, second):
        here = people.session(cookie)
        assert here and (here.name, here.role, here.expires_at) == ("Ana", "labeller", START + 14 * DAY)


def test_a_link_and_its_sessions_end_with_their_days(people: PeopleStore, clock: Clock):
    token = people.invite("Ana", "labeller", days=2)
    cookie = come_in(people, token)
    clock.now = START + 2 * DAY - 1
    assert people.session(cookie) and people.join(token)
    clock.now = START + 2 * DAY
    assert people.session(cookie) is None and people.join(token) is None
    assert [one.state for one in people.people()] == ["expired"]


def test_revoking_ends_the_link_and_every_session_at_once(people: PeopleStore):
    token, other = people.invite("Ana", "labeller"), people.invite("Ben", "labeller")
    cookies, kept = [come_in(people, token) for _ in range(2)], come_in(people, other)
    people.revoke("Ana", by="Olga")
    assert people.join(token) is None
    assert [people.session(cookie) for cookie in cookies] == [None, None]
    assert people.session(kept)
    assert [(one.name, one.state) for one in people.people()] == [("Ana", "revoked"), ("Ben", "in force")]


def test_a_new_link_takes_the_place_of_the_old_one_in_its_new_role(people: PeopleStore):
    old = people.invite("Ana", "labeller")
    cookie = come_in(people, old)
    new = people.invite("Ana", "reviewer")
    assert people.join(old) is None and people.session(cookie) is None
    here = people.session(come_in(people, new))
    assert here and here.role == "reviewer"
    assert [(one.name, one.role, one.sessions) for one in people.people()] == [("Ana", "reviewer", 1)]


def test_who_was_revoked_can_be_invited_again(people: PeopleStore):
    old = people.invite("Ana", "labeller")
    people.revoke("Ana")
    new = people.invite("Ana", "labeller")
    assert people.join(old) is None and people.join(new)


def test_leaving_ends_this_browser_only(people: PeopleStore):
    token = people.invite("Ana", "labeller")
    here, there = come_in(people, token), come_in(people, token)
    people.leave(here)
    people.leave(here)
    assert people.session(here) is None and people.session(there)
    assert people.people()[0].sessions == 1
    assert [event.what for event in people.events()].count("signed out") == 1


@pytest.mark.parametrize("token", ["", "nonsense", "\ud800", "é" * 500])
def test_a_wrong_secret_opens_nothing(people: PeopleStore, token: str):
    people.invite("Ana", "owner")
    assert people.join(token) is None and people.session(token) is None


def test_a_links_secret_is_no_cookie_and_a_cookie_no_link(people: PeopleStore):
    token = people.invite("Ana", "owner")
    cookie = come_in(people, token)
    assert people.session(token) is None and people.join(cookie) is None


def test_the_database_holds_hashes_alone(tmp_path: Path):
    path = tmp_path / "votes.db"
    with closing(PeopleStore(path)) as people:
        token = people.invite("Ana", "owner")
        cookie = come_in(people, token)
    with closing(sqlite3.connect(path)) as file:
        content = "\n".join(file.iterdump())
    for secret in (token, cookie):
        assert len(secret) == 43  # 32 bytes, 256 bits, in base 64 without padding
        assert secret not in content and hashlib.sha256(secret.encode()).hexdigest() in content


def test_what_happened_is_kept_with_when_by_whom_and_from_where(people: PeopleStore, clock: Clock):
    token = people.invite("Ana", "labeller", by="Olga")
    clock.now += 1
    cookie = come_in(people, token)
    clock.now += 1
    people.leave(cookie)
    clock.now += 1
    people.revoke("Ana")
    assert [(event.at[17:], event.name, event.what, event.by) for event in people.events()] == [
        ("00.000Z", "Ana", "invited as labeller", "Olga"),
        ("01.000Z", "Ana", "signed in", "192.0.2.7"),
        ("02.000Z", "Ana", "signed out", "Ana"),
        ("03.000Z", "Ana", "revoked", ""),
    ]


@pytest.mark.parametrize("name", ["", "  ", "a" * 61, "Ana\nBen", "A\u202ena"])
def test_a_name_must_be_one(people: PeopleStore, name: str):
    with pytest.raises(PeopleError, match=r"not a name .found .*Give 1 to 60 printable letters: votes are kept under"):
        people.invite(name, "labeller")


def test_equal_looking_names_are_one_person(people: PeopleStore):
    people.invite("Zoe\u0308", "labeller")  # e and a combining diaeresis
    people.invite("Zo\u00eb", "labeller")  # one letter
    assert [one.name for one in people.people()] == ["Zo\u00eb"]


def test_an_unknown_role_is_refused(people: PeopleStore):
    with pytest.raises(PeopleError, match=r"unknown role .found 'admin'.. Expected one of owner, reviewer, labeller"):
        people.invite("Ana", "admin")


@pytest.mark.parametrize("days", [0, -1, 366])
def test_an_invitation_lasts_a_day_to_a_year(people: PeopleStore, days: int):
    with pytest.raises(PeopleError, match=rf"an invitation lasts 1 to 365 days .found {days}."):
        people.invite("Ana", "owner", days)


def test_revoking_nobody_is_said(people: PeopleStore):
    with pytest.raises(PeopleError, match=r"nobody of that name was invited .found 'Ana'.. `rlhf people list`"):
        people.revoke("Ana")


def test_revoking_twice_is_said(people: PeopleStore):
    people.invite("Ana", "owner")
    people.revoke("Ana")
    with pytest.raises(PeopleError, match="Ana: revoked already"):
        people.revoke("Ana")
