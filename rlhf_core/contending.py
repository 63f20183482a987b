"""What `rlhf contender` does: completions of a further contender, from an endpoint, a model or a file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rlhf_core.config import DataConfig, PipelineConfig, load_config
from rlhf_core.config.endpoint import EndpointConfig, SamplingSettings
from rlhf_core.config.files import make_settings
from rlhf_core.data.contenders import MADE_IN, parse_best_of, parse_round
from rlhf_core.data.datasets import content_hash, load_datasets
from rlhf_core.data.io import read_jsonl, write_jsonl
from rlhf_core.data.records import ContenderCompletion, GivenAnswer, Prompt
from rlhf_core.errors import ConfigError, DataError
from rlhf_core.runs.added import Place
from rlhf_core.runs.directory import RunDirectory
from rlhf_core.runs.reader import RunReader

NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
KNOWN = "`rlhf contender --help` lists the settings"
ALONE = {"temperature": 0.7, "top_p": 1.0, "max_tokens": 256, "max_prompt_tokens": 512, "seed": 0, "system": ""}
"""How answers are sampled where no run says how."""

Report = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Source:
    """Where a contender's answers come from: `model` at an `endpoint`, a `model` on this machine, or a `completions` file."""

    endpoint: str | None = None
    model: str | None = None
    completions: Path | None = None
    overrides: Sequence[str] = ()

    def __post_init__(self) -> None:
        if bool(self.model) == bool(self.completions) or (self.endpoint and not self.model):
            remedy = "Give --model FOLDER|HUB-ID, --endpoint URL with --model NAME, or --completions FILE"
            raise ConfigError("a contender has one source", remedy=remedy)
        if self.completions and self.overrides:
            raise ConfigError("nothing can be set for answers that are there", where="--set", value=self.overrides[0])


@dataclass(frozen=True)
class Written:
    """What was written: a completions file, how many `answers`, how many of them are `empty` or `cut` short."""

    file: Path
    answers: int
    empty: int
    cut: int
    unanswered: int = 0
    """Prompts without an answer in a completions file."""

    @property
    def sentence(self) -> str:
        """All of it in one line."""
        marked = [f"{self.empty} empty"] if self.empty else []
        marked += [f"{self.cut} cut by a limit"] if self.cut else []
        marked += [f"{self.unanswered} prompts without an answer"] if self.unanswered else []
        return f"{self.file}: {self.answers} answers" + (f", {', '.join(marked)}" if marked else "")


def add_contender(run: Path, name: str, source: Source, report: Report) -> Written:
    """Let a further contender answer the held-out prompts of a run, as its own are sampled: `completions/NAME.jsonl`.

    Repeated after an interruption it goes on; repeated with another source it replaces the answers.

    Raises:
        RunError: no such run, or it is being written. ConfigError: the name or a setting. DataError: prompts or answers.
        EndpointError, ModelError: what was asked does not answer.
    """
    config = load_config(RunReader(run).path / "config.yaml")
    _check_name(name, config)
    RunDirectory(run).lock()
    generate, policy = config.generate, config.policy
    settings = {"temperature": generate.temperature, "top_p": generate.top_p, "max_tokens": generate.max_new_tokens}
    settings |= {"max_prompt_tokens": policy.max_prompt_tokens, "seed": config.seed, "system": policy.system_prompt}
    place = Place(run / "completions", name)
    return _answer(source, config, settings, load_datasets(config.data).eval_prompts, place, report)


def write_contender(prompts: Path, out: Path, source: Source, report: Report) -> Written:
    """Let a contender answer all prompts of a file: `out` is a completions file for a task, its stem the contender's name.

    Raises:
        As `add_contender`.
    """
    place = Place(out.parent, out.stem)
    if out.suffix != ".jsonl":
        raise ConfigError("expected a file NAME.jsonl, NAME being the contender", where="OUT", value=str(out))
    rows = read_jsonl(prompts, Prompt)
    if repeated := [name for name, amount in Counter(row.id for row in rows).items() if amount > 1]:
        raise DataError("ids repeat", where=prompts, value=repeated, remedy="Give every row an id of its own")
    data = DataConfig(prompts=prompts, demonstrations=prompts, rankings=prompts)  # no stage reads them here
    config = PipelineConfig(name="answers", run_root=out.parent, data=data)
    _check_name(place.name, config)
    return _answer(source, config, dict(ALONE), rows, place, report)


def _answer(
    source: Source,
    config: PipelineConfig,
    settings: dict[str, Any],
    prompts: Sequence[Prompt],
    place: Place,
    report: Report,
) -> Written:
    if source.completions:
        return _take(source.completions, prompts, place)
    if source.endpoint:
        return _ask(_endpoint(source, settings), prompts, place, report)
    return _compute(source, config, settings, prompts, place, report)


def _endpoint(source: Source, settings: dict[str, Any]) -> EndpointConfig:
    raw = {"url": source.endpoint, "model": source.model} | {n: settings[n] for n in ("temperature", "max_tokens")}
    raw |= {"top_p": None if settings["top_p"] == 1 else settings["top_p"], "system": settings["system"] or None}
    return make_settings(EndpointConfig, raw, source.overrides, "--endpoint", KNOWN)


def _ask(endpoint: EndpointConfig, prompts: Sequence[Prompt], place: Place, report: Report) -> Written:
    from rlhf_core.endpoints.asking import ask_all
    from rlhf_core.endpoints.client import Request

    before = ({"role": "system", "content": endpoint.system},) if endpoint.system else ()
    requests = [Request(f"prompt {p.id}", (*before, *(turn.model_dump() for turn in p.conversation))) for p in prompts]
    replies = ask_all(endpoint, requests, report)
    rows = [
        ContenderCompletion(
            prompt_id=p.id, prompt=p.transcript, history=p.history, category=p.category, contender=place.name,
            text=reply.text, tokens=reply.tokens, finished=not reply.cut,
        )
        for p, reply in zip(prompts, replies, strict=True)
    ]  # fmt: skip
    said = sorted({reply.model for reply in replies if reply.model})
    asked = {"model": endpoint.model, "system": endpoint.system, "parameters": endpoint.parameters}
    place.came_from(kind="endpoint", url=endpoint.url, **asked, answered_by=said, written=_now())
    return _write(rows, place)


def _compute(
    source: Source,
    config: PipelineConfig,
    settings: dict[str, Any],
    prompts: Sequence[Prompt],
    place: Place,
    report: Report,
) -> Written:
    from rlhf_core.pipeline import let_answer

    assert source.model
    chosen = make_settings(SamplingSettings, settings, source.overrides, "--model", KNOWN)
    sampling = {"temperature": chosen.temperature, "top_p": chosen.top_p, "max_new_tokens": chosen.max_tokens}
    asking = {"system_prompt": chosen.system, "max_prompt_tokens": chosen.max_prompt_tokens}
    generate = config.generate.model_copy(update=sampling | {"models": {place.name: source.model}})
    policy = config.policy.model_copy(update=asking)
    place.came_from(kind="model", model=source.model, **chosen.model_dump(), written=_now())
    config = config.model_copy(update={"generate": generate, "policy": policy, "seed": chosen.seed})
    let_answer(config, place, prompts, report)
    return _written(read_jsonl(place.answers, ContenderCompletion), place)


def _take(file: Path, prompts: Sequence[Prompt], place: Place) -> Written:
    """Match the answers of a file to the prompts, by their id or where they have none by their text."""
    given = read_jsonl(file, GivenAnswer)
    by_id = {row.prompt_id: row for row in given if row.prompt_id}
    by_text = {row.prompt: row for row in given if not row.prompt_id}
    if len(by_id) + len(by_text) < len(given):
        remedy = "Expected one answer to each prompt, of one contender"
        raise DataError("prompts are answered several times", where=file, remedy=remedy)
    rows = []
    for p in prompts:
        row = by_id.get(p.id) or by_text.get(p.transcript)
        if row and row.prompt not in ("", p.transcript):
            remedy = "Answers have to be to these very prompts"
            raise DataError(f"{p.id} is another prompt here", where=file, value=row.prompt, remedy=remedy)
        if row:
            rows.append(row.of(p, place.name))
    if not rows:
        remedy = "prompt_id, or else prompt, tells what each row answers"
        raise DataError("answers none of the prompts", where=file, value=[p.id for p in prompts[:5]], remedy=remedy)
    place.came_from(kind="completions", file=str(file.resolve()), sha256=content_hash(file), written=_now())
    return _write(rows, place, unanswered=len(prompts) - len(rows))


def _write(rows: Sequence[ContenderCompletion], place: Place, unanswered: int = 0) -> Written:
    write_jsonl(place.answers, rows)
    return _written(rows, place, unanswered)


def _written(rows: Sequence[ContenderCompletion], place: Place, unanswered: int = 0) -> Written:
    empty, cut = sum(not row.text.strip() for row in rows), sum(row.finished is False for row in rows)
    return Written(place.answers, len(rows), empty, cut, unanswered)


def _check_name(name: str, config: PipelineConfig) -> None:
    if not NAME.fullmatch(name):
        raise ConfigError("a contender's name is lower-case letters, digits, dashes and underscores", value=name)
    if name in (*config.generate.names, *MADE_IN, "base") or parse_best_of(name) or parse_round(name):
        raise ConfigError("is a contender of the run itself", where=name, remedy="Give the new one another name")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
