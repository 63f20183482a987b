"""The `rlhf` command as tests call it: in this process, with what it says and how it ends."""

from __future__ import annotations

import pytest

from rlhf_core.cli import main


def succeed(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a command that must end well; return what it prints."""
    with pytest.raises(SystemExit) as caught:
        main([str(a) for a in arguments])
    assert caught.value.code in (0, None)
    return capsys.readouterr().out
