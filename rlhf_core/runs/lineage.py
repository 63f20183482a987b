"""Where a later round comes from: the run before, and the votes it learnt from and is tested with (`lineage.json`)."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rlhf_core.data.io import write_json
from rlhf_core.runs.stored import parse_record

FILE = "lineage.json"


@dataclass(frozen=True)
class Lineage:
    """The origin of a round.

    Attributes:
        round: its number; the run that no round came before is round 1.
        parent: the name of the run it goes on from, whose folder lies beside its own.
        task, criterion, instruction_versions: what was judged, by which question, under which instructions.
        simulated: True where no person gave the votes.
        votes, labellers: how many votes in force there were when the round began, and from how many.
        agreement: share of agreeing pairs of votes on an item, mean over items; None where no item had two votes.
        votes_digest: a hash by which the same votes are known again.
        prompts_moved: judged prompts that joined the training prompts, by lot; `prompts_tested` stayed held out.
        rankings: what their consensus added to the reward model's data; `votes_share` is its share of all weight there.
        earlier_weight: what the weights of all earlier rankings were multiplied by.
        next_task: the task on which this round's model is judged; None until it is stored.
    """

    round: int
    parent: str
    task: int
    criterion: str
    instruction_versions: list[str]
    simulated: bool
    votes: int
    labellers: int
    agreement: float | None
    votes_digest: str
    prompts_moved: int
    prompts_tested: int
    rankings: int
    votes_share: float
    earlier_weight: float
    next_task: int | None = None

    @property
    def brief(self) -> str:
        """The origin in a few words: `quickstart, 96 votes`."""
        return f"{self.parent}, {self.votes} {'simulated ' if self.simulated else ''}votes"

    @property
    def sentence(self) -> str:
        """The origin in full sentences."""
        who = "simulated votes, which no person gave," if self.simulated else "votes"
        agreed = "" if self.agreement is None else f", who agree in {self.agreement:.0%} of pairs of votes on one item"
        named = "made-up labeller" if self.simulated else "labeller"
        plural = named if self.labellers == 1 else f"{named}s"
        return (
            f"Round {self.round}, from {self.parent} and {self.votes} {who} on task {self.task} ({self.criterion}; "
            f"instructions {', '.join(self.instruction_versions)}) by {self.labellers} {plural}{agreed}. "
            f"{self.prompts_moved} judged prompts joined the training data with {self.rankings} rankings, "
            f"{self.prompts_tested} stayed held out."
        )


def next_number(origin: Lineage | None) -> int:
    """Return the number of the round after a run of this origin; a first run has none and is round 1."""
    return 2 if origin is None else origin.round + 1


def next_folder(run: Path, origin: Lineage | None) -> Path:
    """Return where the round after a run lies: beside it, called by the first run's name."""
    first = run.name if origin is None else re.sub(r"-round\d+$", "", run.name)
    return run.with_name(f"{first}-round{next_number(origin)}")


def write_lineage(run: Path, lineage: Lineage) -> None:
    """Write `lineage.json` into a run directory."""
    write_json(run / FILE, asdict(lineage))


def parse_lineage(content: dict[str, Any], where: Path) -> Lineage:
    """Return the lineage in the content of `lineage.json`.

    Raises:
        RunError: a field is missing.
    """
    return parse_record(Lineage, content, where, "Put the file back as it was")
