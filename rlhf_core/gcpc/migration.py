"""Move a job of `rlhf_pipeline` over: its parameters and data become a configuration and files of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rlhf_core.config import PipelineConfig, load_config
from rlhf_core.config.anchors import anchor_paths
from rlhf_core.config.files import make_settings
from rlhf_core.config.training import PolicyConfig
from rlhf_core.data.io import write_text
from rlhf_core.data.records import Asked
from rlhf_core.errors import ConfigError
from rlhf_core.gcpc.datasets import Limits, Rows, read_rows
from rlhf_core.gcpc.mapping import Fate, configuration, fates
from rlhf_core.gcpc.parameters import Parameters, read_parameters
from rlhf_core.models.chat import chat_messages, chat_text, encoder_ids, token_ids
from rlhf_core.models.sources import load_tokenizer

CONFIG = "pipeline.yaml"
MARK = "# Made by `rlhf gcpc`, which writes it anew. Without this line it is left alone."


@dataclass(frozen=True)
class Migration:
    """A job that moved over: its parameters and their fates, its data, and the configuration `raw` as it is written."""

    parameters: Parameters
    fates: list[Fate]
    rows: Rows
    raw: dict[str, Any]

    @property
    def yaml(self) -> str:
        """The configuration as text."""
        return MARK + "\n" + yaml.safe_dump(self.raw, sort_keys=False, allow_unicode=True)

    @property
    def folder(self) -> Path:
        """Where its files go unless somebody says otherwise."""
        return Path("data") / self.raw["name"]

    def write(self, folder: Path) -> PipelineConfig:
        """Write data and configuration to `folder`; return the configuration as it is read from there.

        Raises:
            ConfigError: a configuration lies there that somebody made their own.
        """
        config = folder / CONFIG
        if config.exists() and not config.read_text(encoding="utf-8").startswith(MARK):
            remedy = f"Run it with `rlhf pipeline {config}`, or name another folder with --out"
            raise ConfigError("is not one that `rlhf gcpc` may write anew", where=config, remedy=remedy)
        self.rows.write(folder)
        write_text(config, self.yaml)
        return load_config(config)


def migrate(path: Path, overrides: Sequence[str]) -> Migration:
    """Read the parameters in `path` and the data they name; nothing is written.

    `overrides` are `key.sub=value` settings of the pipeline that this makes, and stand in its configuration.

    Raises:
        ConfigError: a parameter or setting is unknown or out of range. DataError: data is missing, or rows are wrong.
        ModelNotFoundError: the policy is not here.
    """
    given = read_parameters(path)
    _, draft = _made(given, path, 1, overrides)
    rows = read_rows(given, path.parent, limits_of(draft.policy, draft.generate.max_new_tokens), draft.seed)
    raw, _ = _made(given, path, len(rows.preferences), overrides)
    return Migration(given, fates(given, len(rows.preferences)), rows, raw)


def limits_of(policy: PolicyConfig, most_written: int) -> Limits:
    """Return which rows are short enough for a policy, in its own tokens.

    Args:
        policy: its model, system prompt and `max_prompt_tokens`.
        most_written: tokens of a response, the one that ends it included.
    """
    tokenizer = load_tokenizer(policy.model)

    def asked(row: Asked) -> bool:
        messages = chat_messages(row.conversation, policy.system_prompt)
        if tokenizer.chat_template:
            return len(token_ids(tokenizer, chat_text(tokenizer, messages))) <= policy.max_prompt_tokens
        return len(encoder_ids(tokenizer, messages)) <= policy.max_prompt_tokens

    return Limits(asked, lambda text: len(token_ids(tokenizer, text)) < most_written)


def _made(
    given: Parameters, path: Path, comparisons: int, overrides: Sequence[str]
) -> tuple[dict[str, Any], PipelineConfig]:
    """Return the configuration as it is written, checked, and as it is used."""
    raw = configuration(fates(given, comparisons), Path("runs"))
    anchor_paths(raw, path.resolve().parent, (), (("policy", "model"),))
    beside = dict(raw["data"])
    settings = make_settings(PipelineConfig, raw, overrides, path, "`rlhf pipeline --help` lists the sections")
    beside = {key: name for key, name in beside.items() if raw["data"][key] == name}
    anchor_paths(raw, Path.cwd(), PipelineConfig.path_keys, PipelineConfig.model_keys)
    raw["data"] |= beside
    return raw, settings
