"""`rlhf auto-judge`: a language model's verdicts on the pairs that people judge, kept apart from theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rlhf_core.visible import one_line


def auto_judge(
    target: Annotated[
        str, typer.Argument(metavar="RUN|TASK", help="A run directory (its own pairs), or the number of a task.")
    ],
    endpoint: Annotated[str, typer.Option(metavar="URL", help="Base address, e.g. http://127.0.0.1:8000/v1.")],
    model: Annotated[str, typer.Option(help="The judging model's name at the endpoint.")],
    name: Annotated[str | None, typer.Option(help="What to call the judge. Default: the model's name.")] = None,
    votes: Annotated[
        str | None,
        typer.Option(
            metavar="PATH|URL", help="Vote database, only read. Default: votes.db beside the run, or in runs."
        ),
    ] = None,
    instructions: Annotated[
        Path | None, typer.Option(metavar="FILE.md", help="What to prefer. Default: what labellers were told.")
    ] = None,
    criterion: Annotated[str | None, typer.Option(help="Default: the task's first.")] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One setting, e.g. --set max_tokens=1024. May repeat."),
    ] = None,
) -> None:
    """Let a language model judge every pair, in both orders, and say how far it agrees with people.

    A side wins only where it wins in both orders; a verdict that changes with the order counts as a tie, and how often it
    does is told. These verdicts are no votes: they lie in files of their own (evaluation/auto_judge of the run) and enter
    no other figure. Whatever was answered is kept: the same command goes on where it was.

    Settings (--set KEY=VALUE): temperature (0), max_tokens (512), top_p, seed, extra.FIELD, key_variable, concurrency,
    per_minute, timeout, retries. The key is read from the environment: OPENAI_API_KEY, or the variable that key_variable
    names. docs/endpoints.md tells more.
    """
    from rlhf_core.auto_judging import JudgeRequest, judge_automatically
    from rlhf_core.report.auto_judges import NOT_PEOPLE, judge_sentences
    from rlhf_core.terminal import interruptible, run_with_bar

    request = JudgeRequest(target, endpoint, model, name, votes, instructions, criterion, overrides or [])
    with interruptible():
        found, file = run_with_bar("judge", lambda report: judge_automatically(request, report))
    for sentence in (*judge_sentences(found), NOT_PEOPLE, str(file)):
        typer.echo(one_line(sentence))
