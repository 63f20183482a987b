"""A PostgreSQL server of the tests' own, from the system's packages: started once, a fresh database for each test."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa

NEEDED = "RLHF_NEED_POSTGRESQL"
ACCOUNT = "postgres"  # of Debian's package: the server refuses to run as root
MEMORY = Path("/dev/shm")
OWNER = "owner"  # the file that holds the process of the tests


class Server:
    """A running server; `database()` makes a new database and returns its URL."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._numbers = folder, count(1)
        self._engine = sa.create_engine(self._url("postgres", "+psycopg"), isolation_level="AUTOCOMMIT")

    def database(self, like: str = "postgresql:///template1") -> str:
        """Return the URL of a new database: empty, or a copy of the one at the URL `like`, which nobody may be using."""
        name = f"votes_{next(self._numbers)}"
        with self._engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {sa.make_url(like).database}")
        return self._url(name)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _url(self, database: str, driver: str = "") -> str:
        return f"postgresql{driver}://{ACCOUNT}@/{database}?host={self.folder}"


def programs() -> Path | None:
    """Return the folder of the newest installed PostgreSQL's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@contextmanager
def running_server() -> Iterator[Server]:
    """Run a server in a folder of its own, reached through a socket in it; skip the test where none is installed."""
    if (bin_folder := programs()) is None:
        if os.environ.get(NEEDED):
            pytest.fail("PostgreSQL is not installed: scripts/system-packages.sh installs it")
        pytest.skip("PostgreSQL is not installed; `make test` installs it")
    _sweep(bin_folder)
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir=MEMORY))  # a socket's path may have 107 letters
    (folder / OWNER).write_text(str(os.getpid()))
    if os.geteuid() == 0:
        shutil.chown(folder, ACCOUNT)

    def run(program: str, *arguments: str) -> None:
        done = _run(bin_folder / program, folder, *arguments)
        assert done.returncode == 0, done.stdout

    run("initdb", "-U", ACCOUNT, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
    options = f"-c listen_addresses='' -k {folder} -c fsync=off -c max_connections=200"
    run("pg_ctl", "start", "-w", "-l", str(folder / "log"), "-o", options)
    server = Server(folder)
    try:
        yield server
    finally:
        server.close()
        run("pg_ctl", "stop", "-m", "immediate")
        shutil.rmtree(folder)


def _run(program: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    account = ["setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--clear-groups"] if os.geteuid() == 0 else []
    command = [*account, str(program), "-D", str(folder / "data"), *arguments]
    return subprocess.run(command, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _sweep(bin_folder: Path) -> None:
    """Stop the servers of tests that were killed, and give back the memory of their databases."""
    for owner in MEMORY.glob(f"pg-*/{OWNER}"):
        with suppress(FileNotFoundError):  # another process of the tests was faster
            if not Path("/proc", owner.read_text()).exists():
                _run(bin_folder / "pg_ctl", owner.parent, "stop", "-m", "immediate")
                shutil.rmtree(owner.parent, ignore_errors=True)
