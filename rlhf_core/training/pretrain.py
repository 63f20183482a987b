"""Pretraining: next-token cross-entropy on windows of plain text, early stop on held-out loss."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from rlhf_core.config.pretrain import PretrainConfig
from rlhf_core.data.tokens import Windows
from rlhf_core.models.policy import choose_dtype, fingerprint_of
from rlhf_core.ops.logprobs import token_logprobs
from rlhf_core.training.checkpoint import load_checkpoint, restore_trainable, save_checkpoint, trainable_state
from rlhf_core.training.optim import adamw, learning_rate, step_optimizer
from rlhf_core.training.sft import batch_at
from rlhf_core.training.stage import Stage

Window = NDArray[np.int64]


def train_language_model(lm: Any, train: Windows, held_out: Windows, config: PretrainConfig, stage: Stage) -> None:
    """Train every weight of `lm` on next tokens and leave it at its best held-out loss.

    Resumes from the stage's newest checkpoint. Logs train/loss, eval/loss, eval/perplexity, eval/bits_per_byte, optim/*.
    """
    per_epoch = math.ceil(len(train) / config.batch_size)
    total = config.steps or (config.epochs or 0) * per_epoch
    optimizer = adamw(lm.parameters(), config.optim)
    step, best, best_state, bad = 0, math.inf, trainable_state(lm), 0
    fingerprint = f"{fingerprint_of(lm)}:{stage.inputs}"
    if found := load_checkpoint(stage.directory.checkpoints, fingerprint):
        step, state = found
        restore_trainable(state["parameters"], lm)
        optimizer.load_state_dict(state["optimizer"])
        best, best_state, bad = state["best"], state["best_parameters"], state["bad"]
        stage.report(step, total, f"resumed at step {step}")
    stage.directory.rewind(step or -1)  # without a checkpoint, step 0 is logged again
    while step < total and bad < config.patience:
        if step == 0:
            best = log_held_out(lm, held_out, config, stage, 0)
        loss = accumulate(lm, batch_at(train, step, per_epoch, config.batch_size, stage), config)
        rate = learning_rate(step, total, config.optim)
        norm = step_optimizer(optimizer, rate, config.optim.max_grad_norm)
        step += 1
        stage.directory.log(step, {"train/loss": loss, "optim/lr": rate, "optim/grad_norm": norm})
        if step % config.eval_every == 0 or step == total:
            now = log_held_out(lm, held_out, config, stage, step)
            bad = 0 if now < best else bad + 1
            if now < best:
                best, best_state = now, trainable_state(lm)
        if step % config.checkpoint_every == 0 or step == total or bad == config.patience:
            state = {"parameters": trainable_state(lm), "optimizer": optimizer.state_dict()}
            state |= {"best": best, "best_parameters": best_state, "bad": bad}
            save_checkpoint(stage.directory.checkpoints, step, fingerprint, state)
        stage.report(step, total, f"loss {loss:.3f}, held-out {best:.3f}")
    restore_trainable(best_state, lm)


def accumulate(lm: Any, windows: Sequence[Window], config: PretrainConfig) -> float:
    """Backpropagate the mean −log p per predicted token of a batch, micro-batch by micro-batch; return it.

    Each micro-batch is divided by the number of tokens the whole batch predicts, so `1 × 8` accumulation equals `8 × 1`.
    """
    tokens = sum(len(window) - 1 for window in windows)
    total = 0.0
    for ids in micro_batches(windows, config.micro_batch_size):
        nll = next_token_nll(lm, ids, choose_dtype(config.dtype))
        (nll / tokens).backward()
        total += nll.item()
    return total / tokens


def micro_batches(windows: Sequence[Window], size: int) -> Iterator[Int[Tensor, "batch time"]]:
    """Yield windows of one length stacked: a text's last window is shorter than the rest, and nothing is padded."""
    for _, same in groupby(sorted(windows, key=len, reverse=True), key=len):
        rows = list(same)
        for start in range(0, len(rows), size):
            yield torch.from_numpy(np.stack(rows[start : start + size]))


def next_token_nll(lm: Any, ids: Int[Tensor, "batch time"], dtype: torch.dtype) -> Float[Tensor, ""]:
    """−Σ_t log p(t_{n+1} | t_1 … t_n) over windows, in nats; matrix products in `dtype`, the loss in float32."""
    with torch.autocast(ids.device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
        logits = lm(input_ids=ids[:, :-1], use_cache=False).logits
    return -token_logprobs(logits, ids[:, 1:], temperature=1.0).sum()


@torch.no_grad()
def held_out_nll(lm: Any, held_out: Windows, config: PretrainConfig) -> float:
    """Return −Σ log p over all tokens of the held-out text, in nats."""
    dtype, size, total = choose_dtype(config.dtype), config.micro_batch_size, 0.0
    for start in range(0, len(held_out), size):
        part = [held_out[n] for n in range(start, min(start + size, len(held_out)))]
        total += sum(next_token_nll(lm, ids, dtype).item() for ids in micro_batches(part, size))
    return total


def bits_per_byte(nll: float, text_bytes: int) -> float:
    """nll/(bytes · ln 2): what a byte of the text costs, in bits; comparable across tokenizers, as loss per token is not.

    `nll` is −Σ log p in nats over all tokens of the text, the eos of each document among them; `text_bytes` its length in
    UTF-8 without them.
    """
    return nll / (text_bytes * math.log(2))


def log_held_out(lm: Any, held_out: Windows, config: PretrainConfig, stage: Stage, step: int) -> float:
    """Log held-out loss, perplexity and bits per byte; return the loss, in nats per token."""
    nll = held_out_nll(lm, held_out, config)
    loss = nll / held_out.targets
    row = {"eval/loss": loss, "eval/perplexity": math.exp(min(loss, 50.0))}
    stage.directory.log(step, row | {"eval/bits_per_byte": bits_per_byte(nll, held_out.text_bytes)})
    return loss
