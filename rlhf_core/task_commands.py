"""`rlhf task`: judging tasks for people, from making one to exporting what they said."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rlhf_core.passwords import without_password
from rlhf_core.visible import one_line

if TYPE_CHECKING:
    from rlhf_core.feedback.store import VoteStore

app = typer.Typer(
    no_args_is_help=True,
    help="""Let people judge completions side by side, and export what they say.

    `rlhf task create configs/judging.yaml` makes a task; people judge it on the dashboard's Judge page; `rlhf task list`
    shows how far they are; `rlhf task export` writes data for the next reward model, or the votes for other programs.
    """,
)

Votes = Annotated[
    str,
    typer.Option("--votes", metavar="PATH|URL", help="Vote database: a SQLite file, or postgresql://user@host/name."),
]
TaskId = Annotated[int, typer.Argument(metavar="TASK", help="The task's number, from `rlhf task list`.")]
TaskFile = Annotated[Path, typer.Argument(metavar="TASK.yaml", help="For example configs/judging.yaml.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override one setting, e.g. --set overlap=3. May repeat."),
]
Form = Annotated[
    Literal["rankings", "preferences", "votes"],
    typer.Option("--format", help="People's consensus, one row a prompt or one a pair; or each judgement by itself."),
]
Method = Annotated[
    Literal["majority", "dawid_skene", "mace", "noisy_bradley_terry"] | None,
    typer.Option(help="How votes become one verdict. Default: majority. Not for votes."),
]
Criterion = Annotated[
    str | None, typer.Option(help="Default: the task's first; of votes all, a row for each.", metavar="NAME")
]
Between = Annotated[
    tuple[str, str] | None,
    typer.Option(help="Only votes on these two contenders, for formats that compare two.", metavar="NAME NAME"),
]
Simulated = Annotated[
    bool, typer.Option("--simulated", help="Votes that no person gave, marked as such, instead of people's.")
]
BESIDE_THE_RUNS = "runs/votes.db"


@app.command()
def create(config: TaskFile, overrides: Overrides = None, votes: Votes = BESIDE_THE_RUNS) -> None:
    """Make a task. It opens at once, unless completions name their author: look at them, then open it yourself.

    Settings: name, contenders, instructions, form, criteria, categories, prompts, overlap, gold, gold_every,
    repeat_every, seed.
    """
    from rlhf_core.config.files import read_config
    from rlhf_core.config.task import TaskConfig
    from rlhf_core.judging import create_task
    from rlhf_core.terminal import print_task

    info = create_task(read_config(TaskConfig, config, overrides or []), votes)
    print_task(info)
    if info.state == "draft":
        typer.echo(
            f"Not open yet. To let people see them as they are: rlhf task open {info.id} --votes {without_password(votes)}"
        )


@app.command("list")
def list_tasks(votes: Votes = BESIDE_THE_RUNS) -> None:
    """List the tasks and how far they are."""
    from rlhf_core.terminal import print_tasks

    with _store(votes) as store:
        print_tasks(store.tasks())


@app.command()
def show(task: TaskId, votes: Votes = BESIDE_THE_RUNS) -> None:
    """Show one task: contenders, progress, and the completions that name their author."""
    from rlhf_core.terminal import print_task

    with _store(votes) as store:
        print_task(store.task(task))


@app.command("open")
def open_task(task: TaskId, votes: Votes = BESIDE_THE_RUNS) -> None:
    """Let people judge: for the first time, or again."""
    _set_state(task, "open", votes)


@app.command()
def pause(task: TaskId, votes: Votes = BESIDE_THE_RUNS) -> None:
    """Give out no more items for now. What is on a screen can still be judged."""
    _set_state(task, "paused", votes)


@app.command()
def close(task: TaskId, votes: Votes = BESIDE_THE_RUNS) -> None:
    """Take no more votes. All votes are kept."""
    _set_state(task, "closed", votes)


@app.command()
def export(
    task: TaskId,
    out: Annotated[Path, typer.Argument(metavar="OUT.jsonl")],
    votes: Votes = BESIDE_THE_RUNS,
    form: Form = "rankings",
    method: Method = None,
    criterion: Criterion = None,
    between: Between = None,
    simulated: Simulated = False,
) -> None:
    """Write what people said: their consensus for the next reward model, or their votes one by one for other programs.

    Rankings and preferences are named as data.rankings. Votes (`--format votes`) say who wrote A and B, the verdict, reason
    and time, and a pseudonym of the labeller: new in every export, never a name. Reasons stand as they were typed. Then
    `rlhf data export OUT.jsonl FILE --to arena`, `--to llm-comparator` or `--to alpaca-eval` writes another project's
    file. Skipped items, votes taken back, gold items and hidden repeats are left out.
    """
    with _store(votes):
        if form == "votes":
            if method:
                raise typer.BadParameter("votes are taken as they were given", param_hint="--method")
            lines = _export_votes(votes, task, out, criterion, between, simulated)
        else:
            if between or simulated:
                raise typer.BadParameter(
                    "only --format votes can take some of the votes", param_hint="--between, --simulated"
                )
            lines = _export_consensus(votes, task, form, out, method or "majority", criterion)
    for line in lines:
        typer.echo(one_line(line))


def _export_votes(
    votes: str, task: int, out: Path, criterion: str | None, between: tuple[str, str] | None, simulated: bool
) -> list[str]:
    from rlhf_core.judgements import Judgements, export_votes

    done = export_votes(votes, task, out, Judgements(criterion, between, simulated))
    return [f"{out}: {done.rows} votes", *done.describe()]


def _export_consensus(votes: str, task: int, form: str, out: Path, method: str, criterion: str | None) -> list[str]:
    from rlhf_core.judging import export_task

    done = export_task(votes, task, form, out, method, criterion)
    return [
        f"{out}: {done.rows} {form}",
        f"left out: {done.undecided} items without an order, {done.without_votes} without votes",
    ]


def _set_state(task: int, state: str, votes: str) -> None:
    with _store(votes) as store:
        store.set_state(task, state)
        info = store.task(task)
    typer.echo(one_line(f"task {info.id} ({info.run_name}) is {info.state}; {info.votes} votes are kept"))


def _store(votes: str) -> closing[VoteStore]:
    from rlhf_core.feedback.collect import existing_store

    return closing(existing_store(votes))
