"""`rlhf export`: what it writes, what it refuses, and that a folder is whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlhf_core import exporting
from rlhf_core.config import load_config
from rlhf_core.data.io import write_text
from rlhf_core.errors import ModelError
from tests.command import succeed
from tests.engine import tiny_policy
from tests.run_factory import write_run

TINY = Path(__file__).resolve().parents[2] / "configs" / "tiny.yaml"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run on the tiny model, with a tuned policy of which all weights were trained."""
    run = write_run(tmp_path / "demo")
    write_text(run / "config.yaml", load_config(TINY, ["name=demo", f"run_root={tmp_path}"]).to_yaml())
    tiny_policy(lora=None).save(run / "ppo" / "model")
    return run


def test_it_writes_a_folder_and_says_where(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()  # an empty folder is as good as none
    said = succeed(capsys, "export", run, tmp_path / "out").strip()
    assert said == f"{tmp_path}/out: README.md says how to load it"
    expected = {"config.json", "model.safetensors", "generation_config.json", "README.md", "chat_template.jinja"}
    assert expected | {"tokenizer.json", "tokenizer_config.json"} == {p.name for p in (tmp_path / "out").iterdir()}
    assert "license" not in (tmp_path / "out" / "README.md").read_text().split("---")[1]  # of `tiny` none is known
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_model_that_is_not_there_is_named(fail, run: Path, tmp_path: Path) -> None:
    text = fail("export", run, tmp_path / "out", "--stage", "reward")
    assert text.startswith(f"error: {run}: the run has no reward/model. It may not have got there yet, or not keep it;")
    assert "no such run" in fail("export", tmp_path / "gone", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten(fail, run: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    assert fail("export", run, tmp_path / "out") == (
        f"error: {tmp_path}/out: is there already. Name a folder that is new or empty"
    )
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine.txt"]
    assert "is there already" in fail("export", run, tmp_path / "out" / "mine.txt")


def test_an_adapter_is_refused_where_there_is_none(fail, run: Path, tmp_path: Path) -> None:
    text = fail("export", run, tmp_path / "out", "--adapter")
    assert text.endswith("ppo/model: has no adapter: all its weights were trained. Leave out --adapter")
    (run / "reward" / "model").mkdir(parents=True)
    text = fail("export", run, tmp_path / "out", "--stage", "reward", "--adapter")
    assert "a reward model leaves whole: its scores are normalised in its head. Leave out --adapter" in text
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".*.tmp"))


def test_a_failure_on_the_way_leaves_nothing(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> str:
        raise ModelError("no card")

    monkeypatch.setattr(exporting, "render_card", fails)
    with pytest.raises(ModelError, match="no card"):
        exporting.export_model(exporting.ExportRequest(run, tmp_path / "new" / "out", "ppo", False, "none.db"))
    assert list((tmp_path / "new").iterdir()) == []
