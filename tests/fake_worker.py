"""Stands for `rlhf play` where a test is about the page: no models, the same protocol.

Each side writes its contender's name, the prompt and the turn before it, a word a token. A prompt may ask for trouble:
`slowly` waits for a stop, `die` kills the process, `fail` is refused, `alike` gives both sides the same text, `nothing` none.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any


def tell(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event} | fields), flush=True)


def write(asked: dict[str, Any], stopped: Callable[[], bool]) -> bool:
    """Write both answers; True where a stop came first."""
    number, prompt = asked["id"], asked["prompt"]
    for side, name in enumerate(asked["contenders"]):
        words = ["the", "same"] if "alike" in prompt else [name, "says", *prompt.split()]
        words = [] if "nothing" in prompt else words
        words += ["after", asked["history"][-1]["content"]] if "history" in asked else []
        for n in range(1, len(words) + 1):
            tell("text", id=number, side=side, text=" ".join(words[:n]), tokens=n)
        if "slowly" in prompt and stopped():
            return True
        scores = [
            {"scorer": "reward model", "measure": "score", "value": 0.5 + side},
            {"scorer": "profanity-check", "measure": "profanity", "value": 0.03},
        ]
        whole = {"text": " ".join(words), "tokens": len(words), "finished": side == 0}
        tell("done", id=number, side=side, **whole, first_seconds=0.25, seconds=1.0)
        tell("scores", id=number, side=side, tokens=len(words), scores=scores)
    return False


def main() -> None:
    tell("loading", what="the libraries")
    tell("ready")
    tell("missing", scorer="detoxify", why="the weights cannot be had")
    for line in sys.stdin:
        asked = json.loads(line)
        if "stop" in asked:
            continue
        if "die" in asked["prompt"]:
            print("about to die", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        if "fail" in asked["prompt"]:
            tell("failed", id=asked["id"], why="the prompt is too long. Shorten it")
            continue
        over = write(asked, lambda: "stop" in json.loads(sys.stdin.readline()))
        tell("end", id=asked["id"], stopped=over)


if __name__ == "__main__":
    main()
