"""How fast this machine multiplies matrices of the model's size: the ceiling of everything else."""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch

from benchmarks.work import Work

ROWS, WARM_UP, SECONDS = 1024, 3, 3.0


@torch.no_grad()
def peak(work: Work) -> tuple[int, float]:
    """Multiply a layer's activations by its widest weights and back for some seconds; return (operations, seconds)."""
    config = json.loads((Path(work.model) / "config.json").read_text(encoding="utf-8"))
    dtype = getattr(torch, work.dtype)
    narrow, wide = (torch.randn(ROWS, config[name], dtype=dtype) for name in ("hidden_size", "intermediate_size"))
    weight = torch.randn(wide.shape[1], narrow.shape[1], dtype=dtype)
    done, started = -WARM_UP, time.perf_counter()
    while done < 1 or time.perf_counter() - started < SECONDS:
        if done == 0:
            started = time.perf_counter()
        torch.nn.functional.linear(narrow, weight)  # forward
        torch.mm(wide, weight)  # the input's gradient
        torch.mm(wide.t(), narrow)  # the weight's
        done += 1
    return 3 * 2 * ROWS * weight.numel() * done, time.perf_counter() - started
