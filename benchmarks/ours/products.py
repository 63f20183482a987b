"""How fast this machine multiplies matrices of the model's size: the ceiling of everything else."""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch

from benchmarks.work import Work

ROWS, WARM_UP, TIMES = 1024, 3, 60


@torch.no_grad()
def peak(work: Work) -> tuple[int, float]:
    """Multiply a layer's activations by its widest weights and back; return (operations, seconds)."""
    config = json.loads((Path(work.model) / "config.json").read_text(encoding="utf-8"))
    dtype = getattr(torch, work.dtype)
    narrow, wide = (torch.randn(ROWS, config[name], dtype=dtype) for name in ("hidden_size", "intermediate_size"))
    weight = torch.randn(wide.shape[1], narrow.shape[1], dtype=dtype)

    def multiply(times: int) -> float:
        started = time.perf_counter()
        for _ in range(times):
            torch.nn.functional.linear(narrow, weight)  # forward
            torch.mm(wide, weight)  # the input's gradient
            torch.mm(wide.t(), narrow)  # the weight's
        return time.perf_counter() - started

    multiply(WARM_UP)
    return 3 * 2 * ROWS * weight.numel() * TIMES, multiply(TIMES)
