"""Give simulated votes on a judging task, marked as such for good, to try `rlhf round --simulated`.

    python scripts/simulate_votes.py runs/quickstart                 # base against tuned, as the Judge page pairs them
    python scripts/simulate_votes.py runs/quickstart-round2 --task 2

The rule knows nothing of any model: an answer is worth 1 if it ends with a full stop, less |words − 25|/25, plus a normal
error of standard deviation 0.5 for each labeller and answer; a difference under 0.2 is a tie.
"""

from __future__ import annotations

import argparse
import random
from contextlib import closing
from pathlib import Path
from string import ascii_lowercase

from rlhf_core.data.io import read_jsonl
from rlhf_core.data.records import ContenderCompletion
from rlhf_core.feedback.records import Assignment
from rlhf_core.feedback.store import VoteStore
from rlhf_core.feedback.tasks import build_task

GUIDE = Path(__file__).resolve().parents[1] / "sample_data" / "labelling_instructions.md"
TIE = 0.2
ERROR = 0.5


def main() -> None:
    """Read the arguments and vote."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--votes", help="vote database; default: votes.db beside the run")
    parser.add_argument("--task", type=int, help="default: the run's own pairs, stored when they are not there")
    parser.add_argument("--labellers", type=int, default=2)
    given = parser.parse_args()
    with closing(VoteStore(given.votes or given.run.parent / "votes.db")) as store:
        task = own_pairs(store, given.run) if given.task is None else given.task
        if store.task(task).state == "draft":
            store.set_state(task, "open")
        count = sum(vote_all(store, task, f"simulated {n + 1}") for n in range(given.labellers))
    print(f"task {task}: {count} simulated votes")


def own_pairs(store: VoteStore, run: Path) -> int:
    """Return the task of base against tuned, as the Judge page makes it."""
    sides = [read_jsonl(run / "completions" / f"{name}.jsonl", ContenderCompletion) for name in ("base", "tuned")]
    return store.ensure_task(build_task(run.resolve().name, sides, GUIDE.read_text(encoding="utf-8"), 0))


def vote_all(store: VoteStore, task: int, labeller: str) -> int:
    """Vote on everything that is left for one labeller; return how many votes that were."""
    count = 0
    while (shown := store.next_item(task, labeller)) is not None:
        said = dict.fromkeys(shown.criteria, verdict(shown, labeller))
        store.vote(shown.token, said, reading_seconds=0, simulated=True)
        count += 1
    return count


def verdict(shown: Assignment, labeller: str) -> str:
    """Return what the rule says of the answers shown: a side or a tie of two, an order of more."""
    values = {letter: worth(text, labeller) for letter, text in zip(ascii_lowercase, shown.texts, strict=False)}
    order = sorted(values, key=lambda letter: -values[letter])
    if shown.form == "ranking":
        return ">".join(order)
    return "tie" if values[order[0]] - values[order[1]] < TIE else order[0]


def worth(text: str, labeller: str) -> float:
    """Return what an answer is worth to a labeller."""
    ends = text.rstrip().endswith((".", "!", "?"))
    return ends - abs(len(text.split()) - 25) / 25 + random.Random(f"{labeller}|{text}").gauss(0, ERROR)


if __name__ == "__main__":
    main()
