"""The base of every section of a configuration, and of every file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator


class Section(BaseModel):
    """Base of all sections: immutable; unknown keys and infinite numbers are refused.

    A section given in part keeps what it has by default where it stands: `reward: {optim: {lr: 1e-4}}` changes the rate
    of the reward model's own optimiser settings, not of those every optimiser starts from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _keep_defaults_of_parts(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        defaults = {name: field.default for name, field in cls.model_fields.items() if name in given}
        return given | {
            name: default.model_dump() | given[name]
            for name, default in defaults.items()
            if isinstance(default, Section) and isinstance(given[name], dict)
        }


class FileConfig(Section):
    """What every configuration file has: a name and a seed.

    Attributes:
        command: the `rlhf` command that reads such a file.
        example: the file to start from.
        path_keys: dotted places that hold paths, or lists of paths; `*` is every entry of a list.
        model_keys: dotted places that hold model sources: a path when it starts with a dot or a folder lies there, else a name.
    """

    command: ClassVar[str] = "pipeline"
    example: ClassVar[str] = "configs/quickstart.yaml"
    path_keys: ClassVar[tuple[tuple[str, ...], ...]] = ()
    model_keys: ClassVar[tuple[tuple[str, ...], ...]] = ()

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="letters, digits, dots, dashes, underscores")
    seed: int = Field(default=0, ge=0, description="decides everything that is drawn")

    def to_yaml(self) -> str:
        """Return the resolved configuration as YAML."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


class LogConfig(Section):
    """Where the metrics of a run go while it trains, besides its own files."""

    to: tuple[Literal["tensorboard", "trackio", "wandb", "mlflow"], ...] = Field(
        default=(),
        description="trackers that are sent every row; one that fails or is not installed is said once and left",
    )
    project: str = Field(default="rlhf-studio", min_length=1, description="what they file it under; MLflow: experiment")


class RunConfig(FileConfig):
    """What the configuration of every run has besides: its place, and what it computes with."""

    run_root: Path = Field(default=Path("runs"), description="folder that holds the runs")
    threads: int | None = Field(default=None, ge=1, description="processor threads; null leaves the choice to torch")
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="auto takes the first graphics card torch finds, else the processor"
    )
    log: LogConfig = Field(default=LogConfig(), exclude_if=lambda log: not log.to)

    @property
    def run_path(self) -> Path:
        """The run directory of this configuration."""
        return self.run_root / self.name
