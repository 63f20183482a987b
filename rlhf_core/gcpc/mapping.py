"""What becomes of each parameter of `rlhf_pipeline` here, and the configuration that makes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rlhf_core.config.ppo import PPOConfig
from rlhf_core.config.training import PolicyConfig, RewardConfig
from rlhf_core.gcpc.parameters import Parameters

Becomes = Literal["mapped", "done better", "not needed"]
STAND_IN = PolicyConfig().model
LONGEST_READ = 512
"""Tokens that the encoder behind the default reward model has places for."""
HUB = {
    **{f"t5-{size}": f"google/flan-t5-{size}" for size in ("small", "large", "xl", "xxl")},
    **{f"llama-2-{size}": f"meta-llama/Llama-2-{size}-hf" for size in ("7b", "13b", "7b-chat", "13b-chat")},
}
"""Models that `rlhf_pipeline` knows by a name of its own → their ids on the hub."""
CLOSED = re.compile(r"((text|chat)-)?(bison|unicorn|gecko|gemini|elephant|otter).*")
"""Models that are on Google's machines alone."""
ON_MACHINES: dict[str, tuple[Becomes, str]] = {
    "deploy_model": ("done better", "`rlhf export` writes a folder that plain transformers loads"),
    "tensorboard_resource_id": ("done better", "curves in `rlhf dashboard`; for TensorBoard too, --set log.to=[tensorboard]"),
    "project": ("not needed", "it runs here"),
    "location": ("not needed", "it runs here"),
    "accelerator_type": ("not needed", "a graphics card is used where torch finds one; --set device=cpu leaves it alone"),
    "encryption_spec_key_name": ("not needed", "nothing leaves this machine"),
}  # fmt: skip


@dataclass(frozen=True)
class Fate:
    """What becomes of one parameter: the settings it makes, by their dotted places, and what there is to say."""

    name: str
    becomes: Becomes
    how: str = ""
    settings: dict[str, Any] = field(default_factory=dict)

    def sentence(self, raw: dict[str, Any]) -> str:
        """Return the settings as they stand in a configuration, and what there is to say, in one line."""
        made = [f"{place}: {json.dumps(_found(raw, place), ensure_ascii=False)}" for place in self.settings]
        changed = any(_found(raw, place) != value for place, value in self.settings.items())
        said = "as --set says" if changed else self.how
        return "; ".join(part for part in (", ".join(made), said) if part)


def fates(given: Parameters, comparisons: int) -> list[Fate]:
    """Return what becomes of every parameter; of what Google's machines need, only of what is given.

    Args:
        given: the parameters.
        comparisons: rows of `preference_dataset`, by which steps become epochs.
    """
    return [*_data(given), *_models(given), *_lengths(given), *_training(given, comparisons), *_machines(given)]


def configuration(found: Iterable[Fate], run_root: Path) -> dict[str, Any]:
    """Return the configuration of the pipeline that the parameters make, with data in the folder it is written to."""
    data = {"prompts": "prompts.jsonl", "demonstrations": "demonstrations.jsonl", "rankings": "preferences.jsonl"}
    raw: dict[str, Any] = {"name": "", "run_root": str(run_root.resolve()), "data": data}
    for place, value in (one for fate in found for one in fate.settings.items()):
        *sections, key = place.split(".")
        section = raw
        for name in sections:
            section = section.setdefault(name, {})
        section[key] = value
    return raw


def shown(given: Parameters, name: str) -> str:
    """Return the value of a parameter as people wrote it; what was not written is marked."""
    value = getattr(given, name)
    text = value if isinstance(value, str) else json.dumps(value)
    return text if name in given.model_fields_set else f"{'–' if value is None else text} (default)"


def _found(raw: dict[str, Any], place: str) -> Any:
    found: Any = raw
    for key in place.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _data(given: Parameters) -> Iterator[Fate]:
    held_out = "a malformed one is refused" if given.eval_dataset else "a fifth of the prompts is held out, at most 100"
    yield Fate("prompt_dataset", "done better", "every row is checked, not the first hundred")
    sft = "the preferred answers are first imitated (--set sft=null leaves that out), and a fifth measures the reward model"
    yield Fate("preference_dataset", "done better", sft)
    yield Fate("eval_dataset", "done better", f"{held_out}; people judge its answers blind, paired by prompt")


def _models(given: Parameters) -> Iterator[Fate]:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", given.model_display_name or "gcpc").strip("-._") or "gcpc"
    yield Fate("model_display_name", "mapped", "", {"name": name})
    source, note = given.large_model_reference, ""
    known = source.lower().replace("_", "-")
    if known in HUB:
        source, note = (
            STAND_IN,
            f"stands in, for it runs on a laptop; the model itself: --set policy.model={HUB[known]}",
        )
    elif CLOSED.fullmatch(known):
        source, note = (
            STAND_IN,
            "stands in, for that model is on Google's machines alone; --set policy.model=… names another",
        )
    yield Fate("large_model_reference", "mapped", note, {"policy.model": source})
    yield Fate("instruction", "mapped", "", {"policy.system_prompt": given.instruction or ""})


def _lengths(given: Parameters) -> Iterator[Fate]:
    prompt, target = given.prompt_sequence_length, given.target_sequence_length
    read = {"reward.max_length": min(prompt + target, LONGEST_READ)}
    cut = "longer prompts are left out and counted, not cut short"
    yield Fate("prompt_sequence_length", "done better", cut, {"policy.max_prompt_tokens": prompt} | read)
    written = {
        "ppo.response_length": target,
        "generate.max_new_tokens": target,
        "sft.max_length": max(16, prompt + target),
    }
    yield Fate("target_sequence_length", "mapped", "", written)


def _training(given: Parameters, comparisons: int) -> Iterator[Fate]:
    reward, ppo = RewardConfig(), PPOConfig()
    for name, place, rate, factor in (
        (
            "reward_model_learning_rate_multiplier",
            "reward",
            reward.optim.lr,
            given.reward_model_learning_rate_multiplier,
        ),
        ("reinforcement_learning_rate_multiplier", "ppo", ppo.optim.lr, given.reinforcement_learning_rate_multiplier),
    ):
        yield Fate(name, "mapped", f"times our rate, {rate:g}", {f"{place}.optim.lr": float(f"{rate * factor:.6g}")})
    learned = comparisons * (1 - reward.eval_fraction)
    epochs = max(1, round(given.reward_model_train_steps * Parameters.batch_size / max(1.0, learned)))
    rounds = -(-given.reinforcement_learning_train_steps * Parameters.batch_size // ppo.batch_size)
    for name, place, value, said in (
        ("reward_model_train_steps", "reward.epochs", epochs, f"as many comparisons in steps of {reward.batch_size}"),
        (
            "reinforcement_learning_train_steps",
            "ppo.iterations",
            rounds,
            f"as many episodes in batches of {ppo.batch_size}",
        ),
    ):
        if name in given.model_fields_set:
            yield Fate(name, "mapped", said, {place: value})
        else:
            yield Fate(name, "done better", f"our own number, sized for a laptop; Google's: --set {place}={value}")
    no_reference = "" if given.kl_coeff else "no reference is run, so that no KL is measured"
    yield Fate("kl_coeff", "mapped", no_reference, {"ppo.kl_coef": given.kl_coeff})


def _machines(given: Parameters) -> Iterator[Fate]:
    for name, (becomes, how) in ON_MACHINES.items():
        if name in given.model_fields_set:
            yield Fate(name, becomes, how)
