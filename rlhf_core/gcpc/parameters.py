"""The parameters of `rlhf_pipeline`, by their own names, with their own defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from rlhf_core.config.files import make_settings, read_mapping
from rlhf_core.config.section import Section
from rlhf_core.errors import ConfigError

EXAMPLE = "sample_data/summaries/params.yaml"
HOLDERS = (("runtimeConfig", "parameterValues"), ("parameter_values",), ("parameterValues",))
"""Where the parameters stand in the files of pipeline jobs."""


class Parameters(Section):
    """What `google_cloud_pipeline_components.preview.llm.rlhf_pipeline` takes (version 2).

    Datasets are JSONL files: a path or a pattern, or an address `gs://…` of which a copy lies beside the file of parameters.
    """

    batch_size: ClassVar[int] = 64
    """Rows in a step of either training; Google's pipeline takes no other."""

    prompt_dataset: str
    preference_dataset: str
    large_model_reference: str
    model_display_name: str | None = None
    prompt_sequence_length: int = Field(default=512, ge=8)
    target_sequence_length: int = Field(default=64, ge=1)
    reward_model_learning_rate_multiplier: float = Field(default=1.0, gt=0)
    reinforcement_learning_rate_multiplier: float = Field(default=1.0, gt=0)
    reward_model_train_steps: int = Field(default=1000, ge=1)
    reinforcement_learning_train_steps: int = Field(default=1000, ge=1)
    kl_coeff: float = Field(default=0.1, ge=0)
    instruction: str | None = None
    deploy_model: bool = True
    eval_dataset: str | None = None
    project: str = ""
    accelerator_type: Literal["GPU", "TPU", "CPU"] = "GPU"
    location: str = ""
    encryption_spec_key_name: str = ""
    tensorboard_resource_id: str = ""


def read_parameters(path: Path) -> Parameters:
    """Read parameters from YAML or JSON: a mapping of them, or a pipeline job that holds one.

    Raises:
        ConfigError: the file is missing or no mapping, a name is unknown (the nearest one is suggested) or missing, or a value
            is out of range.
    """
    raw = read_mapping(path, EXAMPLE)
    for keys in HOLDERS:
        raw = _inside(raw, keys) or raw
    if not raw:
        raise ConfigError("holds no parameters", where=path, remedy=f"{EXAMPLE} is the one to start from")
    return make_settings(Parameters, raw, (), path, "docs/google-cloud.md says what becomes of each parameter")


def _inside(raw: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any] | None:
    found: Any = raw
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None
