"""Where models compute, and in which type: the graphics card where there is one, else the processor."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from rlhf_core.errors import ModelError


def choose_device(name: str) -> torch.device:
    """Return the device of a configuration's `device`: auto takes the first graphics card where torch finds one.

    Raises:
        ModelError: a card is asked for that torch does not find.
    """
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        remedy = "Set device: cpu, or install a torch built for your card"
        raise ModelError("torch finds no graphics card", where="device", value=name, remedy=remedy)
    return torch.device(("cuda" if found else "cpu") if name == "auto" else name)


def accelerator_name(device: torch.device) -> str | None:
    """Return the name of a graphics card; None for the processor."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else None


def choose_dtype(name: str, device: torch.device | None = None) -> torch.dtype:
    """Return the torch dtype: "auto" takes bfloat16 where `device` multiplies it fast, and float32 elsewhere."""
    if name != "auto":
        return getattr(torch, name)
    if device is not None and device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    return torch.bfloat16 if cpu_has_fast_bfloat16() else torch.float32


def products_in(dtype: torch.dtype, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which matrix products are computed in bfloat16 where `dtype` is that, else as they are."""
    return torch.autocast(device.type, torch.bfloat16) if dtype == torch.bfloat16 else nullcontext()


def cpu_has_fast_bfloat16() -> bool:
    """Say whether this processor has bfloat16 matrix instructions (AVX512-BF16 or AMX); without them it is slower than float32."""
    probes = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(probe() for probe in probes if probe)
