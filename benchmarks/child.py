"""One measurement in a process of its own: `python -m benchmarks.child ours.ppo:full '{"model": …}'`.

The last line it prints is a JSON object: how much was done (tokens or pairs), the seconds that took, and the peak memory.
"""

from __future__ import annotations

import json
import re
import resource
import sys
from importlib import import_module
from pathlib import Path

from benchmarks.work import Work


def main() -> None:
    """Do the named work and print what was measured."""
    name, work = sys.argv[1], Work(**json.loads(sys.argv[2]))
    if name.startswith("ours."):
        from rlhf_core.terminal import prepare_libraries

        prepare_libraries()  # as every `rlhf` command does, before torch is loaded
    module, function = name.split(":")
    amount, seconds = getattr(import_module(f"benchmarks.{module}"), function)(work)
    print(json.dumps({"amount": amount, "seconds": seconds, "memory": peak_memory()}), flush=True)


def peak_memory() -> int:
    """Return the peak resident memory of this process, in bytes.

    Linux counts VmHWM from the start of the program; ru_maxrss would begin with the memory of whoever started it.
    """
    status = Path("/proc/self/status")
    if status.is_file() and (found := re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.M)):
        return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
