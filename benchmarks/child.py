"""One measurement in a process of its own: `python -m benchmarks.child ours.ppo:full '{"model": …}'`.

The last line it prints is a JSON object: how much was done (tokens or pairs), the seconds that took, and the peak memory.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module

from benchmarks.work import Work
from rlhf_core.process import peak_memory


def main() -> None:
    """Do the named work and print what was measured."""
    name, work = sys.argv[1], Work(**json.loads(sys.argv[2]))
    if name.startswith("ours."):
        from rlhf_core.terminal import prepare_libraries

        prepare_libraries()  # as every `rlhf` command does, before torch is loaded
    module, function = name.split(":")
    amount, seconds = getattr(import_module(f"benchmarks.{module}"), function)(work)
    print(json.dumps({"amount": amount, "seconds": seconds, "memory": peak_memory()}), flush=True)


if __name__ == "__main__":
    main()
