"""What a person calls a setting: `ppo.kl_coef` is "KL coefficient", and the way to find it by part of a name or meaning."""

from __future__ import annotations

from dashboard.services.config_form import FormField

SECTIONS = {
    "": "Run",
    "data": "Data",
    "policy": "Policy",
    "sft": "Supervised fine-tuning",
    "reward": "Reward model",
    "ppo": "PPO",
    "generate": "Completions",
    "evaluate": "Evaluation",
}
SHORT = {"sft": "SFT", "reward": "Reward model", "ppo": "PPO", "policy": "Policy", "generate": "Completions"}
WORDS = {
    "coef": "coefficient", "dtype": "number type", "eos": "EOS", "eps": "epsilon", "eval": "evaluation", "kl": "KL",
    "lam": "GAE λ", "lora": "LoRA", "lr": "learning rate", "optim": "optimiser", "r": "rank", "sft": "SFT",
}  # fmt: skip
NAMES = {"sft": "supervised fine-tuning", "eval_every": "evaluate every", "n": "answers per prompt"}
"""Settings whose words would not say what they are."""


def label_of(field: FormField, long: bool = False) -> str:
    """Return a setting's label; `long` names its section before it."""
    words = NAMES.get(field.place) or NAMES.get(field.name) or " ".join(WORDS.get(p, p) for p in field.name.split("_"))
    *above, _ = field.place.split(".")
    section = SHORT.get(above[0], above[0]) if above else ""
    label = f"{section}: {words}" if long and section else words
    return label[:1].upper() + label[1:]


def heading_of(section: str) -> str:
    """Return the heading of a section within a stage: `ppo.guards` is "Guards"."""
    name = section.rpartition(".")[2]
    words = WORDS.get(name, name.replace("_", " "))
    return words[:1].upper() + words[1:]


def matches(field: FormField, wanted: str) -> bool:
    """Say whether every word of `wanted` occurs in the setting's key, label or description."""
    text = f"{field.place} {label_of(field, long=True)} {field.help}".lower()
    return all(word in text for word in wanted.lower().split())
