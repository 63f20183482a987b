"""Supervised fine-tuning: cross-entropy on the tokens of replies, early stop on held-out loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from rlhf_core.config import SFTConfig
from rlhf_core.data.collate import Batch, Example, collate_packed, collate_padded
from rlhf_core.errors import DataError
from rlhf_core.models.policy import Policy
from rlhf_core.ops.logprobs import token_logprobs
from rlhf_core.ops.losses import response_nll
from rlhf_core.ops.masking import spread
from rlhf_core.training.stage import Stage
from rlhf_core.training.supervised import Schedule, batch_at, fit, perplexity, steps_per_epoch

EVAL_BATCH = 16


def train_sft(
    policy: Policy, train: Sequence[Example], held_out: Sequence[Example], config: SFTConfig, stage: Stage
) -> None:
    """Fine-tune `policy` on demonstrations and leave it at its best held-out loss; see `fit`.

    Logs train/loss, eval/loss, eval/perplexity, tokens/batch, optim/*.
    """
    total = config.epochs * steps_per_epoch(train, config.batch_size)

    def learn(step: int) -> dict[str, float]:
        batch = batch_at(train, step, config.batch_size, stage)
        return {"train/loss": accumulate(policy, batch, config), "tokens/batch": sum(len(e.ids) for e in batch)}

    def measure() -> dict[str, float]:
        loss = held_out_loss(policy, held_out)
        return {"eval/loss": loss, "eval/perplexity": perplexity(loss)}

    schedule = Schedule(total, config.eval_every, patience=config.patience)
    fit(policy, learn, measure, schedule, config.optim, stage, policy.fingerprint)


def accumulate(policy: Policy, examples: Sequence[Example], config: SFTConfig) -> float:
    """Backpropagate the mean loss per response token of a whole batch, micro-batch by micro-batch; return it.

    Each micro-batch is divided by the token count of the whole batch, so `1 × 8` accumulation equals `8 × 1`.
    """
    tokens = sum(sum(e.counted) for e in examples)
    total = 0.0
    for batch in micro_batches(examples, policy.tokenizer.pad_token_id, config):
        nll, _ = batch_nll(policy, batch)
        (nll / tokens).backward()
        total += nll.item()
    return total / tokens


def micro_batches(examples: Sequence[Example], pad_id: int, config: SFTConfig) -> Iterator[Batch]:
    """Yield the forward passes of one batch, shortest examples first to waste little padding."""
    ordered = sorted(examples, key=lambda e: len(e.ids))
    for start in range(0, len(ordered), config.micro_batch_size):
        part = ordered[start : start + config.micro_batch_size]
        yield collate_packed(part, pad_id, config.max_length) if config.packing else collate_padded(part, pad_id)


def batch_nll(policy: Policy, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return (summed −log p of the response tokens, their number). Logits are computed where a response is predicted."""
    if policy.encodes:
        return _pair_nll(policy, batch.to(policy.device))
    predicts = batch.response_mask[:, 1:].any(0).nonzero()
    first = int(predicts[0]) if len(predicts) else 0
    batch = batch.to(policy.device)
    attention = batch.attention if batch.attention.dim() == 4 else batch.attention.long()
    with policy.forward_pass():
        out = policy.lm(
            input_ids=batch.ids, attention_mask=attention, position_ids=batch.position_ids, use_cache=False,
            logits_to_keep=batch.ids.shape[1] - first,
        )  # fmt: skip
    logprobs = token_logprobs(out.logits[:, :-1], batch.ids[:, first + 1 :], temperature=1.0)
    return response_nll(logprobs, batch.response_mask[:, first + 1 :])


def _pair_nll(policy: Policy, batch: Batch) -> tuple[Tensor, Tensor]:
    logits, _ = policy.run(batch.ids, batch.attention, batch.response_mask)
    logprobs = token_logprobs(logits, batch.ids[batch.response_mask], temperature=1.0)
    return response_nll(spread(logprobs, batch.response_mask), batch.response_mask)


@torch.no_grad()
def held_out_loss(policy: Policy, examples: Sequence[Example]) -> float:
    """Return the mean −log p per response token over all examples, in nats."""
    nll, tokens = 0.0, 0
    for start in range(0, len(examples), EVAL_BATCH):
        batch = collate_padded(examples[start : start + EVAL_BATCH], policy.tokenizer.pad_token_id)
        part, count = batch_nll(policy, batch)
        nll, tokens = nll + part.item(), tokens + int(count)
    return nll / tokens


def check_lengths(examples: Sequence[Example], ids: Sequence[str], max_length: int) -> None:
    """Refuse examples longer than `max_length` tokens, listing them.

    Raises:
        DataError: some example does not fit.
    """
    sizes = zip(ids, examples, strict=True)
    long = [f"{i} ({n} tokens)" for i, e in sizes if (n := len(e.ids)) > max_length]
    if long:
        raise DataError(
            f"longer than sft.max_length = {max_length}: {', '.join(long[:20])}", remedy="Shorten or raise it"
        )
