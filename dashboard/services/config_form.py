"""A form made from a configuration model: its fields by type, their values, and the way back to a checked configuration.

A field's place is its dotted key, the same as in `--set`. A section that may be null is a field of its own, on or off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from rlhf_core.config import PipelineConfig, load_config
from rlhf_core.config.files import explain

Values = Mapping[str, Any]
SCHEMA = PipelineConfig
SWITCH, WHOLE, NUMBER, CHOICE, CHOICES, TEXT, YAML, SECTION = (
    "switch", "whole", "number", "choice", "choices", "text", "yaml", "section",
)  # fmt: skip
SIMPLE: dict[Any, str] = {bool: SWITCH, int: WHOLE, float: NUMBER, str: TEXT, Path: TEXT}
MISSING = object()
LEFT_OUT = ("run_root",)
"""Where runs lie is the dashboard's to say: the page shows no others."""


@dataclass(frozen=True)
class FormField:
    """One setting. `low` and `high` are the bounds that belong to it; `optional` says whether it may be null."""

    place: str
    kind: str
    help: str
    options: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    optional: bool = False

    @property
    def name(self) -> str:
        """The last part of the place."""
        return self.place.rpartition(".")[2]

    @property
    def parent(self) -> str:
        """The section it stands in; empty at the top."""
        return self.place.rpartition(".")[0]


@dataclass(frozen=True)
class Resolved:
    """What became of a form: the configuration, or what is wrong by place (an empty one: with the whole)."""

    config: PipelineConfig | None
    problems: Mapping[str, str]


@cache
def form_fields() -> tuple[FormField, ...]:
    """Return all settings of a pipeline in the order of the models."""
    return tuple(_fields_of(SCHEMA, ""))


@cache
def section_help() -> dict[str, str]:
    """Return what each section is, by place: the first line of its model's documentation."""
    return dict(_sections_of(SCHEMA, ""))


def values_of(config: PipelineConfig) -> dict[str, Any]:
    """Return a configuration as the form's values; those of a section that is off are what they would be when it is on."""
    dumped = config.model_dump(mode="json")
    return {field.place: _shown(field, _at(dumped, field.place.split("."), SCHEMA)) for field in form_fields()}


def resolve(values: Values, run_root: Path) -> Resolved:
    """Return the configuration that the values make, or their problems."""
    raw, problems = _nested(values)
    if problems:
        return Resolved(None, problems)
    try:
        return Resolved(SCHEMA.model_validate(raw | {"run_root": str(run_root)}), {})
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            problems.setdefault(_place_of(problem["loc"]), explain(SCHEMA, problem))
        return Resolved(None, problems)


def overrides(start: Values, values: Values) -> dict[str, str]:
    """Return what differs, by place, as the one-line YAML that `--set` takes; settings that are not YAML are left out.

    A section that is switched on is given whole, for a file may hold null in its place.
    """
    before, after = _nested(start)[0], _nested(values)[0]
    found: dict[str, str] = {}
    for field in _in_force(values):
        old, new = _find(before, field.place), _find(after, field.place)
        within = any(field.place.startswith(f"{place}.") for place in found)
        changed = (old is None) != (new is None) if field.kind == SECTION else old != new
        if changed and not within and new is not MISSING:
            found[field.place] = one_line_yaml(new)
    return found


def command_settings(path: Path, config: PipelineConfig, changed: Mapping[str, str]) -> list[str]:
    """Return the `key=value` settings with which the file at `path` is read as `config`: what changed, and what follows from it.

    Defaults may depend on other settings: without `sft: null` the fine-tuned model is a contender again.

    Raises:
        ConfigError: the file is missing or wrong.
    """
    settings = dict(changed)
    made = load_config(path, [f"{place}={value}" for place, value in settings.items()])
    settings |= overrides(values_of(made), values_of(config))
    if made.run_root.resolve() != config.run_root.resolve():
        settings["run_root"] = one_line_yaml(str(config.run_root))
    return [f"{place}={value}" for place, value in settings.items()]


def said_at(values: Values, place: str) -> str:
    """Return the value at a place in one line of YAML; null where a section above it is off."""
    found = _find(_nested(values)[0], place)
    return one_line_yaml(None if found is MISSING else found)


def one_line_yaml(value: Any) -> str:
    """Return a value as YAML in one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=2**31, sort_keys=False, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def is_in_force(field: FormField, values: Values) -> bool:
    """Say whether every section above a setting is on."""
    parts = field.place.split(".")
    return all(values.get(".".join(parts[:n])) is not False for n in range(1, len(parts)))


def _nested(values: Values) -> tuple[dict[str, Any], dict[str, str]]:
    """The values as a configuration file holds them, and what is not YAML by place."""
    raw: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for field in _in_force(values):
        *parents, name = field.place.split(".")
        section = raw
        for parent in parents:
            section = section.setdefault(parent, {})
        try:
            section[name] = _given(field, values[field.place])
        except yaml.YAMLError as error:
            problems[field.place] = f"{field.place}: not YAML: {' '.join(str(error).split())}"
    return raw, problems


def _find(raw: Any, place: str) -> Any:
    for part in place.split("."):
        raw = raw.get(part, MISSING) if isinstance(raw, dict) else MISSING
    return raw


def _in_force(values: Values) -> Iterator[FormField]:
    """The settings whose sections are on."""
    return (field for field in form_fields() if is_in_force(field, values))


def _fields_of(model: type[BaseModel], above: str) -> Iterator[FormField]:
    for name, info in model.model_fields.items():
        place = f"{above}{name}"
        if place in LEFT_OUT:
            continue
        kind, optional, rules = _parts(info)
        about = info.description or ""
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            if optional:
                yield FormField(place, SECTION, about, optional=True)
            yield from _fields_of(kind, f"{place}.")
        elif get_origin(kind) is Literal:
            yield FormField(place, CHOICE, about, get_args(kind), optional=optional)
        elif get_origin(kind) is tuple and get_origin(get_args(kind)[0]) is Literal:
            yield FormField(place, CHOICES, about, get_args(get_args(kind)[0]))
        else:
            low: Any = next((rule.ge for rule in rules if isinstance(rule, Ge)), None)
            high: Any = next((rule.le for rule in rules if isinstance(rule, Le)), None)
            about = " ".join([f"{about}{'.' if about and about[-1] != '.' else ''}", *_open_ends(rules)]).strip()
            yield FormField(place, SIMPLE.get(kind, YAML), about, (), low, high, optional)


def _sections_of(model: type[BaseModel], above: str) -> Iterator[tuple[str, str]]:
    for name, info in model.model_fields.items():
        kind, _, _ = _parts(info)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield f"{above}{name}", (kind.__doc__ or "").strip().split("\n")[0]
            yield from _sections_of(kind, f"{above}{name}.")


def _parts(info: FieldInfo) -> tuple[Any, bool, list[Any]]:
    """The type of a setting without null and without rules; whether null is allowed; the rules of its value."""
    rules, kind = list(info.metadata), info.annotation
    options = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    optional = NoneType in options
    others = [option for option in options if option is not NoneType]
    kind = others[0] if len(others) == 1 else kind
    while get_origin(kind) is Annotated:
        kind, *more = get_args(kind)
        rules += [rule for one in more for rule in getattr(one, "metadata", [one])]
    return kind, optional, rules


def _open_ends(rules: list[Any]) -> Iterator[str]:
    """What a number must stay above or below, which no widget can hold it to."""
    for rule in rules:
        if isinstance(rule, Gt):
            yield f"Above {rule.gt:g}."
        if isinstance(rule, Lt):
            yield f"Below {rule.lt:g}."


def _at(dumped: Any, parts: list[str], model: type[BaseModel]) -> Any:
    """The value at a place of a dumped configuration, or the default where a section above is off."""
    name, *rest = parts
    info = model.model_fields[name]
    value = dumped.get(name, None if info.is_required() else info.get_default(call_default_factory=True))
    if isinstance(value, BaseModel):  # a section that is written only where it says something
        value = value.model_dump(mode="json")
    if not rest:
        return value
    kind, _, _ = _parts(info)
    if value is None:  # off: what the section would be
        usual = info.get_default(call_default_factory=True)
        value = usual.model_dump(mode="json") if isinstance(usual, BaseModel) else {}
    return _at(value, rest, kind)


def _shown(field: FormField, value: Any) -> Any:
    """A value of the configuration as the form holds it."""
    if field.kind == SECTION:
        return value is not None
    if field.kind == YAML:
        return "" if value in ({}, [], ()) else yaml.safe_dump(_plain(value), sort_keys=False, allow_unicode=True)
    if field.kind == CHOICES:
        return list(value)
    if field.kind == TEXT:
        return "" if value is None else str(value)
    return float(value) if field.kind == NUMBER and value is not None else value


def _plain(value: Any) -> Any:
    return [_plain(one) for one in value] if isinstance(value, tuple | list) else value


def _given(field: FormField, value: Any) -> Any:
    """A value of the form as the configuration takes it."""
    if field.kind == SECTION:
        return {} if value else None
    if field.kind == YAML:
        return _empty(field) if not value.strip() else yaml.safe_load(value)
    if field.kind == TEXT:
        return None if field.optional and not value.strip() else value
    return value


def _empty(field: FormField) -> Any:
    """What an empty text stands for: no entries."""
    info = _info(field.place)
    return {} if get_origin(_parts(info)[0]) is dict else []


def _info(place: str) -> FieldInfo:
    model: Any = SCHEMA
    *parents, name = place.split(".")
    for parent in parents:
        model = _parts(model.model_fields[parent])[0]
    return model.model_fields[name]


def _place_of(loc: tuple[str | int, ...]) -> str:
    """The setting that a problem belongs to: the longest place that it lies in; empty for the whole."""
    places = {field.place for field in form_fields()} | set(section_help())
    parts = [str(part) for part in loc]
    found = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next((place for place in found if place in places), "")
