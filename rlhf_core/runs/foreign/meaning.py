"""What others' metrics mean: which of ours they are, and which stage a run that logs them is. Nothing is guessed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from rlhf_core.runs.directory import OTHER, PRETRAIN
from rlhf_core.runs.metrics import REGISTRY
from rlhf_core.runs.reader import LOGGED_STAGES

ANY = {"learning_rate": "optim/lr", "lr": "optim/lr", "grad_norm": "optim/grad_norm"}
LOSSES = {"loss": "train/loss", "eval_loss": "eval/loss"}
RENAMED: dict[str, dict[str, str]] = {
    PRETRAIN: LOSSES,
    "sft": LOSSES,
    "reward": LOSSES | {"accuracy": "train/accuracy", "eval_accuracy": "eval/accuracy", "eval_margin": "eval/margin"},
    "ppo": {
        "episode": "progress/episodes",
        "policy/approxkl_avg": "policy/approxkl",
        "policy/clipfrac_avg": "policy/clipfrac",
        "policy/entropy_avg": "policy/entropy",
        "loss/policy_avg": "loss/policy",
        "loss/value_avg": "loss/value",
        "val/clipfrac_avg": "val/clipfrac",
        "val/ratio": "policy/ratio",
    },
    OTHER: LOSSES,
}
"""Stage → their name → ours, where both mean the same: of the Hugging Face `Trainer` and of TRL's trainers."""
SIGNS: dict[str, tuple[str, ...]] = {
    "ppo": ("objective/*", "policy/approxkl*", "val/clipfrac*", "ppo/*"),
    OTHER: ("rewards/*", "logps/*", "completions/*", "reward_std", "nll_loss"),
    "reward": ("eval/kendall_tau", "eval/calibration_error", "mean_reward", "eval_mean_reward"),
    PRETRAIN: ("eval/bits_per_byte",),
    "sft": ("eval/perplexity", "mean_token_accuracy", "eval_mean_token_accuracy"),
}
"""Stage → what nothing else logs, looked for in this order; preference and group-relative methods are no stage of ours."""


NOT_TOLD = "not told by what it logs"


@dataclass(frozen=True)
class Placed:
    """Which stage of which run a series is, and by what that was told."""

    run: str
    stage: str
    told: str


def place(name: str, metrics: Collection[str], stage: str | None = None) -> Placed:
    """Return the run and the stage of a series: as asked, else by what it logs, else by its name; else it is no stage of ours.

    `name` is a path such as `quickstart/sft`, as our own runs are written to trackers; `.` is none.
    """
    parts = [part for part in name.split("/") if part not in ("", ".", "tensorboard")]
    named = next((part for part in reversed(parts) if part in LOGGED_STAGES), None)
    run = "-".join(part for part in parts if part != named)
    if stage:
        return Placed(run, stage, "as asked")
    if logs := _stage_of(metrics):
        return Placed(run, logs, "told by what it logs")
    return Placed(run, named, "told by its name") if named else Placed(run, OTHER, NOT_TOLD)


def our_names(metrics: Collection[str], stage: str) -> dict[str, str]:
    """Return the names of ours of those metrics that have another; what two of them would be called keeps its own."""
    known = ANY | RENAMED[stage]
    found = {name: ours for name in metrics if (ours := _ours(name, known)) != name}
    taken = [*(name for name in metrics if name not in found), *found.values()]
    return {name: ours for name, ours in found.items() if taken.count(ours) == 1}


def _ours(name: str, known: Mapping[str, str]) -> str:
    """Our name of a metric; trackers put `train/` and `eval/` before what the Trainer calls `NAME` and `eval_NAME`."""
    if name in known:
        return known[name]
    bare = _bare(name)
    return known.get(bare, bare if bare in REGISTRY else name)


def _bare(name: str) -> str:
    """What the Trainer calls what a tracker shows."""
    side, _, rest = name.partition("/")
    if not rest or name in REGISTRY:
        return name
    return {"train": rest, "eval": f"eval_{rest}"}.get(side, name)


def _stage_of(metrics: Collection[str]) -> str | None:
    names = {*metrics, *map(_bare, metrics)}
    for stage, patterns in SIGNS.items():
        if any(fnmatchcase(name, pattern) for name in names for pattern in patterns):
            return stage
    return None
