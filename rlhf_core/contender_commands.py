"""`rlhf contender`: further contenders, from an endpoint, a model folder or a completions file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rlhf_core.visible import one_line

if TYPE_CHECKING:
    from rlhf_core.contending import Report, Source, Written

app = typer.Typer(
    no_args_is_help=True,
    help="""Let anything answer: a model behind an OpenAI-compatible endpoint, a Hugging Face folder or hub id, or a file of
    answers that are there.

    `add` gives a run one more contender, beside base, sft and tuned; `write` makes a completions file for `rlhf task create`.
    Whatever was answered is kept: the same command goes on where it was.

    Settings of an endpoint (--set KEY=VALUE): temperature, top_p, max_tokens, seed, system, extra.FIELD, key_variable,
    concurrency, per_minute, timeout, retries. A parameter set to null is not sent. Of a model: temperature, top_p,
    max_tokens, max_prompt_tokens, seed, system.

    The endpoint's key is read from the environment: OPENAI_API_KEY, or the variable that key_variable names. It is
    written nowhere. docs/endpoints.md tells more.
    """,
)

Endpoint = Annotated[
    str | None, typer.Option("--endpoint", metavar="URL", help="Base address, e.g. http://127.0.0.1:8000/v1.")
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL", help="With --endpoint the model's name there; else a folder, packaged:NAME or hub id."
    ),
]
Completions = Annotated[
    Path | None,
    typer.Option(metavar="FILE.jsonl", help="Answers that are there: rows with text, and prompt_id or prompt."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One setting, e.g. --set temperature=0. May repeat."),
]


@app.command()
def add(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory, e.g. runs/quickstart.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call the contender, e.g. qwen3.")],
    endpoint: Endpoint = None,
    model: Model = None,
    completions: Completions = None,
    overrides: Overrides = None,
) -> None:
    """Let one more contender answer the held-out prompts of a run.

    It is asked as the run's own contenders are: with their system prompt, temperature, top_p and longest answer.
    `rlhf evaluate RUN/config.yaml` then scores it with the others; Compare, Tasks and the report know it.
    """
    from rlhf_core.contending import add_contender

    source = _source(endpoint, model, completions, overrides)
    _show(name, source, lambda report: add_contender(run, name, source, report))
    typer.echo(f"Next: rlhf evaluate {run}/config.yaml scores it; the Tasks page compares it with others")


@app.command()
def write(
    prompts: Annotated[Path, typer.Argument(metavar="PROMPTS.jsonl", help="Prompts to answer, all of the file.")],
    out: Annotated[
        Path, typer.Argument(metavar="NAME.jsonl", help="Completions file to write; NAME is the contender.")
    ],
    endpoint: Endpoint = None,
    model: Model = None,
    completions: Completions = None,
    overrides: Overrides = None,
) -> None:
    """Write a completions file for a judging task: one contender's answers to all prompts of a file.

    Unless set otherwise: temperature 0.7, top_p 1, at most 256 tokens, no system prompt.
    """
    from rlhf_core.contending import write_contender

    source = _source(endpoint, model, completions, overrides)
    _show(out.stem, source, lambda report: write_contender(prompts, out, source, report))
    typer.echo("Next: name the file as one of the contenders of `rlhf task create`")


def _source(endpoint: str | None, model: str | None, completions: Path | None, overrides: list[str] | None) -> Source:
    from rlhf_core.contending import Source

    return Source(endpoint, model, completions, overrides or [])


def _show(name: str, source: Source, write: Callable[[Report], Written]) -> None:
    from rlhf_core.terminal import interruptible, prepare_libraries, run_with_bar

    if source.model and not source.endpoint:
        prepare_libraries()
    with interruptible():
        typer.echo(one_line(run_with_bar(name, write).sentence))
