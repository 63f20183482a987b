"""Configuration files: YAML read into a frozen pydantic model, with dotted overrides and messages that name the mistake."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rlhf_core.errors import ConfigError, shorten


class Section(BaseModel):
    """Base of all sections: immutable; unknown keys and infinite numbers are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class RunConfig(Section):
    """What the configuration of every run has: its name, its place, its seed.

    Attributes:
        command: the `rlhf` command that reads such a file.
        example: the file to start from.
        path_keys: dotted places that hold paths, or lists of paths.
        model_keys: dotted places that hold model sources: a path when it starts with a dot or a folder lies there, else a name.
    """

    command: ClassVar[str] = "pipeline"
    example: ClassVar[str] = "configs/quickstart.yaml"
    path_keys: ClassVar[tuple[tuple[str, ...], ...]] = ()
    model_keys: ClassVar[tuple[tuple[str, ...], ...]] = ()

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    run_root: Path = Path("runs")
    seed: int = Field(default=0, ge=0)
    threads: int | None = Field(default=None, ge=1)

    @property
    def run_path(self) -> Path:
        """The run directory of this configuration."""
        return self.run_root / self.name

    def to_yaml(self) -> str:
        """Return the resolved configuration as YAML."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


C = TypeVar("C", bound=RunConfig)


def read_config(schema: type[C], path: str | Path, overrides: Sequence[str] = ()) -> C:
    """Read a YAML file, apply `key.sub=value` overrides, and validate as `schema`.

    Raises:
        ConfigError: file missing, not YAML, unknown key (the nearest one is suggested), or a value out of range.
    """
    path = Path(path)
    raw = _read_yaml(path, schema.example)
    _anchor_paths(raw, schema, path.resolve().parent)
    for override in overrides:
        _apply_override(raw, override)
    try:
        return schema.model_validate(raw)
    except ValidationError as error:
        problems = "\n  ".join(_explain(schema, problem) for problem in error.errors(include_url=False))
        remedy = f"`rlhf {schema.command} --help` lists the sections"
        raise ConfigError(f"\n  {problems}", where=path, remedy=remedy) from error


def field_names(schema: type[BaseModel], keys: Iterable[str | int]) -> list[str]:
    """Return the names allowed at a dotted place of a configuration."""
    section: Any = schema
    for key in keys:
        field = section.model_fields.get(key) if _is_section(section) else None
        section = _section_of(field.annotation) if field else None
    return list(section.model_fields) if _is_section(section) else []


def _read_yaml(path: Path, example: str) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError("no such file", where=path, remedy=f"{example} is the one to start from") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"not YAML: {' '.join(str(error).split())}", where=path) from error
    if not isinstance(raw, dict):
        raise ConfigError("expected a mapping of sections", where=path, value=raw)
    return raw


def _is_section(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, BaseModel)


def _section_of(annotation: Any) -> Any:
    options = getattr(annotation, "__args__", (annotation,))
    return next((option for option in options if _is_section(option)), None)


def _anchor_paths(raw: dict[str, Any], schema: type[RunConfig], folder: Path) -> None:
    def path(text: str) -> str:
        return str((folder / Path(text).expanduser()).resolve())

    def model(text: str) -> str:
        there = text.startswith(".") or (Path(path(text)).is_dir() and text != "tiny")
        return path(text) if there else text

    for keys, anchored in ((schema.path_keys, path), (schema.model_keys, model)):
        for *parents, key in keys:
            section: Any = raw
            for parent in parents:
                section = section.get(parent) if isinstance(section, dict) else None
            if isinstance(section, dict) and key in section:
                section[key] = _each_text(section[key], anchored)


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, list):
        return [_each_text(item, change) for item in value]
    return change(value) if isinstance(value, str) else value


def _apply_override(raw: dict[str, Any], override: str) -> None:
    name, sign, value = override.partition("=")
    if not sign or not name:
        raise ConfigError(
            "expected key=value", where="--set", value=override, remedy="For example --set ppo.kl_coef=0.1"
        )
    *parents, key = name.split(".")
    section = raw
    for parent in parents:
        section = section.setdefault(parent, {})
        if not isinstance(section, dict):
            raise ConfigError(f"{parent} is not a section", where="--set", value=override)
    try:
        section[key] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError("the value is not YAML", where="--set", value=override) from error


def _explain(schema: type[BaseModel], problem: Any) -> str:
    place = [p for p in problem["loc"] if isinstance(p, str | int)]
    name = ".".join(str(p) for p in place)
    if problem["type"] == "extra_forbidden":
        allowed = field_names(schema, place[:-1])
        near = difflib.get_close_matches(str(place[-1]), allowed, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(allowed)}"
        return f"{name}: unknown key; {hint}"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "missing":
        return f"{name}: missing"
    return f"{name}: {message} (found {shorten(problem['input'])})"
