"""Stage 1, before the pipeline: a tokenizer and a small language model from plain text, in a run directory of its own."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from functools import partial
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoTokenizer

from rlhf_core.config.pretrain import PretrainConfig
from rlhf_core.data.datasets import content_hash
from rlhf_core.data.io import write_json
from rlhf_core.data.text import Corpus, held_out_documents, refuse_held_out_prompts
from rlhf_core.data.tokens import Windows, write_tokens
from rlhf_core.errors import DataError
from rlhf_core.models.device import choose_device
from rlhf_core.models.scratch import encode_texts, new_language_model, train_tokenizer
from rlhf_core.models.sources import read_json
from rlhf_core.pipeline import Listener, run_stage, writing
from rlhf_core.runs.directory import PRETRAIN, RunDirectory
from rlhf_core.stopping import Stop
from rlhf_core.training.pretrain import train_language_model
from rlhf_core.training.stage import Stage

SIDES = ("train", "held_out")
PLACE_KEYS = {"name", "run_root", "threads", "device", "text", "held_out_prompts"}
"""Settings that say where things are, not what they are; texts count by their content."""


def run_pretrain(config: PretrainConfig, listener: Listener, stop: Stop | None = None) -> Path:
    """Train a tokenizer and a language model on the configured text and return the run directory; resumes, skips when done.

    Leaves a Hugging Face folder in `<run>/pretrain/model`, which `policy.model` and `reward.model` can name.

    `stop` is how it can be asked to stop.

    Raises:
        Paused: it was asked to, and stopped after a whole step.
        DataError: before any work, when the text is not as it should be.
        RunError: another process writes this run.
    """
    corpus = Corpus(config.text, config.fields, config.separator)
    sides = held_out_documents(corpus, config.eval_fraction, config.seed)
    if config.held_out_prompts:
        refuse_held_out_prompts(corpus, config.held_out_prompts)
    run = RunDirectory(config.run_path)
    with writing(run, config, [PRETRAIN]):
        inputs, body = pretrain_inputs(config), partial(pretrain, config, corpus, sides)
        run_stage(run, PRETRAIN, config.seed, inputs, listener, body, stop or Stop())
    return run.path


def pretrain_inputs(config: PretrainConfig) -> str:
    """Return a hash of everything the result depends on: the settings and the texts."""
    parts = [config.model_dump_json(exclude=PLACE_KEYS)] + [path.suffix + content_hash(path) for path in config.text]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]


def pretrain(config: PretrainConfig, corpus: Corpus, held_out: NDArray[np.bool_], stage: Stage) -> None:
    """Tokenise once, train, and leave `pretrain/model`."""
    if config.threads:
        torch.set_num_threads(config.threads)
    folder = stage.path / "data"
    if not folder.is_dir():
        _tokenise(config, corpus, held_out, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    train, judged = (_windows(folder, side, config.model.context) for side in SIDES)
    lm = new_language_model(config.model, tokenizer, stage.generator("weights")).to(choose_device(config.device))
    train_language_model(lm, train, judged, config, stage)
    lm.save_pretrained(stage.directory.model)
    tokenizer.save_pretrained(stage.directory.model)


def _tokenise(config: PretrainConfig, corpus: Corpus, held_out: NDArray[np.bool_], folder: Path) -> None:
    """Write tokenizer and token ids aside and rename: what lies in `folder` is whole. The tokenizer sees no held-out text."""
    aside = folder.with_name(".data.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    tokenizer = train_tokenizer(_texts(corpus, ~held_out), config.tokenizer, config.model.context)
    about = {}
    for side, chosen in zip(SIDES, (~held_out, held_out), strict=True):
        ids = encode_texts(tokenizer, _texts(corpus, chosen))
        tokens = write_tokens(aside / f"{side}.ids", ids, tokenizer.eos_token_id)
        size = sum(len(text.encode()) for text in _texts(corpus, chosen))
        about[side] = {"documents": int(chosen.sum()), "tokens": tokens, "bytes": size}
    _refuse_short(about["train"]["tokens"], config)
    tokenizer.save_pretrained(aside)
    write_json(aside / "about.json", about)
    aside.replace(folder)


def _texts(corpus: Corpus, chosen: NDArray[np.bool_]) -> Iterator[str]:
    return (document.text for document in compress(corpus.documents(), chosen))


def _windows(folder: Path, side: str, context: int) -> Windows:
    about: Any = read_json(folder / "about.json")[side]
    return Windows.open(folder / f"{side}.ids", context, about["bytes"])


def _refuse_short(tokens: int, config: PretrainConfig) -> None:
    if tokens <= config.model.context:
        raise DataError(
            f"the text to train on is {tokens} tokens long; one window takes {config.model.context + 1}",
            where=", ".join(map(str, config.text)),
            remedy="Give more text, or lower model.context",
        )
