"""`rlhf task`: judging tasks for people, from making one to exporting what they said."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from rlhf_core.feedback.store import VoteStore

app = typer.Typer(
    no_args_is_help=True,
    help="""Let people judge completions side by side, and export what they say.

    `rlhf task create summaries runs/a/completions/base.jsonl runs/b/completions/tuned.jsonl --instructions guide.md`
    makes a task; people judge it on the dashboard's Judge page; `rlhf task list` shows how far they are.
    """,
)

Database = Annotated[
    str,
    typer.Option("--votes", metavar="PATH|URL", help="Vote database: a SQLite file or postgresql://user@host/name."),
]
TaskId = Annotated[int, typer.Argument(metavar="TASK", help="The task's number, from `rlhf task list`.")]
DEFAULT = "runs/votes.db"


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the task is called.")],
    contenders: Annotated[
        list[Path], typer.Argument(metavar="COMPLETIONS...", help="Files, or runs with completions/.")
    ],
    instructions: Annotated[Path, typer.Option(help="What labellers should prefer, in Markdown.")],
    votes: Database = DEFAULT,
    form: Annotated[
        Literal["pairwise", "ranking"], typer.Option(help="Two completions at a time, or all of a prompt's ranked.")
    ] = "pairwise",
    criterion: Annotated[
        list[str] | None,
        typer.Option(help="What a verdict is about: overall, helpful, honest, harmless, … May repeat."),
    ] = None,
    overlap: Annotated[
        int | None, typer.Option(min=1, help="Labellers for each item. Without it everybody judges everything.")
    ] = None,
    gold: Annotated[Path | None, typer.Option(help="Rankings whose order is known, shown among the others.")] = None,
    gold_every: Annotated[int, typer.Option(min=1, help="After so many items comes a gold one.")] = 10,
    repeat_every: Annotated[
        int | None,
        typer.Option(min=1, help="After so many items one comes again, sides swapped, to see who is consistent."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the order of items and sides.")] = 0,
) -> None:
    """Make a task. It opens at once, unless completions name their author: then look at them and open it yourself."""
    from rlhf_core.feedback.tasks import TaskDesign
    from rlhf_core.judging import create_task
    from rlhf_core.terminal import print_task

    design = TaskDesign(form, tuple(criterion or ["overall"]), overlap, gold_every, repeat_every)
    info = create_task(votes, name, contenders, instructions, design, gold, seed)
    print_task(info)
    if info.state == "draft":
        typer.echo(f"Not open yet. To let people see these as they are: rlhf task open {info.id} --votes {votes}")


@app.command("list")
def list_tasks(votes: Database = DEFAULT) -> None:
    """List the tasks and how far they are."""
    from rlhf_core.terminal import print_tasks

    with _store(votes) as store:
        print_tasks(store.tasks())


@app.command()
def show(task: TaskId, votes: Database = DEFAULT) -> None:
    """Show one task: contenders, progress, and the completions that name their author."""
    from rlhf_core.terminal import print_task

    with _store(votes) as store:
        print_task(store.task(task))


@app.command("open")
def open_task(task: TaskId, votes: Database = DEFAULT) -> None:
    """Let people judge: for the first time, or again."""
    _set_state(task, "open", votes)


@app.command()
def pause(task: TaskId, votes: Database = DEFAULT) -> None:
    """Give out no more items for now. What is on a screen can still be judged."""
    _set_state(task, "paused", votes)


@app.command()
def close(task: TaskId, votes: Database = DEFAULT) -> None:
    """Take no more votes. All votes are kept."""
    _set_state(task, "closed", votes)


@app.command()
def export(
    task: TaskId,
    out: Annotated[Path, typer.Argument(metavar="OUT.jsonl")],
    votes: Database = DEFAULT,
    form: Annotated[
        Literal["rankings", "preferences"], typer.Option("--format", help="One row a prompt, or one a pair.")
    ] = "rankings",
    method: Annotated[
        Literal["majority", "dawid_skene", "mace", "noisy_bradley_terry"],
        typer.Option(help="How votes become one verdict."),
    ] = "majority",
    criterion: Annotated[str | None, typer.Option(help="Default: the task's first.")] = None,
) -> None:
    """Write people's consensus as data for the next reward model: name the file as data.rankings."""
    from rlhf_core.judging import export_task

    done = export_task(votes, task, form, out, method, criterion)
    typer.echo(f"{out}: {done.rows} {form}")
    typer.echo(f"left out: {done.undecided} items without an order (ties), {done.without_votes} without votes")


def _set_state(task: int, state: str, votes: str) -> None:
    with _store(votes) as store:
        store.set_state(task, state)
        info = store.task(task)
    typer.echo(f"task {info.id} ({info.run_name}) is {info.state}; {info.votes} votes are kept")


def _store(votes: str) -> closing[VoteStore]:
    from rlhf_core.errors import VoteError
    from rlhf_core.feedback.store import VoteStore

    if "://" not in votes and not Path(votes).is_file():
        raise VoteError("no vote database", where=votes, remedy="`rlhf task create` makes one; --votes names another")
    return closing(VoteStore(votes))
