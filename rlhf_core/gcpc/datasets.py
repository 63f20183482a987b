"""The datasets of `rlhf_pipeline` as the files of a pipeline here: prompts, demonstrations, preferences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from rlhf_core.data.exchange.format import counted
from rlhf_core.data.exchange.importing import ImportRequest, import_file
from rlhf_core.data.io import read_jsonl, write_jsonl
from rlhf_core.data.records import Asked, Demonstration, Preference, Prompt
from rlhf_core.data.splits import normalise, split_by_prompt
from rlhf_core.errors import DataError
from rlhf_core.gcpc.parameters import Parameters
from rlhf_core.gcpc.places import find_files

FAMILY = "gcpc"
SHARE_HELD_OUT, MOST_HELD_OUT = 0.2, 100
A = TypeVar("A", bound=Asked)


@dataclass(frozen=True)
class Limits:
    """Which rows are short enough: `asked` says it of what is asked, `answered` of a response worth imitating."""

    asked: Callable[[Asked], bool]
    answered: Callable[[str], bool]


@dataclass(frozen=True)
class Rows:
    """What a pipeline learns from and is judged on, and what was left out and why."""

    prompts: list[Prompt]
    demonstrations: list[Demonstration]
    preferences: list[Preference]
    left_out: Counter[str] = field(default_factory=Counter)
    files: dict[str, list[Path]] = field(default_factory=dict)
    """The files of each dataset."""

    def write(self, folder: Path) -> None:
        """Write each kind to `folder` as `<kind>.jsonl`."""
        for kind in ("prompts", "demonstrations", "preferences"):
            write_jsonl(folder / f"{kind}.jsonl", getattr(self, kind))

    def describe(self) -> list[str]:
        """Return in lines for people what there is, and what was left out."""
        held_out = sum(prompt.split == "eval" for prompt in self.prompts)
        places = {name: sorted({str(file.parent) for file in files}) for name, files in self.files.items()}
        return [
            *(
                f"{name}: {counted(len(self.files[name]), 'files')} in {', '.join(found)}"
                for name, found in places.items()
            ),
            f"{counted(len(self.prompts) - held_out, 'prompts')} to train on, {held_out:,} held out to be judged on",
            f"{counted(len(self.preferences), 'preferences')}; {len(self.demonstrations):,} preferred answers to imitate",
            *(f"{count:,} left out: {why}" for why, count in self.left_out.most_common()),
        ]


def read_rows(parameters: Parameters, folder: Path, limits: Limits, seed: int) -> Rows:
    """Read the datasets, whose paths start from `folder`; every row is checked.

    The prompts of `eval_dataset` are held out. Where there is none, a fifth of those prompts is that nobody compared answers to,
    at most 100. What a held-out prompt asks is trained on nowhere.

    Raises:
        DataError: a file is missing, rows are wrong (lists up to 20), or nothing is left to train on or to hold out.
    """
    left_out: Counter[str] = Counter()
    reader = _Reader(folder, limits, left_out)
    prompts = reader.read("prompt_dataset", parameters.prompt_dataset, Prompt)
    preferences = reader.read("preference_dataset", parameters.preference_dataset, Preference)
    if parameters.eval_dataset:
        held_out = reader.read("eval_dataset", parameters.eval_dataset, Prompt)
        prompts = reader.without("prompt_dataset", prompts, held_out)
        preferences = reader.without("preference_dataset", preferences, held_out)
    else:
        prompts, held_out = _hold_out(prompts, preferences, seed)
    for name, rows in (("train on", prompts), ("learn preferences from", preferences), ("hold out", held_out)):
        if not rows:
            raise DataError(f"nothing is left to {name}", where=folder, value="; ".join(left_out) or None)
    judged = [prompt.model_copy(update={"id": f"eval-{prompt.id}", "split": "eval"}) for prompt in held_out]
    shown = _demonstrations(preferences, limits, left_out)
    return Rows([*prompts, *judged], shown, preferences, left_out, reader.files)


class _Reader:
    """Reads datasets one after another, and counts what it leaves out."""

    def __init__(self, folder: Path, limits: Limits, left_out: Counter[str]) -> None:
        self._folder, self._limits, self._left_out = folder, limits, left_out
        self.files: dict[str, list[Path]] = {}

    def read(self, name: str, place: str, record: type[A]) -> list[A]:
        """Return the rows of all files of a dataset, numbered through; what is asked twice is one prompt."""
        kind = f"{record.__name__.lower()}s"
        found: list[A] = []
        self.files[name] = find_files(place, self._folder)
        for file in self.files[name]:
            with TemporaryDirectory() as aside:
                done = import_file(ImportRequest(file, kind, FAMILY), Path(aside) / "rows.jsonl")
                found += read_jsonl(Path(aside) / "rows.jsonl", record)
            self._left_out += Counter({f"{name}: {why}": count for why, count in done.dropped.items()})
        short = self._keep(found, self._limits.asked, f"{name}: longer than prompt_sequence_length")
        rows = _each_once(short) if record is Prompt else short
        return [row.model_copy(update={"id": f"{record.__name__.lower()}-{n:06d}"}) for n, row in enumerate(rows, 1)]

    def without(self, name: str, rows: list[A], held_out: Iterable[Prompt]) -> list[A]:
        """Return the rows whose prompt is not held out."""
        judged = {normalise(prompt.transcript) for prompt in held_out}
        return self._keep(rows, lambda row: normalise(row.transcript) not in judged, f"{name}: in eval_dataset too")

    def _keep(self, rows: list[A], fits: Callable[[A], bool], why: str) -> list[A]:
        kept = [row for row in rows if fits(row)]
        self._left_out += Counter({why: len(rows) - len(kept)})
        return kept


def _each_once(rows: list[A]) -> list[A]:
    first: dict[str, A] = {}
    for row in rows:
        first.setdefault(normalise(row.transcript), row)
    return list(first.values())


def _hold_out(prompts: list[Prompt], preferences: list[Preference], seed: int) -> tuple[list[Prompt], list[Prompt]]:
    """Split prompts into (to train on, held out), the latter from those nobody compared answers to."""
    compared = {normalise(row.transcript) for row in preferences}
    free = [prompt for prompt in prompts if normalise(prompt.transcript) not in compared]
    if not free:
        raise DataError(
            "every prompt is in preference_dataset too, so that none can be held out",
            where="prompt_dataset",
            remedy="Name prompts of their own as eval_dataset",
        )
    share = min(SHARE_HELD_OUT, MOST_HELD_OUT / len(free))
    _, held_out = split_by_prompt(free, [prompt.opening for prompt in free], share, seed)
    judged = {prompt.id for prompt in held_out}
    return [prompt for prompt in prompts if prompt.id not in judged], held_out


def _demonstrations(preferences: list[Preference], limits: Limits, left_out: Counter[str]) -> list[Demonstration]:
    """Return the preferred answers that are short enough to be imitated, each once."""
    shown = {
        (normalise(row.transcript), row.chosen): Demonstration(
            id=row.id, prompt=row.prompt, history=row.history, category=row.category, response=row.chosen
        )
        for row in preferences
        if limits.answered(row.chosen)
    }
    long = sum(not limits.answered(row.chosen) for row in preferences)
    left_out.update({"preferred answers longer than target_sequence_length, not imitated": long} if long else {})
    return list(shown.values())
