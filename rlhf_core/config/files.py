"""Configuration files: YAML read into a frozen pydantic model, with dotted overrides and messages that name the mistake."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from rlhf_core.config.anchors import anchor_paths
from rlhf_core.config.section import FileConfig, Section
from rlhf_core.errors import ConfigError, shorten

C = TypeVar("C", bound=FileConfig)
S = TypeVar("S", bound=Section)


def read_config(schema: type[C], path: str | Path, overrides: Sequence[str] = ()) -> C:
    """Read a YAML file, apply `key.sub=value` overrides, and validate as `schema`.

    Raises:
        ConfigError: file missing, not YAML, unknown key (the nearest one is suggested), or a value out of range.
    """
    path = Path(path)
    raw = read_mapping(path, schema.example)
    anchor_paths(raw, path.resolve().parent, schema.path_keys, schema.model_keys)
    return make_settings(schema, raw, overrides, path, f"`rlhf {schema.command} --help` lists the sections")


def make_settings(schema: type[S], raw: dict[str, Any], overrides: Sequence[str], where: object, remedy: str) -> S:
    """Apply `key.sub=value` overrides to `raw`, in place, and validate it as `schema`; `where` is what errors name.

    Raises:
        ConfigError: unknown key (the nearest one is suggested), or a value out of range.
    """
    for override in overrides:
        _apply_override(raw, override)
    try:
        return schema.model_validate(raw)
    except ValidationError as error:
        problems = "\n  ".join(explain(schema, problem) for problem in error.errors(include_url=False))
        raise ConfigError(f"\n  {problems}", where=where, remedy=remedy) from error


def field_names(schema: type[BaseModel], keys: Iterable[str | int]) -> list[str]:
    """Return the names allowed at a dotted place of the configuration; numbers are places in lists, kinds choose one."""
    sections: list[type[BaseModel]] = [schema]
    for key in keys:
        if isinstance(key, str):
            of_kind = [s for s in sections if "kind" in s.model_fields and s.model_fields["kind"].default == key]
            fields = [s.model_fields[key] for s in sections if key in s.model_fields]
            sections = of_kind or [found for field in fields for found in _sections_in(field.annotation)]
    return list(dict.fromkeys(name for section in sections for name in section.model_fields))


def explain(schema: type[BaseModel], problem: Any) -> str:
    """Return one of pydantic's problems as `key: what is wrong (found …)`."""
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
    return f"{name}: {message} (found {shorten(problem['input'])})" if name else message


def read_mapping(path: Path, example: str) -> dict[str, Any]:
    """Read a YAML or JSON file that holds a mapping; `example` is the file to start from where this one is missing.

    Raises:
        ConfigError: the file is missing, not YAML, or holds something else.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError("no such file", where=path, remedy=f"{example} is the one to start from") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"not YAML: {' '.join(str(error).split())}", where=path) from error
    if not isinstance(raw, dict):
        raise ConfigError("expected a mapping of sections", where=path, value=raw)
    return raw


def _sections_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in getattr(annotation, "__args__", ()) for found in _sections_in(part)]


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
