"""docs/formats/curves.md: its files are written, its code runs, and prints what stands below it."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import pytest
import yaml

from rlhf_core.config import LogConfig
from rlhf_core.runs.foreign import FORMATS
from rlhf_core.runs.reader import RunReader, list_runs
from rlhf_core.runs.sinks import OPENERS

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "formats" / "curves.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_every_example_does_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    printed, compared = "", 0
    for kind, file, text in BLOCKS:
        if file:
            Path(file).write_text(text, encoding="utf-8")
        elif kind == "python":
            with redirect_stdout(io.StringIO()) as out:
                exec(text, names)
            printed = out.getvalue()
        elif kind == "text":
            assert printed == text
            compared += 1
    assert compared == 7
    runs = {path.name for path in list_runs("runs")}
    assert runs == {"theirs", "long", "chart-calm-sea-1", "chart-wild-owl-2", "trainer", "trackio", "again"}
    assert RunReader("runs/again").metrics("ppo")["objective/kl"].tolist() == [0.5]


def test_the_configuration_of_the_page_is_one():
    (section,) = [yaml.safe_load(text) for kind, _, text in BLOCKS if kind == "yaml"]
    assert LogConfig(**section["log"]).to == tuple(OPENERS)


def test_every_format_stands_in_the_table():
    assert re.findall(r"^\| `([\w-]+)` \|", PAGE, re.MULTILINE) == list(FORMATS)
