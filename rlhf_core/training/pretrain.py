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
from rlhf_core.models.device import choose_dtype, products_in
from rlhf_core.models.policy import fingerprint_of
from rlhf_core.ops.logprobs import token_logprobs
from rlhf_core.training.stage import Stage
from rlhf_core.training.supervised import Schedule, batch_at, fit, perplexity, steps_per_epoch

Window = NDArray[np.int64]


def train_language_model(lm: Any, train: Windows, held_out: Windows, config: PretrainConfig, stage: Stage) -> None:
    """Train every weight of `lm` on next tokens and leave it at its best held-out loss; see `fit`.

    Logs train/loss, eval/loss, eval/perplexity, eval/bits_per_byte, tokens/batch, optim/*.
    """

    def learn(step: int) -> dict[str, float]:
        batch = batch_at(train, step, config.batch_size, stage)
        return {"train/loss": accumulate(lm, batch, config), "tokens/batch": sum(map(len, batch))}

    total = config.steps or (config.epochs or 0) * steps_per_epoch(train, config.batch_size)
    schedule = Schedule(total, config.eval_every, config.checkpoint_every, config.patience)
    fit(lm, learn, lambda: measure(lm, held_out, config), schedule, config.optim, stage, fingerprint_of(lm))


def accumulate(lm: Any, windows: Sequence[Window], config: PretrainConfig) -> float:
    """Backpropagate the mean −log p per predicted token of a batch, micro-batch by micro-batch; return it.

    Each micro-batch is divided by the number of tokens the whole batch predicts, so `1 × 8` accumulation equals `8 × 1`.
    """
    tokens = sum(len(window) - 1 for window in windows)
    total = 0.0
    for ids in micro_batches(windows, config.micro_batch_size):
        nll = next_token_nll(lm, ids, choose_dtype(config.dtype, lm.device))
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
    ids = ids.to(lm.device)
    with products_in(dtype, ids.device):
        logits = lm(input_ids=ids[:, :-1], use_cache=False).logits
    return -token_logprobs(logits, ids[:, 1:], temperature=1.0).sum()


@torch.no_grad()
def held_out_nll(lm: Any, held_out: Windows, config: PretrainConfig) -> float:
    """Return −Σ log p over all tokens of the held-out text, in nats."""
    dtype, size, total = choose_dtype(config.dtype, lm.device), config.micro_batch_size, 0.0
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


def measure(lm: Any, held_out: Windows, config: PretrainConfig) -> dict[str, float]:
    """Return held-out loss in nats per token, perplexity, and bits per byte."""
    nll = held_out_nll(lm, held_out, config)
    loss = nll / held_out.targets
    bits = bits_per_byte(nll, held_out.text_bytes)
    return {"eval/loss": loss, "eval/perplexity": perplexity(loss), "eval/bits_per_byte": bits}
