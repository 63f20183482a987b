"""How much a pipeline computes, stage by stage, from its configuration and the lengths of its data: no model is loaded.

The unit is a floating-point operation of a forward pass: 2 × parameters × tokens. Where a model trains, a token counts three
times (forward and backward); where it writes, a token counts `DECODED` times, for it is computed in steps of a few rows.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from rlhf_core.config import DataConfig, PipelineConfig
from rlhf_core.data.datasets import load_datasets
from rlhf_core.data.records import Asked

TRAINED = 3
DECODED = 4
"""Measured on the quickstart, float32 on two cores: writing took 7 to 10 ms a token, reading in a forward pass 2.4 ms."""
LETTERS_PER_TOKEN = 4.0
PARAMETERS = {"packaged:smollm2-135m-instruct": 134_515_008, "packaged:minilm-l6": 22_713_728, "tiny": 90_624}


@dataclass(frozen=True)
class Lengths:
    """How long the texts of a pipeline are, in letters, one number a text; `asked` are all training prompts."""

    asked: tuple[int, ...]
    judged: tuple[int, ...]
    tested: tuple[int, ...]
    shown: tuple[int, ...]
    ranked: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Work:
    """Tokens that each model reads, in the unit of a forward pass."""

    policy: float = 0.0
    reward: float = 0.0

    def operations(self, sizes: Mapping[str, int]) -> float:
        """Return 2 × parameters × tokens, over both models; `sizes` holds `policy` and `reward`."""
        return 2 * (self.policy * sizes["policy"] + self.reward * sizes["reward"])


def measure_data(data: DataConfig) -> Lengths:
    """Return the lengths of the texts that a configuration names; read again only when a file has changed.

    Raises:
        DataError: a file is missing or malformed, or the files contradict each other.
    """
    files = (data.prompts, data.demonstrations, data.rankings, data.refusal_prompts)
    stamps = tuple(path.stat().st_mtime_ns if path and path.is_file() else 0 for path in files)
    return _measure(data.model_dump_json(), stamps)


def stage_work(config: PipelineConfig, lengths: Lengths) -> dict[str, Work]:
    """Return what each stage computes; PPO as if no guard ended it early."""
    return {
        "sft": _sft(config, lengths),
        "reward": _reward(config, lengths),
        "ppo": _ppo(config, lengths),
        "generate": _generate(config, lengths),
        "evaluate": _evaluate(config, lengths),
    }


def parameters_of(source: str) -> int | None:
    """Return how many parameters a model source has; None for one that is not on this machine yet."""
    if source in PARAMETERS:
        return PARAMETERS[source]
    folder = Path(source)
    try:
        if (folder / "policy.json").is_file():  # adapters beside the name of their base
            base = json.loads((folder / "policy.json").read_text(encoding="utf-8"))["base"]
            return parameters_of(str(folder / base) if (folder / base).is_dir() else base)
        return sum(_stored(path) for path in folder.glob("*.safetensors")) or None
    except (OSError, ValueError, KeyError, struct.error):
        return None


@lru_cache(maxsize=16)
def _measure(data: str, _stamps: Sequence[int]) -> Lengths:
    found = load_datasets(DataConfig.model_validate_json(data))
    return Lengths(
        asked=_letters(found.train_prompts),
        judged=_letters(found.eval_prompts),
        tested=_letters(found.refusal_prompts),
        shown=tuple(len(row.transcript) + len(row.response) for row in found.demonstrations),
        ranked=tuple(tuple(len(row.transcript) + len(one.text) for one in row.completions) for row in found.rankings),
    )


def _letters(rows: Iterable[Asked]) -> tuple[int, ...]:
    return tuple(len(row.transcript) for row in rows)


def _sft(config: PipelineConfig, lengths: Lengths) -> Work:
    if config.sft is None:
        return Work()
    rows = [_tokens(letters, config.policy.model, config.sft.max_length) for letters in lengths.shown]
    return Work(policy=_supervised(rows, config.sft.epochs, config.sft.eval_fraction, config.sft.eval_every,
                                   config.sft.batch_size) * _again(config.sft.gradient_checkpointing))  # fmt: skip


def _reward(config: PipelineConfig, lengths: Lengths) -> Work:
    reward, ppo = config.reward, config.ppo
    rows = [sum(_tokens(one, reward.model, reward.max_length) for one in answers) for answers in lengths.ranked]
    trained = _supervised(rows, reward.epochs, reward.eval_fraction, reward.eval_every, reward.batch_size)
    samples = min(reward.normalise_on, len(lengths.asked))
    return Work(
        policy=samples * (_prompt(config, lengths.asked) + DECODED * ppo.response_length),
        reward=trained * reward.members,
    )


def _ppo(config: PipelineConfig, lengths: Lengths) -> Work:
    ppo = config.ppo
    iterations = min(ppo.iterations, ppo.max_steps)
    prompt, measured = _prompt(config, lengths.asked), min(ppo.eval_prompts, len(lengths.judged))
    whole, written = prompt + ppo.response_length, prompt + DECODED * ppo.response_length
    judged = whole * (2 + (1 if ppo.runs_reference else 0))  # log-probabilities, values, reference
    trained = whole * ppo.epochs * TRAINED * _again(ppo.gradient_checkpointing)
    measurements = 1 + math.ceil(iterations / ppo.eval_every)
    return Work(
        policy=iterations * ppo.batch_size * (written + judged + trained) + measurements * measured * (written + whole),
        reward=whole * (iterations * ppo.batch_size + measurements * measured) * config.reward.members,
    )


def _generate(config: PipelineConfig, lengths: Lengths) -> Work:
    best = config.generate.best_of
    answers = len(config.generate.names) + (best.n - 1 if best else 0)
    questions = (*lengths.judged, *lengths.tested)
    each = _prompt(config, questions) + DECODED * config.generate.max_new_tokens
    return Work(policy=answers * len(questions) * each)


def _evaluate(config: PipelineConfig, lengths: Lengths) -> Work:
    each = _prompt(config, lengths.judged) + config.generate.max_new_tokens
    return Work(reward=len(config.generate.names) * len(lengths.judged) * each * config.reward.members)


def _supervised(rows: Sequence[float], epochs: int, share: float, every: int, batch: int) -> float:
    """Tokens of training with held-out measurements; rows are tokens of each example."""
    held_out = sum(rows) * share
    steps = epochs * math.ceil(len(rows) * (1 - share) / batch)
    return TRAINED * epochs * (sum(rows) - held_out) + (1 + steps // every) * held_out


def _prompt(config: PipelineConfig, letters: Sequence[int]) -> float:
    """The mean length of prompts in tokens, with the system prompt before them."""
    policy = config.policy
    extra = len(policy.system_prompt)
    sizes = [_tokens(one + extra, policy.model, policy.max_prompt_tokens) for one in letters]
    return sum(sizes) / len(sizes) if sizes else 0.0


def _tokens(letters: int, source: str, most: int) -> float:
    return min(letters / (1.0 if source == "tiny" else LETTERS_PER_TOKEN), most)  # tiny reads bytes


def _again(checkpointing: bool) -> float:
    """What computing activations anew costs: one more forward pass of three."""
    return 4 / 3 if checkpointing else 1.0


def _stored(path: Path) -> int:
    """How many numbers a safetensors file holds, by its header."""
    with path.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
    return sum(math.prod(about["shape"]) for name, about in header.items() if name != "__metadata__")
