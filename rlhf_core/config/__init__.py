"""The configuration of runs: frozen pydantic models read from YAML, with dotted overrides.

Relative paths inside a YAML file are relative to that file; paths given with `--set` to the working directory.
"""

from rlhf_core.config.pipeline import BestOfConfig, EvaluateConfig, GenerateConfig, PipelineConfig, load_config
from rlhf_core.config.ppo import GuardsConfig, PPOConfig
from rlhf_core.config.pretrain import ModelConfig, PretrainConfig, TokenizerConfig
from rlhf_core.config.section import LogConfig
from rlhf_core.config.task import TaskConfig
from rlhf_core.config.training import (
    DataConfig,
    LoraConfig,
    OptimConfig,
    PolicyConfig,
    RewardConfig,
    SFTConfig,
)

__all__ = [
    "BestOfConfig",
    "DataConfig",
    "EvaluateConfig",
    "GenerateConfig",
    "GuardsConfig",
    "LogConfig",
    "LoraConfig",
    "ModelConfig",
    "OptimConfig",
    "PPOConfig",
    "PipelineConfig",
    "PolicyConfig",
    "PretrainConfig",
    "RewardConfig",
    "SFTConfig",
    "TaskConfig",
    "TokenizerConfig",
    "load_config",
]
