"""MLflow: a run of its own for each stage, tagged with the run, in the experiment of the project. Where: MLFLOW_TRACKING_URI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlhf_core.runs.sinks.sink import Tracked, tracker_module


class MlflowSink:
    """Logs through MLflow's client, which has no run that is current: several stages do not mix."""

    def __init__(self, tracked: Tracked, id: str = "") -> None:
        client: Any = tracker_module("mlflow.tracking", "mlflow")
        self._metric: Any = tracker_module("mlflow.entities", "mlflow").Metric
        self._client = client.MlflowClient()
        if id:
            self._client.update_run(id, status="RUNNING")
        self.id = id or self._new_run(tracked)

    def log(self, step: int, time: float, metrics: Mapping[str, float]) -> None:
        """Log one row."""
        rows = [self._metric(name, value, round(time * 1000), step) for name, value in metrics.items()]
        self._client.log_batch(self.id, metrics=rows)

    def close(self) -> None:
        """Say that the run has ended."""
        self._client.set_terminated(self.id)

    def _new_run(self, tracked: Tracked) -> str:
        experiment = self._client.get_experiment_by_name(tracked.project)
        place = experiment.experiment_id if experiment else self._client.create_experiment(tracked.project)
        tags = {"run": tracked.run, "stage": tracked.stage}
        return self._client.create_run(place, tags=tags, run_name=tracked.name).info.run_id
