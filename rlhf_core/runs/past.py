"""What earlier runs on this machine took: complete stages with their work, seconds and memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlhf_core.config import PipelineConfig
from rlhf_core.errors import RlhfError
from rlhf_core.runs.directory import STAGES, RunDirectory, describe_hardware
from rlhf_core.runs.launch import load_run_config
from rlhf_core.runs.reader import LOGGED_STAGES, RunReader
from rlhf_core.runs.work import measure_data, parameters_of, stage_work

Models = tuple[str, str]


@dataclass(frozen=True)
class Past:
    """One complete stage of an earlier run.

    Attributes:
        run: the run's name.
        stage: the stage's name.
        models: the sources of policy and reward model.
        operations: its work, see `rlhf_core.runs.work`.
        seconds: how long it took, over all attempts.
        setup: how many of these passed before it logged anything; 0 where that cannot be told.
        memory: bytes its process had held at most by then; None where the run does not say.
        accelerator: the graphics card; None for the processor.
    """

    run: str
    stage: str
    models: Models
    operations: float
    seconds: float
    setup: float = 0.0
    memory: int | None = None
    accelerator: str | None = None

    @property
    def pace(self) -> float:
        """Seconds for each operation."""
        return (self.seconds - self.setup) / self.operations


def models_of(config: PipelineConfig) -> Models:
    """Return the sources of the policy and of the reward model."""
    return config.policy.model, config.reward.model


def sizes_of(config: PipelineConfig) -> dict[str, int] | None:
    """Return the parameters of `policy` and `reward`; None while one of them is not on this machine."""
    policy, reward = (parameters_of(source) for source in models_of(config))
    return None if policy is None or reward is None else {"policy": policy, "reward": reward}


def past_stages(runs: Iterable[Path]) -> list[Past]:
    """Return the complete stages of those runs that were made on hardware like this; what cannot be read is passed over."""
    here, found = describe_hardware(), []
    for path in runs:
        try:
            found += _stages(path, here)
        except (RlhfError, OSError, ValueError, TypeError, KeyError):
            continue
    return found


def _stages(path: Path, here: Mapping[str, Any]) -> list[Past]:
    reader = RunReader(path)
    recorded, environment = reader.status().recorded, reader.environment
    if recorded or any(environment.get(name) != value for name, value in here.items()):
        return []
    config = load_run_config(path)
    if (sizes := sizes_of(config)) is None:
        return []
    works, entries = stage_work(config, measure_data(config.data)), RunDirectory(path).read_status()["stages"]
    found = []
    for name in STAGES:
        entry, operations = entries.get(name, {}), works[name].operations(sizes)
        if entry.get("state") == "complete" and entry["seconds"] > 0 and operations > 0:
            seconds, card = float(entry["seconds"]), environment.get("accelerator")
            setup = _setup(reader, name, entry.get("started"), seconds)
            found.append(
                Past(path.name, name, models_of(config), operations, seconds, setup, entry.get("peak_memory"), card)
            )
    return found


def _setup(reader: RunReader, stage: str, started: float | None, seconds: float) -> float:
    """Seconds until the first row was logged: loading, and a first measurement or step."""
    times: list[float] = reader.metrics(stage)["time"].tolist() if stage in LOGGED_STAGES else []
    passed = times[0] - started if started and len(times) > 1 else 0.0
    return passed if 0 < passed < seconds / 2 else 0.0
