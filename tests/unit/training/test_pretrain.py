"""Pretraining: the loss, accumulation, perplexity and bits per byte, early stop, resuming, and that it learns."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rlhf_core.config import OptimConfig
from rlhf_core.config.pretrain import ModelConfig, PretrainConfig
from rlhf_core.data.tokens import Windows
from rlhf_core.models.scratch import new_language_model
from rlhf_core.models.tiny import byte_tokenizer
from rlhf_core.training import pretrain
from rlhf_core.training.pretrain import (
    accumulate,
    bits_per_byte,
    held_out_nll,
    micro_batches,
    next_token_nll,
    train_language_model,
)
from rlhf_core.training.stage import Stage
from tests.engine import Stop, logged, make_stage, stop_at

CONTEXT = 8
TEXT = b"the cat sat on the mat; the cat ate. " * 5


def config(**fields: Any) -> PretrainConfig:
    small: dict[str, Any] = {
        "name": "x", "text": ("a.txt",), "epochs": 2, "batch_size": 4, "micro_batch_size": 4, "eval_every": 2,
        "checkpoint_every": 3, "dtype": "float32", "optim": OptimConfig(lr=1e-2, warmup_ratio=0.2),
    }  # fmt: skip
    return PretrainConfig.model_validate(small | fields)


def tiny_lm() -> Any:
    """A model of one layer with a byte tokenizer's 259 ids, the same at every call."""
    settings = ModelConfig(layers=1, width=16, heads=2, kv_heads=1, context=CONTEXT)
    return new_language_model(settings, byte_tokenizer(), torch.Generator().manual_seed(0))


def windows(text: bytes, context: int = CONTEXT) -> Windows:
    return Windows(np.frombuffer(text, dtype=np.uint8).astype(np.int32), context, len(text))


def gradients(lm: Any, settings: PretrainConfig, rows: Windows) -> list[torch.Tensor]:
    lm.zero_grad()
    accumulate(lm, list(rows), settings)
    return [p.grad.clone() for p in lm.parameters()]


def train(path: Path, report: Any = None, **fields: Any) -> tuple[Stage, Any]:
    """Train on six batches or so; return stage and model."""
    lm, stage = tiny_lm(), make_stage(path, "pretrain", report=report)
    train_language_model(lm, windows(TEXT), windows(TEXT[:60]), config(**fields), stage)
    return stage, lm


def test_the_loss_is_the_cross_entropy_of_plain_transformers():
    """The library shifts labels itself and averages over the 3 · 8 targets of three windows."""
    lm, ids = tiny_lm(), torch.arange(27).reshape(3, 9) * 7 % 259
    plain = lm(input_ids=ids, labels=ids).loss.item()
    assert next_token_nll(lm, ids, torch.float32).item() / 24 == pytest.approx(plain, rel=1e-5)


def test_a_later_token_changes_no_earlier_prediction():
    """Causal: the cost of two tokens is the same whatever third follows, up to that third token's own cost."""
    lm = tiny_lm()
    two = next_token_nll(lm, torch.tensor([[5, 6, 7]]), torch.float32)
    for last in (8, 200):
        ids = torch.tensor([[5, 6, 7, last]])
        cost = -lm(ids[:, :-1]).logits[0, -1].log_softmax(-1)[last]
        assert next_token_nll(lm, ids, torch.float32).item() == pytest.approx((two + cost).item(), rel=1e-5)


def test_accumulation_changes_nothing():
    """Claim 8: 6 windows, the last of 3 targets instead of 8, at once or one by one."""
    lm, rows = tiny_lm(), windows(TEXT[:44])
    assert [len(row) for row in rows] == [9] * 5 + [4]
    one = gradients(lm, config(batch_size=8, micro_batch_size=8), rows)
    each = gradients(lm, config(batch_size=8, micro_batch_size=1), rows)
    assert any(g.abs().max() > 1e-3 for g in one)
    for a, b in zip(one, each, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-4)
    loss = sum(next_token_nll(lm, torch.from_numpy(row)[None], torch.float32).item() for row in rows) / 43
    assert accumulate(lm, list(rows), config()) == pytest.approx(loss, rel=1e-5)


def test_a_short_window_is_a_micro_batch_of_its_own():
    shapes = [tuple(ids.shape) for ids in micro_batches(list(windows(TEXT[:44])), 2)]
    assert shapes == [(2, 9), (2, 9), (1, 9), (1, 4)]


def test_a_model_that_knows_nothing_pays_the_logarithm_of_the_vocabulary():
    """All weights 0: each of 259 ids has probability 1/259, so perplexity 259; 59 targets over a text of 60 bytes."""
    lm = tiny_lm()
    with torch.no_grad():
        lm.get_output_embeddings().weight.zero_()
    row = pretrain.measure(lm, windows(TEXT[:60]), config(micro_batch_size=2))
    assert row["eval/loss"] == pytest.approx(math.log(259), rel=1e-6)
    assert row["eval/perplexity"] == pytest.approx(259, rel=1e-5)
    assert row["eval/bits_per_byte"] == pytest.approx(59 * math.log2(259) / 60, rel=1e-6)


def test_bits_per_byte_by_hand():
    """Three fair coins for two bytes: 3·ln 2 nats are 3 bits, 1.5 a byte."""
    assert bits_per_byte(3 * math.log(2), 2) == pytest.approx(1.5)


def test_training_learns_logs_and_keeps_the_best(tmp_path: Path):
    """185 bytes give 23 windows, 6 batches an epoch, 12 steps; perplexity is the exponential of the loss."""
    stage, lm = train(tmp_path)
    rows = logged(stage)
    held_out = [row for row in rows if "eval/loss" in row]
    assert [row["step"] for row in held_out] == [0, 2, 4, 6, 8, 10, 12]
    assert held_out[-1]["eval/loss"] < held_out[0]["eval/loss"] - 0.5
    assert all(row["eval/perplexity"] == pytest.approx(math.exp(row["eval/loss"])) for row in held_out)
    steps = [row for row in rows if "train/loss" in row]
    assert [row["step"] for row in steps] == list(range(1, 13))
    assert steps[-1]["optim/lr"] < steps[2]["optim/lr"] and steps[-1]["train/loss"] < steps[0]["train/loss"]
    best = min(row["eval/loss"] for row in held_out)
    assert held_out_nll(lm, windows(TEXT[:60]), config()) / 59 == pytest.approx(best, rel=1e-5)


def test_steps_may_be_counted_instead_of_epochs(tmp_path: Path):
    stage, _ = train(tmp_path, epochs=None, steps=7)
    assert max(row["step"] for row in logged(stage)) == 7


def test_training_stops_when_held_out_loss_stops_falling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Losses 5, 3, 4, 4 per token with a patience of 2 end the run at step 6, with the weights of step 2."""
    losses, seen = iter([5.0, 3.0, 4.0, 4.0, 1.0]), []

    def fake(lm: Any, held_out: Windows, settings: PretrainConfig) -> float:
        seen.append(lm.model.norm.weight.detach().clone())
        return next(losses) * held_out.targets

    monkeypatch.setattr(pretrain, "held_out_nll", fake)
    stage, lm = train(tmp_path, patience=2)
    assert [row["step"] for row in logged(stage) if "eval/loss" in row] == [0, 2, 4, 6]
    assert torch.equal(lm.model.norm.weight, seen[1]) and not torch.equal(lm.model.norm.weight, seen[3])


@pytest.mark.parametrize("stops", [[2], [3], [4, 8, 11], [12]])
def test_pretraining_resumes_as_if_nothing_had_happened(tmp_path: Path, stops: list[int]):
    """Claim 29, with a checkpoint every third step: before the first, on one, three times between, after the last."""
    whole, model = train(tmp_path / "whole")
    for step in stops:
        with pytest.raises(Stop):
            train(tmp_path / "cut", stop_at(step))
    resumed, again = train(tmp_path / "cut")
    assert logged(resumed) == logged(whole)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_in_bfloat16_the_weights_stay_float32_and_the_loss_is_close():
    lm, ids = tiny_lm(), torch.arange(27).reshape(3, 9)
    exact, rounded = (next_token_nll(lm, ids, dtype) for dtype in (torch.float32, torch.bfloat16))
    rounded.backward()
    assert rounded.dtype == torch.float32 and {p.grad.dtype for p in lm.parameters()} == {torch.float32}
    assert rounded.item() == pytest.approx(exact.item(), rel=1e-2) and rounded.item() != exact.item()
