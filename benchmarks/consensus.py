"""How well does a consensus of two people foresee the third? `python -m benchmarks.consensus testset-v1.json` on PandaLM's votes.

Each of the three people is held out in turn; every method makes its consensus of the other two, and its outcome (contender,
baseline or tie) is compared with the third person's. Where two people differ, their majority is split and says tie.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from rlhf_core.data.formats.pandalm import ANNOTATORS, read_pandalm
from rlhf_core.evaluation.consensus import METHODS, consensus
from rlhf_core.evaluation.statistics import accuracy_interval, paired_difference

HEADER = "| method | person 1 | person 2 | person 3 | all three | minus majority | split |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return the command's exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="PandaLM's testset-v1.json")
    print("\n".join(table(read_pandalm(parser.parse_args(arguments).file))))
    return 0


def table(votes: pd.DataFrame) -> list[str]:
    """Return the table's lines: accuracy for each person held out, over all, and against the majority's, 95% by prompt."""
    found = {method: pd.concat([held_out(votes, name, method) for name in ANNOTATORS]) for method in METHODS}
    prompts, before = (found["majority"][name].to_numpy() for name in ("prompt_id", "right"))
    lines = [HEADER, "| --- " * 7 + "|"]
    for method, rows in found.items():
        right = rows["right"].to_numpy()
        each = [f"{np.mean(right[(rows['labeller'] == name).to_numpy()]):.3f}" for name in ANNOTATORS]
        every, more = accuracy_interval(right, prompts), paired_difference(before, right, prompts)
        gain = "" if method == "majority" else f"{more.value:+.3f} [{more.low:+.3f}, {more.high:+.3f}]"
        overall = f"{every.value:.3f} [{every.low:.3f}, {every.high:.3f}]"
        lines.append(f"| {' | '.join([method, *each, overall, gain, str(int(rows['split'].sum()))])} |")
    return lines


def held_out(votes: pd.DataFrame, labeller: str, method: str) -> pd.DataFrame:
    """Return a row an item: whether the consensus of the others is this labeller's outcome (`right`), and was split."""
    own = votes.loc[(votes["labeller"] == labeller).to_numpy()].sort_values("item_id", ignore_index=True)
    others = consensus(votes.loc[(votes["labeller"] != labeller).to_numpy()], method)
    right = (others["outcome"].to_numpy() == own["outcome"].to_numpy()).astype(float)
    return own.loc[:, ["prompt_id", "labeller"]].assign(right=right, split=others["split"].to_numpy())


if __name__ == "__main__":
    raise SystemExit(main())
