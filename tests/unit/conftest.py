"""For tests of commands: one that must fail, and signals as they were before it; and a configuration in a file."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlhf_core.cli import main
from tests.config_factory import MINIMAL


@pytest.fixture(autouse=True)
def _signals_as_they_were() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def fail(capsys: pytest.CaptureFixture[str]):
    """Run a command that must fail; return what it says."""

    def run(*arguments: object, status: int = 1) -> str:
        capsys.readouterr()  # what was said before the command is not its
        with pytest.raises(SystemExit) as caught:
            main([str(a) for a in arguments])
        text = caught.value.code if isinstance(caught.value.code, str) else ""
        assert text.startswith("error: ") if text else caught.value.code == status
        assert status == 1 or not text  # sys.exit(text) means status 1
        return text + capsys.readouterr().err

    return run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration that says no more than it must."""
    path = tmp_path / "run.yaml"
    path.write_text(MINIMAL)
    return path
