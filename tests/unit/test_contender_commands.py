"""`rlhf contender`: answers from an endpoint, a model or a file, beside a run's own, and the key that is written nowhere."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlhf_core.config import PipelineConfig, load_config
from rlhf_core.data.datasets import load_datasets
from rlhf_core.data.io import read_jsonl, write_jsonl, write_text
from rlhf_core.data.records import ContenderCompletion, Prompt
from rlhf_core.judging import read_contenders
from rlhf_core.pipeline import stage_inputs
from rlhf_core.runs.directory import RunDirectory
from rlhf_core.runs.reader import RunReader
from rlhf_core.stages import run_generate
from tests.command import succeed
from tests.endpoint_server import Fault, Served, completion, serving
from tests.engine import make_stage

ROOT = Path(__file__).resolve().parents[2]
SECRET = "sk-never-written-0123456789"


@pytest.fixture
def config(tmp_path: Path) -> PipelineConfig:
    """A run that has its configuration and nothing else yet; eight prompts of it are held out."""
    small = ["data.limit=8", "generate.contenders=[base]", "generate.max_new_tokens=6", "generate.top_p=0.9"]
    config = load_config(ROOT / "configs" / "tiny.yaml", [f"run_root={tmp_path / 'runs'}", *small])
    RunDirectory(config.run_path).create(config.to_yaml(), config.seed)
    return config


@pytest.fixture
def prompts(config: PipelineConfig) -> list[Prompt]:
    return load_datasets(config.data).eval_prompts


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("RLHF_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving() as found:
        yield found


def answers(config: PipelineConfig, name: str) -> list[ContenderCompletion]:
    return read_jsonl(config.run_path / "completions" / f"{name}.jsonl", ContenderCompletion)


def source(config: PipelineConfig, name: str) -> dict[str, object]:
    return json.loads((config.run_path / "completions" / f"{name}.source.json").read_text())


def test_an_endpoint_answers_as_the_runs_own_contenders_are_asked(
    config: PipelineConfig, prompts: list[Prompt], served: Served, capsys: pytest.CaptureFixture[str]
):
    said = succeed(
        capsys, "contender", "add", config.run_path, "expert", "--endpoint", served.url, "--model", "m/1",
        "--set", "temperature=0", "--set", "extra.min_p=0.1",
    )  # fmt: skip
    assert f"{config.run_path}/completions/expert.jsonl: 8 answers\n" in said
    assert f"Next: rlhf evaluate {config.run_path}/config.yaml" in said and "expert: done in" in said
    assert sorted(served.asked) == sorted(p.prompt for p in prompts)
    sent = {"temperature": 0, "max_tokens": 6, "top_p": 0.9, "min_p": 0.1}
    assert all(
        {name: body[name] for name in body if name not in ("model", "messages")} == sent for body in served.bodies
    )
    assert served.bodies[0]["messages"][0] == {"role": "system", "content": config.policy.system_prompt}
    assert answers(config, "expert") == [
        ContenderCompletion(
            prompt_id=p.id, prompt=p.prompt, category=p.category, contender="expert",
            text=f"Answer to: {p.prompt}", tokens=7, finished=True,
        )
        for p in prompts
    ]  # fmt: skip
    told = source(config, "expert")
    assert {name: told[name] for name in ("kind", "url", "model", "parameters", "answered_by")} == {
        "kind": "endpoint", "url": served.url, "model": "m/1", "parameters": sent, "answered_by": ["served-1"],
    }  # fmt: skip
    assert RunReader(config.run_path).contenders() == ["expert"]


def test_a_conversation_is_sent_turn_by_turn_and_read_as_one_text(tmp_path: Path, served: Served, capsys):
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    write_jsonl(tmp_path / "p.jsonl", [{"id": "c", "prompt": "Why?", "history": turns}])
    out = tmp_path / "out" / "expert.jsonl"
    succeed(capsys, "contender", "write", tmp_path / "p.jsonl", out, "--endpoint", served.url, "--model", "m")
    assert served.bodies[0]["messages"] == [*turns, {"role": "user", "content": "Why?"}]
    assert {name: served.bodies[0][name] for name in ("temperature", "max_tokens")} == {
        "temperature": 0.7,
        "max_tokens": 256,
    }
    (row,) = read_jsonl(out, ContenderCompletion)
    assert row.prompt == "User: Hi\n\nAssistant: Hello\n\nUser: Why?"
    assert [turn.model_dump() for turn in row.history] == turns


def test_the_key_is_in_the_request_and_in_nothing_that_is_written(
    config: PipelineConfig, served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, fail
):
    """An endpoint that says the key back in an answer and in an error, a run, a task file, the cache, and what is printed."""
    monkeypatch.setenv("MY_KEY", SECRET)
    asked = ("--endpoint", served.url, "--model", "m", "--set", "key_variable=MY_KEY", "--set", "retries=0")
    served.answer = lambda _: f"Your key is {SECRET}"
    said = succeed(capsys, "contender", "add", config.run_path, "expert", *asked)
    served.faults = [Fault(500, f"<h1>{SECRET}</h1>")]
    said += fail("contender", "add", config.run_path, "other", *asked, "--set", "seed=1", "--set", "concurrency=1")
    assert "the server failed (500), at prompt" in said and "<h1>[key]</h1>" in said
    assert {headers["Authorization"] for headers in served.headers} == {f"Bearer {SECRET}"}
    written = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(written) >= 5 and any("cache" in file.parts for file in written)
    assert [file for file in written if SECRET.encode() in file.read_bytes()] == [] and SECRET not in said
    assert answers(config, "expert")[0].text == "Your key is [key]"


@pytest.mark.parametrize(
    ("setting", "what"),
    [
        ("temprature=1", "temprature: unknown key; did you mean `temperature`?"),
        ("temperature=-1", "temperature: Input should be greater than or equal to 0 (found -1)"),
        ("extra.messages=[]", "extra: messages cannot be set (found {'messages': []})"),
        ("url=ftp://x/v1", "url: expected http:// or https:// and a host, such as http://127.0.0.1:8000/v1"),
        ("url=http://me:pw@x/v1", "url: keys, passwords and query strings do not belong in an address"),
        ("url=https://x/v1?key=1", "url: keys, passwords and query strings do not belong in an address"),
        ("key_variable=sk-123", "key_variable: String should match pattern"),
    ],
)
def test_a_setting_that_is_none_is_said(config: PipelineConfig, setting: str, what: str, fail):
    said = fail("contender", "add", config.run_path, "x", "--endpoint", "http://x/v1", "--model", "m", "--set", setting)
    assert f"error: --endpoint: \n  {what}" in said and "`rlhf contender --help` lists the settings" in said


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--endpoint", "http://x/v1"),
        ("--model", "tiny", "--completions", "x.jsonl"),
        ("--completions", "x", "--endpoint", "http://x"),
    ],
)
def test_a_contender_has_one_source(config: PipelineConfig, options: tuple[str, ...], fail):
    said = fail("contender", "add", config.run_path, "x", *options)
    assert said.startswith("error: a contender has one source. Give --model FOLDER|HUB-ID, --endpoint URL with --model")


def test_answers_that_are_there_have_no_settings(config: PipelineConfig, fail):
    said = fail("contender", "add", config.run_path, "x", "--completions", "x.jsonl", "--set", "seed=1")
    assert "--set: nothing can be set for answers that are there (found 'seed=1')" in said


@pytest.mark.parametrize("name", ["base", "sft", "tuned", "best-of-4", "round-1"])
def test_the_runs_own_names_are_taken(config: PipelineConfig, name: str, fail):
    assert f"error: {name}: is a contender of the run itself" in fail(
        "contender", "add", config.run_path, name, "--model", "tiny"
    )


def test_a_name_is_a_file_name_everywhere(config: PipelineConfig, tmp_path: Path, fail):
    assert "digits, dashes and underscores (found '../x')" in fail(
        "contender", "add", config.run_path, "../x", "--model", "tiny"
    )
    write_jsonl(tmp_path / "p.jsonl", [{"id": "a", "prompt": "Why?"}])
    assert "OUT: expected a file NAME.jsonl, NAME being the contender" in fail(
        "contender", "write", tmp_path / "p.jsonl", tmp_path / "x.json", "--model", "tiny"
    )


def test_no_run_is_said(tmp_path: Path, fail):
    assert f"{tmp_path / 'no'}: no such run" in fail("contender", "add", tmp_path / "no", "x", "--model", "tiny")


def test_repeated_ids_are_refused(tmp_path: Path, fail):
    write_jsonl(tmp_path / "p.jsonl", [{"id": "a", "prompt": "Why?"}] * 2)
    said = fail("contender", "write", tmp_path / "p.jsonl", tmp_path / "x.jsonl", "--model", "tiny")
    assert "ids repeat (found ['a']). Give every row an id of its own" in said


def test_a_model_answers_beside_the_runs_own_and_goes_on_where_it_was(
    config: PipelineConfig, prompts: list[Prompt], capsys: pytest.CaptureFixture[str]
):
    """The same answers as before when it is repeated; others with another seed."""
    line = ("contender", "add", config.run_path, "again", "--model", "tiny")
    said = succeed(capsys, *line)
    assert f"{config.run_path}/completions/again.jsonl: 8 answers" in said
    first = answers(config, "again")
    assert [row.prompt_id for row in first] == [p.id for p in prompts] and first[0].contender == "again"
    assert all(row.tokens <= 6 for row in first)
    stamp = (config.run_path / "completions" / "again.jsonl").stat().st_mtime_ns
    succeed(capsys, *line)
    assert (config.run_path / "completions" / "again.jsonl").stat().st_mtime_ns == stamp
    succeed(capsys, *line, "--set", "seed=5", "--set", "max_tokens=4")
    other = answers(config, "again")
    assert [row.text for row in other] != [row.text for row in first] and max(row.tokens for row in other) <= 4
    told = source(config, "again")
    assert {name: told[name] for name in ("kind", "model", "seed", "max_tokens")} == {
        "kind": "model", "model": "tiny", "seed": 5, "max_tokens": 4,
    }  # fmt: skip


def test_a_model_writes_a_completions_file_for_a_task(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_jsonl(tmp_path / "p.jsonl", [{"id": "a", "prompt": "Why?"}, {"id": "b", "prompt": "How?"}])
    out = tmp_path / "answers" / "small.jsonl"
    succeed(capsys, "contender", "write", tmp_path / "p.jsonl", out, "--model", "tiny", "--set", "max_tokens=5")
    (rows,) = read_contenders([out])
    assert [(row.prompt_id, row.contender, row.category) for row in rows] == [("a", "small", ""), ("b", "small", "")]


def test_answers_that_are_there_are_matched_by_id_or_by_text(
    config: PipelineConfig, prompts: list[Prompt], tmp_path: Path, capsys
):
    given = [
        {"prompt_id": prompts[0].id, "text": "one", "contender": "whoever", "tokens": 3, "finished": False},
        {"prompt": prompts[1].prompt, "text": "two"},
        {"prompt_id": "elsewhere", "text": "three"},
    ]
    write_jsonl(tmp_path / "given.jsonl", given)
    said = succeed(capsys, "contender", "add", config.run_path, "human", "--completions", tmp_path / "given.jsonl")
    assert "human.jsonl: 2 answers, 1 cut by a limit, 6 prompts without an answer\n" in said
    rows = answers(config, "human")
    assert [(r.prompt_id, r.text, r.contender, r.tokens, r.finished) for r in rows] == [
        (prompts[0].id, "one", "human", 3, False),
        (prompts[1].id, "two", "human", None, None),
    ]
    assert source(config, "human")["file"] == str(tmp_path / "given.jsonl")


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([{"prompt_id": "x", "text": "a"}], "answers none of the prompts (found ["),
        ([{"prompt_id": "0", "text": "a"}, {"prompt_id": "0", "text": "b"}], "prompts are answered several times."),
        ([{"prompt_id": "0", "prompt": "Another?", "text": "a"}], "is another prompt here (found 'Another?')"),
        ([{"text": "a"}], "given.jsonl:1: expected prompt_id, or else prompt, to say what is answered"),
    ],
)
def test_answers_that_do_not_fit_are_refused(
    config: PipelineConfig, prompts: list[Prompt], tmp_path: Path, rows: list[dict[str, str]], what: str, fail
):
    """The id 0 stands for the first prompt's."""
    known = [row | {"prompt_id": prompts[0].id} if row.get("prompt_id") == "0" else row for row in rows]
    write_jsonl(tmp_path / "given.jsonl", known)
    assert what in fail("contender", "add", config.run_path, "human", "--completions", tmp_path / "given.jsonl")
    assert RunReader(config.run_path).contenders() == []


def test_a_run_scores_what_was_added_and_never_throws_it_away(
    config: PipelineConfig, served: Served, capsys: pytest.CaptureFixture[str]
):
    """`evaluate` depends on added answers, `generate` does not: it leaves them alone when it makes its own anew."""
    before = [stage_inputs(config, name) for name in ("generate", "evaluate")]
    succeed(capsys, "contender", "add", config.run_path, "expert", "--endpoint", served.url, "--model", "m")
    after = [stage_inputs(config, name) for name in ("generate", "evaluate")]
    assert after[0] == before[0] and after[1] != before[1]
    own = config.run_path / "completions" / "base.jsonl"
    write_text(own, "of other inputs")
    run_generate(config, load_datasets(config.data), make_stage(config.run_path, "generate", inputs=after[0]))
    assert len(answers(config, "expert")) == len(answers(config, "base")) == 8
    served.answer = lambda _: completion("Something else")
    succeed(
        capsys,
        "contender",
        "add",
        config.run_path,
        "expert",
        "--endpoint",
        served.url,
        "--model",
        "m",
        "--set",
        "seed=1",
    )
    assert stage_inputs(config, "evaluate") not in (before[1], after[1])


def test_a_run_that_is_being_written_is_left_alone(config: PipelineConfig, fail, monkeypatch: pytest.MonkeyPatch):
    write_text(config.run_path / "writer.pid", "1")
    assert "process 1 is already writing this run" in fail("contender", "add", config.run_path, "x", "--model", "tiny")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_goes_on_where_it_was(tmp_path: Path, served: Served, capsys, sent: signal.Signals):
    """Stopped after at least three of eight answers; the second time asks for no more than the rest and what was under way."""
    write_jsonl(tmp_path / "p.jsonl", [{"id": f"p{n}", "prompt": f"Is it {n}?"} for n in range(8)])
    served.seconds, out = 0.2, tmp_path / "expert.jsonl"
    words = ["contender", "write", tmp_path / "p.jsonl", out, "--endpoint", served.url, "--model", "m"]
    line = [sys.executable, "-m", "rlhf_core", *map(str, words), "--set", "concurrency=1"]
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # tests in the background ignore Ctrl-C, and who they start
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        signal.signal(signal.SIGINT, before)
        while len(served.bodies) < 4:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(sent)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "interrupted; the same command goes on where it was\n")
    assert not out.exists()
    succeed(capsys, *words)
    assert len(read_jsonl(out, ContenderCompletion)) == 8 and len(set(served.asked)) == 8
    assert len(served.bodies) <= 9
