"""`rlhf people`: a link printed once, who was invited, who came, and the end of a link."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from rlhf_core.cli import main
from rlhf_core.feedback.people import PeopleStore


@pytest.fixture
def votes(tmp_path: Path) -> str:
    return str(tmp_path / "votes.db")


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What the command prints on stdout."""
    with pytest.raises(SystemExit) as caught:
        main(["people", *words])
    assert caught.value.code == 0
    return capsys.readouterr().out


def refused(*words: str) -> str:
    """The message of a command that is refused."""
    with pytest.raises(SystemExit) as caught:
        main(["people", *words])
    return str(caught.value.code)


def test_a_link_is_printed_and_opens(votes: str, capsys: pytest.CaptureFixture[str]):
    link = run(
        capsys, "invite", "Ana", "--role", "labeller", "--url", "https://rlhf.example/", "--votes", votes
    ).strip()
    address, _, token = link.partition("/join/")
    assert address == "https://rlhf.example"
    with closing(PeopleStore(votes)) as people:
        joined = people.join(token, "192.0.2.7")
    assert joined and (joined[1].name, joined[1].role) == ("Ana", "labeller")
    assert run(capsys, "list", "--votes", votes).splitlines()[1].split()[:4] == ["Ana", "labeller", "in", "force"]
    assert "Ana  signed in  192.0.2.7" in run(capsys, "log", "--votes", votes)
    assert token not in run(capsys, "log", "--votes", votes)


def test_revoking_is_said_and_done(votes: str, capsys: pytest.CaptureFixture[str]):
    run(capsys, "invite", "Ana", "--role", "owner", "--votes", votes)
    assert "Ana is let in no more" in run(capsys, "revoke", "Ana", "--votes", votes)
    assert "revoked" in run(capsys, "list", "--votes", votes)
    assert refused("revoke", "Ana", "--votes", votes) == "error: Ana: revoked already"


def test_nobody_yet_is_said_with_the_way_out(votes: str):
    assert "nobody was invited yet. `rlhf people invite NAME --role owner`" in refused("list", "--votes", votes)
