"""docs/endpoints.md: every example is run, against a local server where it names one."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rlhf_core.cli import main
from rlhf_core.config import load_config
from rlhf_core.config.endpoint import EndpointConfig
from rlhf_core.data.datasets import load_datasets
from rlhf_core.data.io import write_jsonl
from rlhf_core.data.records import ContenderCompletion
from rlhf_core.feedback.store import VoteStore
from rlhf_core.runs.directory import RunDirectory
from tests.endpoint_server import Served, serving
from tests.vote_factory import make_spec

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs" / "endpoints.md").read_text(encoding="utf-8")
LINES = [line for block in re.findall(r"^```sh\n(.*?)^```", DOC, re.M | re.S) for line in block.splitlines()]
COMMANDS = [line for line in LINES if line.startswith(("rlhf contender", "rlhf auto-judge"))]
ADDRESS = "http://127.0.0.1:8000/v1"


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A folder as the page assumes it: a finished run with two contenders, prompts, somebody's answers, and a task."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RLHF_CACHE", str(tmp_path / "cache"))
    config = load_config(
        ROOT / "configs" / "tiny.yaml", [f"run_root={tmp_path / 'runs'}", "name=quickstart", "data.limit=8"]
    )
    RunDirectory(config.run_path).create(config.to_yaml(), 0)
    prompts = load_datasets(config.data).eval_prompts
    for name in ("base", "tuned"):
        rows = [
            ContenderCompletion(prompt_id=p.id, prompt=p.prompt, contender=name, text=f"{name} {p.id}", tokens=1, finished=True)
            for p in prompts
        ]  # fmt: skip
        write_jsonl(config.run_path / "completions" / f"{name}.jsonl", rows)
    write_jsonl(tmp_path / "answers" / "human.jsonl", [{"prompt_id": p.id, "text": "I think so."} for p in prompts])
    write_jsonl(tmp_path / "sample_data" / "prompts.jsonl", prompts)
    with closing(VoteStore(tmp_path / "runs" / "votes.db")) as store:
        assert store.ensure_task(make_spec(3)) == 1
    with serving(answer=lambda _: "So.\nVerdict: tie") as found:
        yield found


@pytest.mark.parametrize("line", COMMANDS)
def test_an_example_does_what_it_says(served: Served, line: str):
    words = shlex.split(line.replace(ADDRESS, served.url))[1:]
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 0
    written = [file for file in Path().rglob("*.jsonl") if "cache" not in file.parts]
    expected = {
        "add": f"{words[3]}.jsonl",
        "write": Path(words[3]).name,
        "runs/quickstart": "qwen3.jsonl",
        "1": "qwen-qwen3-0-6b.jsonl",
    }
    assert expected[words[1]] in {file.name for file in written}
    assert bool(served.bodies) == ("--endpoint" in words)


def test_the_page_shows_every_command_in_every_way():
    assert len(COMMANDS) == 7 and "rlhf evaluate runs/quickstart/config.yaml" in LINES


def test_the_table_names_every_setting_with_its_default():
    named = set(re.findall(r"`([a-z_]+)(?:\.FIELD)?`", "".join(re.findall(r"^\| `.*?\| ", DOC, re.M))))
    assert named == set(EndpointConfig.model_fields) - {"url", "model"}
    for name in ("concurrency", "timeout", "retries"):
        assert re.search(rf"^\| `{name}` \| {EndpointConfig.model_fields[name].default} \|", DOC, re.M)
