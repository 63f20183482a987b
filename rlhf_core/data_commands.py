"""`rlhf data`: check the data of a pipeline; read and write the files of other projects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from rlhf_core.visible import one_line

app = typer.Typer(
    no_args_is_help=True,
    help="""Check the data a pipeline learns from; read and write the files of other projects.

    Training curves of other tools become runs beside ours: `rlhf data import LOGS runs/theirs --as curves`.

    What others call a preference file becomes data.rankings of a pipeline: `rlhf data import FILE OUT.jsonl --as preferences`.
    `rlhf data formats` lists what can be read and written.
    """,
)
Kind = Literal["prompts", "demonstrations", "preferences", "rankings", "completions", "votes", "curves"]


@app.command()
def check(files: Annotated[list[Path], typer.Argument(metavar="FILE...")]) -> None:
    """Check JSONL files of prompts, demonstrations or rankings, alone and against each other."""
    from rlhf_core.data.check import check_files

    for line in check_files(files):
        typer.echo(one_line(line))


@app.command("import")
def import_data(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="JSONL, JSON, CSV, TSV or Parquet; gzip or Zstandard.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A .jsonl file; of curves a run directory.")],
    kind: Annotated[Kind, typer.Option("--as", help="What the rows become.")],
    form: Annotated[
        str, typer.Option("--format", metavar="NAME|auto", help="`rlhf data formats` lists the names.")
    ] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show five rows as they will be; write nothing.")] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Write the good rows, and the others to OUT.rejects.jsonl.")
    ] = False,
    stage: Annotated[
        str | None, typer.Option(metavar="STAGE", help="Of curves: what was trained, where they do not tell.")
    ] = None,
) -> None:
    """Read another project's file as records of this one.

    The format is told by the fields of the first row, and said. Every row is checked first: nothing is written when one is
    wrong, unless `--skip-bad` is given. Names of people become pseudonyms.

    Curves are TensorBoard's event files (or a folder of them), `trainer_state.json`, and exports of W&B and Trackio and CSV, with
    all their points.

    Example: rlhf data import train.parquet rankings.jsonl --as preferences
    """
    if kind == "curves":
        if skip_bad:
            raise typer.BadParameter("curves are imported whole or not at all", param_hint="--skip-bad")
        return _import_curves(source, out, form, stage, dry_run)
    if stage:
        raise typer.BadParameter("only curves are of a stage", param_hint="--stage")
    _import_records(source, out, kind, (form, skip_bad), dry_run)
    return None


def _import_curves(source: Path, out: Path, form: str, stage: str | None, dry_run: bool) -> None:
    from rlhf_core.runs.importing import import_curves

    for line in import_curves(source, out, format=form, stage=stage, dry_run=dry_run).sentences:
        typer.echo(one_line(line))


def _import_records(source: Path, out: Path, kind: str, how: tuple[str, bool], dry_run: bool) -> None:
    from rlhf_core.data.exchange.importing import ImportRequest, import_file, preview
    from rlhf_core.data_terminal import share_bar

    form, skip_bad = how
    request = ImportRequest(source, kind, form, skip_bad)
    if dry_run:
        name, lines = preview(request)
        typer.echo(f"{one_line(str(source))} reads as {name}. The first {kind} would be:")
        for line in lines:
            typer.echo(one_line(line))
        return
    with share_bar(f"import {source.name}") as progress:
        done = import_file(request, out, progress)
    for line in done.describe():
        typer.echo(one_line(line))


@app.command("export")
def export_data(
    source: Annotated[Path, typer.Argument(metavar="FILE.jsonl", help="Records of this project, of any kind.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="OUT.json is one list; any other name is JSONL.")],
    to: Annotated[str, typer.Option("--to", metavar="NAME", help="`rlhf data formats` lists the names.")],
) -> None:
    """Write records of this project as another project's file.

    Example: rlhf data export rankings.jsonl train.jsonl --to trl
    """
    from rlhf_core.data.exchange.exporting import export_file

    for line in export_file(source, out, to).describe():
        typer.echo(one_line(line))


@app.command()
def formats() -> None:
    """List the formats: what each can be read as, and written from."""
    from rlhf_core.data_terminal import print_formats

    print_formats()
