"""sft → reward → ppo → generate → evaluate over one run directory. Each stage resumes; a complete one is skipped."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rlhf_core.config import PipelineConfig
from rlhf_core.config.section import RunConfig
from rlhf_core.data.datasets import content_hash, load_datasets
from rlhf_core.data.io import write_json
from rlhf_core.data.records import Prompt
from rlhf_core.errors import RunError
from rlhf_core.process import peak_memory, release_memory
from rlhf_core.runs.added import Place, added_files
from rlhf_core.runs.directory import STAGES, RunDirectory
from rlhf_core.runs.sinks import Trackers
from rlhf_core.runs.standing import note_pause
from rlhf_core.stopping import Paused, Stop

if TYPE_CHECKING:
    from rlhf_core.training.stage import Stage

STATUS_INTERVAL = 1.0  # seconds between two writes of status.json


class Listener(Protocol):
    """Someone who is told how a run goes: a terminal with progress bars, or a test."""

    def stage_skipped(self, stage: str) -> None:
        """The stage was complete with the same inputs."""

    def stage_started(self, stage: str) -> None:
        """The stage begins, or goes on."""

    def progress(self, stage: str, step: int, total: int, message: str) -> None:
        """The stage has done `step` of `total`."""

    def stage_pausing(self, stage: str) -> None:
        """Somebody asked the run to stop, and it will after the step under way; not the place to write to a stream."""

    def stage_finished(self, stage: str, seconds: float) -> None:
        """The stage is complete."""


def run_pipeline(
    config: PipelineConfig, listener: Listener, stages: Sequence[str] = STAGES, stop: Stop | None = None
) -> Path:
    """Run the given stages in order and return the run directory; `stop` is how it can be asked to stop.

    Raises:
        Paused: it was asked to, and stopped after a whole step.
        DataError, ModelError, ScorerError: before any work, when data, models or rewards are not as they should be.
        RunError: another process writes this run, or an earlier stage is missing.
    """
    from rlhf_core import stages as work
    from rlhf_core.models.sources import resolve
    from rlhf_core.training.rewards import check_rewards

    datasets = load_datasets(config.data)
    for source in config.models:
        resolve(source)
    check_rewards([*config.ppo.rewards, *config.ppo.audits], config.evaluate.detoxify_checkpoint)
    run = RunDirectory(config.run_path, Trackers(config.log.to, config.log.project))
    bodies: dict[str, Callable[..., None]] = {name: getattr(work, f"run_{name}") for name in STAGES}
    with writing(run, config, STAGES):
        for name in stages:
            inputs = stage_inputs(config, name)
            if not _is_done(_entry(run, name), inputs):
                _refuse_missing(run, _before(config, name), name)
            body = partial(bodies[name], config, datasets)
            run_stage(run, name, config.seed, inputs, listener, body, stop or Stop())
            release_memory()
    return run.path


@contextmanager
def writing(run: RunDirectory, config: RunConfig, stages: Sequence[str]) -> Iterator[None]:
    """Claim a run directory, and keep its state right while its stages are worked on: complete when all `stages` are.

    Raises:
        ModelError: the configured device is not there. RunError: another process writes this run.
    """
    from rlhf_core.models.device import accelerator_name, choose_device

    accelerator = accelerator_name(choose_device(config.device))
    run.lock()
    run.create(config.to_yaml(), config.seed, accelerator)
    run.update(state="running", message="")
    try:
        yield
    except BaseException as error:
        run.update(state=_stopped(error), message=str(error))
        raise
    complete = all(_entry(run, name).get("state") == "complete" for name in stages)
    run.update(state="complete" if complete else "interrupted")


def stage_inputs(config: PipelineConfig, name: str) -> str:
    """Return a hash of everything stage `name` depends on: its settings, data files, and the stages before it.

    A best-of-n baseline and a test of refusals stand behind the hash of `generate`: the other answers do not depend on them.
    """
    parts = [str(config.seed), config.policy.model_dump_json(), *_weights(config.policy.model)]
    data = config.data
    if name == "sft":
        parts += [
            config.sft.model_dump_json() if config.sft else "null",
            content_hash(data.demonstrations),
            str(data.limit),
        ]
    elif name == "reward":
        parts += [stage_inputs(config, "sft"), config.reward.model_dump_json(), content_hash(data.rankings)]
        parts += _weights(config.reward.model)
    elif name == "ppo":
        parts += [stage_inputs(config, "reward"), config.ppo.model_dump_json(), content_hash(data.prompts)]
    elif name == "generate":
        parts += [stage_inputs(config, "ppo"), config.generate.model_dump_json(exclude={"best_of"})]
        parts += [weights for source in config.generate.models.values() for weights in _weights(source)]
    else:
        parts += [stage_inputs(config, "generate"), config.evaluate.model_dump_json()]
        parts += [f"{file.stem}-{content_hash(file)}" for file in added_files(config.run_path)]
    digest = hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]
    return "+".join([digest, *_added(config)]) if name == "generate" else digest


def _added(config: PipelineConfig) -> Iterator[str]:
    """What `generate` answers beside each contender's answers to the held-out prompts."""
    if config.generate.best_of:
        yield config.generate.best_of.name
    if config.data.refusal_prompts:
        yield f"refusals-{content_hash(config.data.refusal_prompts)}"


def _weights(source: str) -> list[str]:
    """What tells the weights in a local folder from those that were there before; a name always means the same weights."""
    folder = Path(source)
    return [_hash_once(path, path.stat().st_mtime_ns) for path in sorted(folder.glob("*.safetensors"))]


@cache
def _hash_once(path: Path, _changed: int) -> str:
    """The hash of a large file, computed again when the file has changed."""
    return content_hash(path)


def _stopped(error: BaseException) -> str:
    """What a run or a stage that such an error ended is called."""
    if isinstance(error, Paused):
        return "paused"
    return "interrupted" if isinstance(error, KeyboardInterrupt | SystemExit) else "failed"


def run_stage(
    run: RunDirectory,
    name: str,
    seed: int,
    inputs: str,
    listener: Listener,
    body: Callable[[Stage], None],
    stop: Stop,
) -> None:
    """Run one stage, or skip it when it is complete with the same inputs, and keep its entry of status.json right.

    What other inputs made before is kept under another name.
    """
    from rlhf_core.training.stage import Stage

    entry = _entry(run, name)
    if _is_done(entry, inputs):
        listener.stage_skipped(name)
        return
    if entry and entry.get("inputs") != inputs:
        _set_aside(run, name)
        entry = {}
    clock = _Clock(run, name, entry.get("seconds", 0.0), listener)
    run.update_stage(
        name, state="running", inputs=inputs, step=0, total=0, started=time.time(), message="", eta_seconds=None
    )
    listener.stage_started(name)
    stop.tell = partial(_pausing, run, name, listener)
    try:
        with closing(run.stage(name)) as directory:
            body(Stage(name, directory, seed, inputs, clock.progress, stop))
    except BaseException as error:
        state = _stopped(error)
        why = {"message": str(error) or type(error).__name__} if state == "failed" else {}  # else how far it was
        clock.write(state=state, **why)
        raise
    clock.write(state="complete", eta_seconds=0.0)
    listener.stage_finished(name, clock.seconds())


def let_answer(
    config: PipelineConfig, place: Place, prompts: Sequence[Prompt], report: Callable[[int, int, str], None]
) -> None:
    """Let the model that `generate.models` names answer prompts, sampled as the configuration says; stopped, it goes on.

    Answers that were made otherwise are replaced.
    """
    from rlhf_core import stages as work
    from rlhf_core.training.stage import Stage

    sampling = config.policy.model_dump_json(), config.generate.model_dump_json()
    parts = [str(config.seed), *sampling, *_weights(config.generate.models[place.name])]
    inputs = hashlib.sha256("|".join([*parts, *(p.model_dump_json() for p in prompts)]).encode()).hexdigest()[:16]
    begun = place.answers.with_suffix(".inputs")
    if not begun.is_file() or begun.read_text(encoding="utf-8") != inputs:
        for earlier in (place.answers, place.answers.with_suffix(".part")):
            earlier.unlink(missing_ok=True)
    stage = Stage("generate", RunDirectory(config.run_path).stage("generate"), config.seed, inputs)
    for done in work.answer_all(config, place.name, prompts, place.folder, stage):
        report(done, len(prompts), f"{place.name}: {done} of {len(prompts)} answers")


def _pausing(run: RunDirectory, name: str, listener: Listener) -> None:
    """Tell whoever looks on that a stage finishes its step. `status.json` may be half way through being written."""
    note_pause(run.path)
    listener.stage_pausing(name)


def _entry(run: RunDirectory, name: str) -> dict[str, Any]:
    return run.read_status()["stages"].get(name, {})


def _is_done(entry: dict[str, Any], inputs: str) -> bool:
    return entry.get("state") == "complete" and entry.get("inputs") == inputs


def _before(config: PipelineConfig, name: str) -> list[str]:
    """The stages that a stage builds on; without fine-tuning that is none of them."""
    return [earlier for earlier in STAGES[: STAGES.index(name)] if earlier != "sft" or config.sft]


def _refuse_missing(run: RunDirectory, before: Sequence[str], name: str) -> None:
    for earlier in before:
        if _entry(run, earlier).get("state") != "complete":
            raise RunError(
                f"stage {name} needs stage {earlier}, which is not complete",
                where=run.path,
                remedy="Run `rlhf pipeline CONFIG`, which does the stages in order",
            )


def _set_aside(run: RunDirectory, name: str) -> None:
    """Keep what an earlier configuration made under another name, and start the stage afresh."""
    folder = run.path / name
    if folder.is_dir():
        number = 1 + sum(1 for _ in run.path.glob(f"{name}.before-*"))
        folder.rename(run.path / f"{name}.before-{number}")
    status = run.read_status()
    status["stages"].pop(name, None)
    write_json(run.path / "status.json", status)


class _Clock:
    """Keeps a stage's entry of status.json: steps, seconds spent over all attempts, time left."""

    def __init__(self, run: RunDirectory, name: str, spent: float, listener: Listener) -> None:
        self.run, self.name, self.spent, self.listener = run, name, spent, listener
        self.started = self.written = time.monotonic()
        self.first: tuple[float, int] | None = None
        self.latest: dict[str, Any] = {}

    def seconds(self) -> float:
        return self.spent + time.monotonic() - self.started

    def progress(self, step: int, total: int, message: str) -> None:
        now = time.monotonic()
        self.first = self.first or (now, step)
        self.listener.progress(self.name, step, total, message)
        self.latest = {"step": step, "total": total, "message": message}
        self.latest["eta_seconds"] = self._time_left(now, step, total)
        if now - self.written >= STATUS_INTERVAL or step == total:
            self.written = now
            self.write()

    def write(self, **fields: object) -> None:
        """Write how far the stage is, and `fields` over it."""
        known = {"seconds": round(self.seconds(), 1), "peak_memory": peak_memory()}
        self.run.update_stage(self.name, **(known | self.latest | fields))

    def _time_left(self, now: float, step: int, total: int) -> float | None:
        since, first_step = self.first or (now, step)
        done = step - first_step
        return (total - step) * (now - since) / done if done > 0 else None
