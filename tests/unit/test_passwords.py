"""Passwords are in nothing that is written or shown, and what is left of an address opens the same database."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from rlhf_core.cli import main
from rlhf_core.data.io import write_json
from rlhf_core.errors import VoteError
from rlhf_core.feedback.database import Database
from rlhf_core.feedback.store import VoteStore
from rlhf_core.passwords import without_password
from rlhf_core.report.facts import _run
from rlhf_core.rounds.begin import RoundRequest, begin_round
from rlhf_core.runs import launch
from rlhf_core.runs.directory import RunDirectory
from rlhf_core.runs.reader import RunReader
from tests.postgres import Server, running_server
from tests.round_factory import judge_all, write_parent

SECRET = "geheim-7341"


@pytest.mark.parametrize(
    ("typed", "left"),
    [
        ("postgresql://olga:se:c/r et?@db:5432/votes", "postgresql://olga@db:5432/votes"),
        ("postgresql+psycopg://olga:p@ss@db/votes", "postgresql+psycopg://olga@db/votes"),
        ("--votes=postgres://olga:secret@db/votes", "--votes=postgres://olga@db/votes"),
        ("postgresql://:secret@/votes?host=/run", "postgresql://@/votes?host=/run"),
        ("postgresql://olga@db/votes?password=secret", "postgresql://olga@db/votes"),
        ("postgresql://db/v?sslpassword=x&PASSWORD=y&user=olga&z=1", "postgresql://db/v?user=olga&z=1"),
        ("https://me:secret@host:80/v1 then", "https://me@host:80/v1 then"),
    ],
)
def test_the_password_goes_and_the_rest_stays(typed: str, left: str):
    assert without_password(typed) == left


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://olga@db:5432/votes", "postgresql://db:5432/votes", "http://127.0.0.1:8000/v1 and mail a@b.org",
        "Is a:b@c?password=d right?", "runs/quickstart", "votes at sqlite:///tmp/votes.db",
    ],
)  # fmt: skip
def test_what_holds_no_password_stays_as_it_is(text: str):
    assert without_password(text) == text


def test_no_error_of_ours_says_one():
    long = f"postgresql://olga:{SECRET * 20}@db/votes"
    error = VoteError("cannot be used", where=long, value=long, remedy=f"Give another than {long}")
    assert str(error) == (
        "postgresql://olga@db/votes: cannot be used (found 'postgresql://olga@db/votes'). "
        "Give another than postgresql://olga@db/votes"
    )


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            f"postgresql://olga:{SECRET}@db@x/votes",
            "postgresql://olga@x/votes: holds more than one @. Write an @ in a .* as %40",
        ),
        (
            f"postgresql://olga:{SECRET}@db:port/votes",
            r"not a database URL \(found 'postgresql://olga@db:port/votes'\)",
        ),
        (
            f"postgresql://olga:{SECRET}@/votes?host=/nowhere",
            r"postgresql\+psycopg://olga@/votes.*the vote store cannot be written",
        ),
    ],
)
def test_an_address_that_cannot_be_used_is_named_without_its_password(url: str, message: str):
    with pytest.raises(VoteError, match=message) as caught:
        Database(url)
    assert SECRET not in str(caught.value)


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """The URL, without a password, of a vote database that asks Olga for hers."""
    with running_server() as server:
        url = server.database()
        _ask_for_passwords(server, url)
        yield url.replace("postgres@", "olga@")


def _ask_for_passwords(server: Server, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE olga LOGIN PASSWORD '{SECRET}'")
        connection.execute("GRANT ALL ON SCHEMA public TO olga")
        rules = server.folder / "data" / "pg_hba.conf"
        rules.write_text(f"local all olga scram-sha-256\n{rules.read_text()}")
        connection.execute("SELECT pg_reload_conf()")


def with_password(url: str) -> str:
    return url.replace("olga@", f"olga:{SECRET}@")


def opens(url: str) -> bool:
    with closing(VoteStore(url)) as store:
        return store.tasks() is not None


def test_a_password_is_looked_for_in_the_environment(guarded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
    monkeypatch.delenv("PGPASSWORD", raising=False)
    said = "Passwords are kept nowhere: set PGPASSWORD, or write it into ~/.pgpass"
    with pytest.raises(VoteError, match=f"cannot be written: .*no password supplied.*{said}"):
        VoteStore(guarded)
    monkeypatch.setenv("PGPASSWORD", "wrong")
    with pytest.raises(VoteError, match=f"password authentication failed for user .olga.*{said}"):
        VoteStore(guarded)
    monkeypatch.setenv("PGPASSWORD", SECRET)
    assert opens(guarded)
    monkeypatch.delenv("PGPASSWORD")
    (tmp_path / "pgpass").write_text(f"*:*:*:olga:{SECRET}\n")
    (tmp_path / "pgpass").chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pgpass"))
    assert opens(guarded)


def everything_under(folder: Path) -> str:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 10
    return "\n".join(path.read_bytes().decode("utf-8", "replace") for path in files)


def test_a_round_begun_with_a_password_holds_it_nowhere_and_resumes_without(
    guarded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """As `rlhf round` does it, up to its training, and as the Runs page resumes it: by the command that stands there."""
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
    run, typed = write_parent(tmp_path), with_password(guarded)
    judge_all(run, lambda n: "tuned", database=typed)
    monkeypatch.setattr(sys, "argv", ["rlhf", "round", str(run), "--votes", typed])
    monkeypatch.chdir(tmp_path)
    begun = begin_round(RoundRequest(run, votes=typed))
    RunDirectory(begun.path).create(begun.config.to_yaml(), 0)
    for arguments in (
        ["task", "list"],
        ["task", "export", "1", str(tmp_path / "v.jsonl"), "--format", "votes"],
        ["round", "x"],
    ):
        with pytest.raises(SystemExit):
            main([*arguments, "--votes", typed])
    said = capsys.readouterr()
    assert SECRET not in everything_under(tmp_path) + said.out + said.err
    command = json.loads((begun.path / "env.json").read_text())["command"]
    assert shlex.split(command) == ["rlhf", "round", str(run), "--votes", guarded]
    arguments, _ = launch._of_a_round(begun.path)
    assert arguments[-1] == guarded
    monkeypatch.setenv("PGPASSWORD", SECRET)
    assert begin_round(RoundRequest(run, votes=arguments[-1])).notes[0].startswith("The round was begun before")


def test_a_process_that_is_refused_leaves_no_password_in_its_log(
    guarded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
    wrong = guarded.replace("olga@", f"olga:not-{SECRET}@")
    process = launch.spawn(["task", "list", "--votes", wrong], tmp_path / "run.log", tmp_path)
    assert process.wait() == 1
    log = (tmp_path / "run.log").read_text()
    assert SECRET not in log and "password authentication failed" in log and "set PGPASSWORD" in log


def test_what_an_older_run_wrote_is_not_shown(tmp_path: Path):
    run = write_parent(tmp_path)
    write_json(
        run / "env.json", {"command": f"rlhf round {run} --votes postgresql://olga:{SECRET}@db/votes", "folder": "/"}
    )
    shown = f"rlhf round {run} --votes postgresql://olga@db/votes"
    assert RunReader(run).environment["command"] == shown == _run(RunReader(run)).command
