"""Save and restore training state. A torn file is found by its hash, and the checkpoint before it is used."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rlhf_core.data.io import write_json
from rlhf_core.errors import CheckpointError

KEEP = 2


def save_checkpoint(
    folder: Path, step: int, fingerprint: str, state: dict[str, Any], spared: Collection[int] = ()
) -> None:
    """Write `state` as `folder/step-NNNNNN/`, aside and renamed; keep the newest two, and those of the `spared` steps."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    data = buffer.getvalue()
    target = folder / _name(step)
    aside = folder / f".{target.name}.tmp"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    (aside / "state.pt").write_bytes(data)
    about = {"step": step, "fingerprint": fingerprint, "sha256": hashlib.sha256(data).hexdigest()}
    write_json(aside / "about.json", about)
    shutil.rmtree(target, ignore_errors=True)
    aside.replace(target)
    for old in _newest_first(folder)[KEEP:]:
        if old.name not in {_name(kept) for kept in spared}:
            shutil.rmtree(old, ignore_errors=True)


def load_checkpoint(folder: Path, fingerprint: str, step: int | None = None) -> tuple[int, dict[str, Any]] | None:
    """Return (step, state) of the newest whole checkpoint, or of the one at `step`; None when there is none.

    Raises:
        CheckpointError: the newest whole checkpoint was made from another model, configuration or data.
    """
    for path in _newest_first(folder) if step is None else [folder / _name(step)]:
        about = _read_about(path)
        if about is None:
            continue
        if about["fingerprint"] != fingerprint:
            raise CheckpointError(
                f"was made from another model, configuration or data ({about['fingerprint']}, expected {fingerprint})",
                where=path,
                remedy="Give this run another name (--set name=…), or move the folder away",
            )
        data = (path / "state.pt").read_bytes()
        return about["step"], torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    return None


def trainable_state(*modules: nn.Module) -> list[dict[str, torch.Tensor]]:
    """Return copies of the parameters that learn, one dict per module."""
    return [{n: p.detach().clone() for n, p in m.named_parameters() if p.requires_grad} for m in modules]


def restore_trainable(state: list[dict[str, torch.Tensor]], *modules: nn.Module) -> None:
    """Copy saved parameters back into the modules.

    Raises:
        CheckpointError: names or shapes differ.
    """
    for saved, module in zip(state, modules, strict=True):
        mine = {n: p for n, p in module.named_parameters() if p.requires_grad}
        if {n: p.shape for n, p in mine.items()} != {n: t.shape for n, t in saved.items()}:
            raise CheckpointError("the checkpoint's parameters are not this model's", where=type(module).__name__)
        with torch.no_grad():
            for name, parameter in mine.items():
                parameter.copy_(saved[name])


def _name(step: int) -> str:
    return f"step-{step:06d}"


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"), reverse=True)


def _read_about(path: Path) -> dict[str, Any] | None:
    """The checkpoint's description, or None when the checkpoint is torn."""
    try:
        about = json.loads((path / "about.json").read_text(encoding="utf-8"))
        whole = hashlib.sha256((path / "state.pt").read_bytes()).hexdigest() == about["sha256"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return about if whole else None
