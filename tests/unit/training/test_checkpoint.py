"""Checkpoints: whole or not at all, and only for the model they were made from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from rlhf_core.errors import CheckpointError
from rlhf_core.training.checkpoint import load_checkpoint, restore_trainable, save_checkpoint, trainable_state


def saved(folder: Path, *steps: int) -> Path:
    """Save one checkpoint a step, each holding its own number."""
    for step in steps:
        save_checkpoint(folder, step, "model", {"weight": torch.tensor([float(step)]), "beta": step / 7})
    return folder


def found(folder: Path) -> tuple[int, float]:
    """Return (step, weight) of the checkpoint that would be resumed from."""
    loaded = load_checkpoint(folder, "model")
    assert loaded is not None
    return loaded[0], loaded[1]["weight"].item()


def test_what_was_saved_comes_back(tmp_path: Path):
    """Claim 29: floats to the last bit."""
    loaded = load_checkpoint(saved(tmp_path, 3), "model")
    assert loaded is not None and loaded[0] == 3 and loaded[1]["beta"] == 3 / 7


def test_nothing_saved_is_nothing_found(tmp_path: Path):
    assert load_checkpoint(tmp_path / "none", "model") is None


def test_the_newest_two_are_kept(tmp_path: Path):
    saved(tmp_path, 2, 4, 10)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-000004", "step-000010"]
    assert found(tmp_path) == (10, 10.0)


def test_a_spared_checkpoint_stays_and_can_be_asked_for(tmp_path: Path):
    saved(tmp_path, 1, 2, 3)
    save_checkpoint(tmp_path, 4, "model", {}, spared=[2])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-000002", "step-000003", "step-000004"]
    loaded = load_checkpoint(tmp_path, "model", 2)
    assert loaded is not None and (loaded[0], loaded[1]["weight"].item()) == (2, 2.0)
    assert load_checkpoint(tmp_path, "model", 1) is None


@pytest.mark.parametrize(
    "damage", ["cut", "changed", "no state", "no description", "torn description", "empty description"]
)
def test_a_torn_checkpoint_is_passed_over_for_the_one_before(tmp_path: Path, damage: str):
    newest = saved(tmp_path, 1, 2) / "step-000002"
    state, about = newest / "state.pt", newest / "about.json"
    data = state.read_bytes()
    if damage == "cut":
        state.write_bytes(data[:-10])
    elif damage == "changed":
        state.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif damage == "no state":
        state.unlink()
    elif damage == "no description":
        about.unlink()
    else:
        about.write_text(about.read_text()[:20] if damage == "torn description" else "{}")
    assert found(tmp_path) == (1, 1.0)


def test_a_folder_left_by_a_killed_save_is_no_checkpoint(tmp_path: Path):
    saved(tmp_path, 1)
    (tmp_path / ".step-000002.tmp").mkdir()
    (tmp_path / ".step-000002.tmp" / "state.pt").write_bytes(b"half")
    assert found(tmp_path) == (1, 1.0)
    assert found(saved(tmp_path, 2)) == (2, 2.0)


def test_a_checkpoint_of_another_model_is_refused_with_both_fingerprints(tmp_path: Path):
    with pytest.raises(
        CheckpointError, match=r"step-000001: was made from another model.*\(model, expected other\).*--set name="
    ):
        load_checkpoint(saved(tmp_path, 1), "other")


def test_only_what_learns_is_saved_and_as_a_copy():
    layer = nn.Linear(2, 1)
    layer.bias.requires_grad_(False)
    (state,) = trainable_state(layer)
    assert set(state) == {"weight"}
    with torch.no_grad():
        layer.weight.add_(1)
    assert not torch.equal(state["weight"], layer.weight)
    restore_trainable([state], layer)
    assert torch.equal(state["weight"], layer.weight)


def test_parameters_of_another_shape_are_refused():
    with pytest.raises(CheckpointError, match=r"Linear: the checkpoint's parameters are not this model's"):
        restore_trainable(trainable_state(nn.Linear(2, 1)), nn.Linear(3, 1))
