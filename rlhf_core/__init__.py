"""RLHF Studio: the public names. Importing this is cheap; torch is loaded when a stage is first used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "PipelineConfig": "config",
    "RlhfError": "errors",
    "RunReader": "runs.reader",
    "VoteStore": "feedback.store",
    "load_config": "config",
    "load_policy": "models.policy",
    "load_reward_model": "models.rewards",
    "run_pipeline": "pipeline",
    "write_report": "report.exports",
}
__all__ = sorted(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
