"""How a training process treats its machine: threads that share the cores, memory that is kept while it is needed.

The figures behind these settings are in docs/LOG.md.
"""

from __future__ import annotations

import ctypes
import gc
import os
import re
import resource
import sys
from collections.abc import Callable
from pathlib import Path

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
LARGEST = 2**31 - 1
KEPT = 2**25  # bytes of the largest block that is kept: the upper limit of mallopt(3)


def settle_in() -> None:
    """Set up threads and allocator. Call before torch is loaded; what the user has set in the environment stays.

    A thread that has run out of work spins for a moment, then sleeps: long spinning halves the speed beside a busy dashboard,
    sleeping at once costs a third of a decoding step. Freed memory is kept for the next pass: by default glibc hands
    blocks of a megabyte back and gets them anew, page by page, at every step. Larger blocks than `KEPT` are handed back:
    among rows of ever new lengths they would not fit where others have been, and the process would grow with every step.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "30000")
    chosen = any(name.startswith("MALLOC_") for name in os.environ)  # glibc has read the user's own choice already
    if not chosen and (mallopt := _glibc("mallopt")) is not None:
        mallopt(M_MMAP_THRESHOLD, KEPT)
        mallopt(M_TRIM_THRESHOLD, LARGEST)


def release_memory() -> None:
    """Hand memory that is free back to the system; called between stages, whose needs differ."""
    gc.collect()
    if (malloc_trim := _glibc("malloc_trim")) is not None:
        malloc_trim(0)


def peak_memory() -> int:
    """Return the most memory this process has held so far, in bytes.

    Linux counts VmHWM from the start of the program; ru_maxrss would begin with the memory of whoever started it.
    """
    status = Path("/proc/self/status")
    if status.is_file() and (found := re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(encoding="utf-8"), re.M)):
        return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _glibc(name: str) -> Callable[..., int] | None:
    """A function of the C library, or None where there is none of that name (musl, macOS)."""
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return None
