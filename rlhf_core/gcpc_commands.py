"""`rlhf gcpc`: run the job of Google Cloud's RLHF pipeline here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rlhf_core.running import run_stages
from rlhf_core.visible import one_line

if TYPE_CHECKING:
    from rlhf_core.gcpc.migration import Migration


def gcpc(
    parameters: Annotated[
        Path, typer.Argument(metavar="PARAMS.yaml", help="For example sample_data/summaries/params.yaml.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FOLDER", help="For data and configuration. Default: data/NAME.", show_default=False
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override one setting of the pipeline here. May repeat."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what becomes of parameters and data; write and run nothing.")
    ] = False,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Write the files, and say what the run would take: time, memory, disk.")
    ] = False,
) -> None:
    """Run a job of Google Cloud's `rlhf_pipeline` here: its parameters by their names, its datasets in their format.

    PARAMS.yaml (or JSON) holds what you gave as `parameter_values`. Paths start from its folder; of gs://bucket/a/b.jsonl a copy
    is looked for there as bucket/a/b.jsonl, a/b.jsonl and b.jsonl; of patterns, with at least the last folder.

    It says which parameter becomes which setting, which are done better here, and which are not needed; checks every row;
    writes prompts, demonstrations, preferences and pipeline.yaml to FOLDER; and runs sft → reward → ppo → generate → evaluate.
    The same command goes on where it was. docs/google-cloud.md has a worked example.
    """
    from rlhf_core.terminal import prepare_libraries, print_estimate

    prepare_libraries()
    from rlhf_core.gcpc.migration import CONFIG, migrate
    from rlhf_core.runs.directory import STAGES

    moved = migrate(parameters, overrides or [])
    _print_fates(moved)
    for line in moved.rows.describe():
        typer.echo(one_line(line))
    if dry_run:
        typer.echo(f"\n{moved.yaml}\nNothing was written.")
        return
    folder = out or moved.folder
    settings = moved.write(folder)
    typer.echo(one_line(f"{folder / CONFIG}: from now on `rlhf pipeline {folder / CONFIG}` does the same"))
    typer.echo()
    if estimate:
        print_estimate(settings)
    else:
        run_stages(settings, STAGES)


def _print_fates(moved: Migration) -> None:
    """Print a paragraph for each parameter, under what becomes of it: a table of sentences would not fit a terminal."""
    from rlhf_core.gcpc.mapping import shown

    for becomes in ("mapped", "done better", "not needed"):
        here = [fate for fate in moved.fates if fate.becomes == becomes]
        if here:
            typer.secho(f"{becomes.capitalize()} here", bold=True)
        for fate in here:
            typer.echo(one_line(f"  {fate.name} = {shown(moved.parameters, fate.name)}"))
            typer.echo(one_line(f"    → {fate.sentence(moved.raw)}"))
    typer.echo()
