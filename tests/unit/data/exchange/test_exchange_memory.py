"""The memory of an import does not grow with its rows."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

LIMIT = 300e6  # bytes, of all processes together
SIZE = 200_000_000


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["preferences", "prompts"])
def test_a_large_file_is_imported_in_little_memory(tmp_path: Path, kind: str) -> None:
    source, out = tmp_path / "big.jsonl", tmp_path / "out.jsonl"
    lines = [
        json.dumps({"prompt": f"{n:04d} " + "why " * 60, "chosen": "so " * 60, "rejected": "no " * 60})
        for n in range(2000)
    ]
    count = 0
    with source.open("w") as file:
        while file.tell() < SIZE:
            file.writelines(f"{line[:12]}{count + n:09d} {line[12:]}\n" for n, line in enumerate(lines))
            count += len(lines)
    command = [sys.executable, "-m", "rlhf_core", "data", "import", str(source), str(out), "--as", kind]
    highest = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        me, done = psutil.Process(process.pid), threading.Event()

        def watch() -> None:
            nonlocal highest
            while not done.wait(0.02):
                try:
                    highest = max(highest, sum(one.memory_info().rss for one in [me, *me.children(recursive=True)]))
                except psutil.Error:
                    continue

        watcher = threading.Thread(target=watch)
        watcher.start()
        said, _ = process.communicate()
        done.set()
        watcher.join()
    assert f"{count:,} rows read as trl-preference, {count:,} {kind} written" in said
    assert 50e6 < highest < LIMIT, f"{highest / 1e6:.0f} MB"
