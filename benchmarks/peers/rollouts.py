"""Sampling with `generate` of transformers."""

from __future__ import annotations

import time

import torch
from transformers import AutoModelForCausalLM

from benchmarks.work import Work, random_prompts

WARM_UP = 4  # tokens


def sampled(work: Work) -> tuple[int, float]:
    """Sample a batch of responses `steps` times; return (new tokens, seconds)."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(work.model, dtype=getattr(torch, work.dtype)).eval()
    ids = torch.tensor(random_prompts(work, work.batch))

    def generate(tokens: int) -> int:
        settings = {"do_sample": True, "top_k": 0, "min_new_tokens": tokens, "max_new_tokens": tokens}
        with torch.no_grad():
            made = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **settings)
        return made[:, ids.shape[1] :].numel()

    generate(WARM_UP)
    started = time.perf_counter()
    made = sum(generate(work.response) for _ in range(work.steps))
    return made, time.perf_counter() - started
