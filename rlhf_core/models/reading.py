"""How texts reach a sequence classifier: as token ids that never lose the response, in batches of similar length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

SCORE_BATCH = 32


def pair_inputs(tokenizer: Any, prompts: Sequence[str], responses: Sequence[str], max_length: int) -> dict[str, Tensor]:
    """Return inputs for (prompt, response) pairs, padded on the right, where a pooling encoder expects its first token.

    A long prompt loses its beginning, never the response; only a response that is too long by itself is cut. The
    tokenizer must truncate on the left. A conversation comes as its transcript, which a decoder reads as one message of
    the user's.
    """
    if tokenizer.chat_template:
        return _padded(
            tokenizer, max_length, True, [_chat(tokenizer, *p) for p in zip(prompts, responses, strict=True)]
        )
    room = max_length - tokenizer.num_special_tokens_to_add(pair=True) - 1
    fitting = [_fitting(tokenizer, r, room) for r in responses]
    return _padded(tokenizer, max_length, "only_first", list(prompts), fitting)


def response_inputs(tokenizer: Any, responses: Sequence[str], max_length: int) -> dict[str, Tensor]:
    """Return inputs for responses alone, padded on the right; one that is too long loses its end."""
    room = max_length - tokenizer.num_special_tokens_to_add(pair=False)
    return _padded(tokenizer, max_length, True, [_fitting(tokenizer, r, room) for r in responses])


def score_by_length(
    score: Callable[[list[str], list[str]], Tensor], prompts: Sequence[str], responses: Sequence[str]
) -> Float[Tensor, "batch"]:
    """Return scores of texts in the given order, computed in chunks of similar length to waste no padding."""
    order = sorted(range(len(prompts)), key=lambda n: len(prompts[n]) + len(responses[n]))
    chunks = [order[start : start + SCORE_BATCH] for start in range(0, len(order), SCORE_BATCH)]
    scores = torch.cat([score([prompts[n] for n in c], [responses[n] for n in c]) for c in chunks])
    return scores[torch.tensor(order, device=scores.device).argsort()]


def _padded(tokenizer: Any, max_length: int, cut: bool | str, *texts: list[str]) -> dict[str, Tensor]:
    batch = tokenizer(
        *texts, truncation=cut, max_length=max_length, padding=True, padding_side="right", return_tensors="pt",
    )  # fmt: skip
    return dict(batch)


def _chat(tokenizer: Any, prompt: str, response: str) -> str:
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
    return tokenizer.apply_chat_template(messages, tokenize=False).strip()


def _fitting(tokenizer: Any, response: str, room: int) -> str:
    """The response, cut to `room` tokens."""
    spans = tokenizer(response, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    return response if len(spans) <= room else response[: spans[room - 1][1]]
