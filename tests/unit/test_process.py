"""Threads and memory of a training process."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys

import pytest

from rlhf_core.process import peak_memory, release_memory, settle_in

HOLD_AND_FREE = """
import json, re
from pathlib import Path
from rlhf_core.process import release_memory, settle_in

def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024

settle_in()
blocks = [bytearray(8 * 2**20) for _ in range(40)]
held = resident()
last = bytearray(2**10)  # above the blocks, so that freeing them cannot shrink the heap by itself
del blocks
freed = resident()
release_memory()
released = resident()
large = bytearray(256 * 2**20)
with_large = resident()
del large
print(json.dumps([held, freed, released, with_large, resident()]))
"""


def test_freed_memory_is_kept_for_the_next_pass_until_it_is_released() -> None:
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("another C library has another allocator")
    done = subprocess.run([sys.executable, "-c", HOLD_AND_FREE], capture_output=True, text=True, timeout=60)
    held, freed, released, with_large, without = json.loads(done.stdout)
    assert held > 320 and freed > 320 and released < 160
    assert with_large > 256 and without < released + 16  # a block that large is not waited with


def test_the_peak_of_memory_stays_when_memory_is_freed() -> None:
    before = peak_memory()
    block = bytearray(before + 64 * 2**20)  # more than the process has ever held
    del block
    assert before > 2**20 and peak_memory() >= before + 64 * 2**20


def test_memory_is_that_of_the_process_itself_not_of_who_started_it() -> None:
    def peak_in_a_process(taken: int) -> int:
        code = f"from rlhf_core.process import peak_memory; taken = bytearray({taken}); print(peak_memory())"
        return int(subprocess.check_output([sys.executable, "-c", code], text=True))

    block = bytearray(150_000_000)
    assert peak_memory() > 150e6 and len(block) == 150_000_000
    assert peak_in_a_process(0) < 100e6
    assert peak_in_a_process(200_000_000) > 200e6


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("rlhf_core.process._glibc", asked.append)  # the tests keep their own allocator
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    settle_in()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE" and os.environ["GOMP_SPINCOUNT"] == "30000"
    assert asked == ["mallopt"]
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    settle_in()
    assert asked == ["mallopt"]


def test_a_system_without_glibc_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[None] = []

    def missing(name: None) -> object:
        tried.append(name)
        raise OSError("no C library by that name")

    monkeypatch.setattr("ctypes.CDLL", missing)
    settle_in()
    release_memory()
    assert tried == [None, None]  # once for each, and both went on
