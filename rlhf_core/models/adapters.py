"""A chain of LoRA adapters, each on what the ones below it made, as one adapter on the plain model under all of them.

Σ_i s_i·B_i·A_i = [s_1·B_1 … s_n·B_n]·[A_1; …; A_n]: ranks add up, nothing is approximated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from rlhf_core.errors import ModelError
from rlhf_core.models.policy import FORMAT
from rlhf_core.models.sources import HUB_ID, read_json, resolve

Pair = tuple[Float[Tensor, "rank inside"], Float[Tensor, "outside rank"]]
"""A and s·B of one layer."""
WEIGHT = re.compile(r"^base_model\.model\.(.+)\.lora_([AB])\.weight$")


def adapter_chain(source: str) -> tuple[list[Path], str]:
    """Return the folders of a policy's adapters, the lowest first, and the source of the plain model below them."""
    folder = resolve(source)
    if not (folder / FORMAT).is_file():
        return [], source
    base = read_json(folder / FORMAT)["base"]
    folders, below = adapter_chain(str((folder / base).resolve()) if base.startswith(".") else base)
    return [*folders, folder], below


def write_joined_adapter(source: str, folder: Path, task: str) -> str:
    """Write a policy's adapters as one in peft's form; return the model it belongs on: a hub id, or a folder of this machine.

    Raises:
        ModelError: the policy has none, for all its weights were trained.
    """
    from peft import LoraConfig as PeftLora
    from safetensors.torch import save_file

    folders, below = adapter_chain(source)
    if not folders:
        raise ModelError(
            "has no adapter: all its weights were trained", where=source, remedy="Leave out --adapter"
        )  # fmt: skip
    base = below if HUB_ID.match(below) and not Path(below).is_dir() else str(resolve(below).resolve())
    pairs = joined([_pairs(path) for path in folders])
    ranks = {name: len(down) for name, (down, _) in pairs.items()}
    most = max(ranks.values())
    less = {name: rank for name, rank in ranks.items() if rank != most}
    about = PeftLora(
        r=most, lora_alpha=most, rank_pattern=less, alpha_pattern=less, lora_dropout=0.0, task_type=task,
        target_modules=sorted(pairs), base_model_name_or_path=base, inference_mode=True,
        fan_in_fan_out=bool(read_json(folders[-1] / "adapter_config.json").get("fan_in_fan_out")),
    )  # fmt: skip
    about.save_pretrained(str(folder))
    weights = {
        f"base_model.model.{name}.lora_{letter}.weight": weight.contiguous()
        for name, pair in pairs.items()
        for letter, weight in zip("AB", pair, strict=True)
    }
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    return base


def joined(chain: Sequence[Mapping[str, Pair]]) -> dict[str, Pair]:
    """Return one pair for every layer that some adapter of the chain changes."""
    names = dict.fromkeys(name for pairs in chain for name in pairs)
    return {name: _side_by_side([pairs[name] for pairs in chain if name in pairs]) for name in names}


def _side_by_side(pairs: Sequence[Pair]) -> Pair:
    return torch.cat([down for down, _ in pairs]), torch.cat([up for _, up in pairs], 1)


def _pairs(folder: Path) -> dict[str, Pair]:
    """The layers an adapter folder changes, by their names in the model below it."""
    from safetensors.torch import load_file

    about, found = read_json(folder / "adapter_config.json"), load_file(folder / "adapter_model.safetensors")
    weights = {(match[1], match[2]): weight for name, weight in found.items() if (match := WEIGHT.match(name))}
    if len(weights) != len(found):
        raise ModelError("holds more than LoRA weights", where=folder, value=sorted(found)[:4])
    scale = about["lora_alpha"] / about["r"]
    return {name: (weights[name, "A"].float(), weights[name, "B"].float() * scale) for name, _ in weights}
