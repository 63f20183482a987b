"""The configuration of a judging task: who is compared, how people judge, and what tells how well they do."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from rlhf_core.config.section import FileConfig
from rlhf_core.visible import check_name


class TaskConfig(FileConfig):
    """A task for people: prompts are those that every contender answered."""

    command = "task create"
    example = "configs/judging.yaml"
    path_keys = (("contenders",), ("instructions",), ("gold",))

    contenders: tuple[Path, ...] = Field(
        min_length=1, description="completions files, one a contender, or run directories: all that lie in them"
    )
    instructions: Path = Field(description="what labellers should prefer, in Markdown")
    form: Literal["pairwise", "ranking"] = Field(
        default="pairwise", description="two completions at a time, or all of a prompt's ranked"
    )
    criteria: tuple[str, ...] = Field(
        default=("overall",),
        min_length=1,
        description="what verdicts are about: overall, helpful, honest, harmless, your own",
    )
    categories: tuple[str, ...] | None = Field(
        default=None, min_length=1, description="only prompts of these categories; null takes all"
    )
    prompts: int | None = Field(
        default=None, ge=1, description="only so many prompts, drawn by the seed; null takes all"
    )
    overlap: int | None = Field(
        default=None, ge=1, description="labellers for each item; null lets everybody judge everything"
    )
    gold: Path | None = Field(default=None, description="rankings whose order is known, shown among the others")
    gold_every: int = Field(default=10, ge=1, description="after so many items comes a gold one")
    repeat_every: int | None = Field(
        default=None, ge=1, description="after so many items one comes again, sides swapped, to see who is consistent"
    )

    @field_validator("criteria")
    @classmethod
    def _told_apart(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names) or not all(name.strip() for name in names):
            raise ValueError("criteria need different names")
        return tuple(check_name(name) for name in names)
