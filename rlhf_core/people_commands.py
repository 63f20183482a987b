"""`rlhf people`: invitation links for the dashboard in team mode."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from rlhf_core.feedback.people import PeopleStore

app = typer.Typer(
    no_args_is_help=True,
    help="""Invite people to `rlhf dashboard --team`, and see who came.

    An owner does everything; a reviewer reads everything and judges; a labeller judges, and sees nothing else. Every link is
    personal: what is judged with it is kept under its name.
    """,
)

Votes = Annotated[
    str,
    typer.Option("--votes", metavar="PATH|URL", help="Vote database: a SQLite file, or postgresql://user@host/name."),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Under which the person's votes are kept.")]
BESIDE_THE_RUNS = "runs/votes.db"


@app.command()
def invite(
    name: Name,
    role: Annotated[Literal["owner", "reviewer", "labeller"], typer.Option(help="What the person may do.")],
    days: Annotated[int, typer.Option(min=1, max=365, help="How long the link lasts.")] = 14,
    url: Annotated[str, typer.Option(help="The dashboard's address.")] = "http://127.0.0.1:8501",
    votes: Votes = BESIDE_THE_RUNS,
) -> None:
    """Print a personal link, once: nothing can show it again. A new link ends the person's old one."""
    with _store(votes) as store:
        token = store.invite(name, role, days)
    typer.echo(f"{url.rstrip('/')}/join/{token}")
    typer.echo(f"For {name}, {role}, {days} days. Whoever has it is {name}: send it in private.", err=True)


@app.command()
def revoke(name: Name, votes: Votes = BESIDE_THE_RUNS) -> None:
    """End a person's link and sign them out everywhere, at once. Their votes are kept."""
    with _store(votes) as store:
        store.revoke(name)
    typer.echo(f"{name} is let in no more")


@app.command("list")
def list_people(votes: Votes = BESIDE_THE_RUNS) -> None:
    """List who was invited."""
    from rlhf_core.terminal import print_people

    with _store(votes) as store:
        print_people(store.people())


@app.command()
def log(votes: Votes = BESIDE_THE_RUNS) -> None:
    """List who was invited, signed in, signed out and was revoked, and when."""
    with _store(votes) as store:
        for event in store.events():
            typer.echo(f"{event.at}  {event.name}  {event.what}  {event.by}".rstrip())


def _store(votes: str) -> closing[PeopleStore]:
    from rlhf_core.feedback.people import PeopleStore

    return closing(PeopleStore(votes))
