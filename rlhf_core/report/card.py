"""A model card in Hugging Face's form: metadata in YAML, then what a user must know, from the same facts as the report.

Of the tuned model, with every figure of the report; of the models before it, with what is known of them.
"""

from __future__ import annotations

from typing import Any

import yaml

from rlhf_core.models.shipped import packaged_model
from rlhf_core.report import sections
from rlhf_core.report.blocks import Block, Bullets, Heading, Prose, Table
from rlhf_core.report.markdown import escape, write_blocks
from rlhf_core.report.measures import measure_text
from rlhf_core.report.parts import Facts, Measure
from rlhf_core.report.use import Left, LeftPolicy, LeftRewardModel, use_blocks
from rlhf_core.report.words import difference, level

TASK = {"type": "text-generation", "name": "Text generation"}
REWARD_TASK = {"type": "text-classification", "name": "Reward model"}
TAGS = {"ppo": ["rlhf", "ppo", "rlhf-studio"], "sft": ["rlhf", "sft", "rlhf-studio"]}
REWARD_TAGS = ["rlhf", "reward-model", "rlhf-studio"]


def render_card(facts: Facts, left: Left | None = None) -> str:
    """Return `README.md` for the tuned model, or for the model that has `left` as a plain folder.

    Where the base model's licence or language is not known the card leaves it out.
    """
    head = yaml.safe_dump(
        metadata(facts, left), sort_keys=False, allow_unicode=True, default_flow_style=False, width=10_000
    )
    blocks = [*_said(facts, left), *sections.making_blocks(facts, config=False)]
    return "\n\n".join([f"---\n{head}---", f"# {escape(_title(facts, left))}", *write_blocks(blocks)]) + "\n"


def metadata(facts: Facts, left: Left | None = None) -> dict[str, Any]:
    """Return the card's metadata as Hugging Face names it; results are the figures of the report that speak of the model."""
    scores = isinstance(left, LeftRewardModel)
    named = (facts.run.reward_model if scores else facts.run.policy_model) or ""
    packaged = packaged_model(named)
    found: dict[str, Any] = {}
    if packaged is not None:
        found |= {"language": packaged.language, "license": packaged.licence.lower()}
    if base := packaged.hub if packaged else named:
        found["base_model"] = base
    if left:
        found["library_name"] = "peft" if isinstance(left, LeftPolicy) and left.base else "transformers"
    task = REWARD_TASK if scores else TASK
    tags = REWARD_TAGS if isinstance(left, LeftRewardModel) else TAGS[left.stage if left else "ppo"]
    found |= {"pipeline_tag": task["type"], "tags": list(tags)}
    results = _results(facts, left, task)
    return found | ({"model-index": [{"name": facts.run.name, "results": results}]} if results else {})


def _title(facts: Facts, left: Left | None) -> str:
    if isinstance(left, LeftRewardModel):
        return f"{facts.run.name}: reward model"
    return f"{facts.run.name}: after fine-tuning" if left and left.stage == "sft" else facts.run.name


def _said(facts: Facts, left: Left | None) -> list[Block]:
    """What the card says of its model, before how it was made."""
    use = use_blocks(left) if left else _elsewhere(facts)
    if isinstance(left, LeftRewardModel):
        return [*_reward_blocks(facts), *sections.data_blocks(facts), *use]
    if left and left.stage == "sft":
        return [*_fine_tuned_blocks(facts), *sections.data_blocks(facts), *use]
    return [
        Prose(facts.verdict, "strong"),
        *([Heading("Keep in mind"), Bullets(facts.caveats)] if facts.caveats else []),
        *sections.method_blocks(facts),
        *sections.data_blocks(facts),
        *sections.measure_blocks(facts),
        *sections.limitation_blocks(facts),
        *use,
    ]


def _reward_blocks(facts: Facts) -> list[Block]:
    told = (
        "It scores how much people would like a response to a prompt, as far as rankings taught it; higher is better."
    )
    found = _of_reward_model(facts)
    rows = [(m.name, measure_text(m), m.what) for m in found]
    table = [Table(("Name", "Value", "What it is"), rows, right=3)] if rows else []
    doubts = [
        "A score is the opinion of those who ranked, on prompts like theirs. A policy tuned against it finds answers that "
        "score high and that nobody likes: measure something else beside it."
    ]
    return [Prose(told, "strong"), *table, Heading("Limitations"), Bullets(doubts)]


def _fine_tuned_blocks(facts: Facts) -> list[Block]:
    told = "The model after supervised fine-tuning, before PPO. The run's report speaks of the model after PPO."
    pair = ("base", "sft")
    found = [c for c in facts.comparisons if (c.baseline, c.contender, c.category) == (*pair, "")]
    rows = [
        (
            f"{c.scorer}: {c.measure}",
            str(c.n),
            level(c.mean_baseline, c.unit, 3),
            level(c.mean_contender, c.unit, 3),
            difference(c.difference, c.low, c.high, c.unit, named=True),
        )
        for c in found
    ]
    header = ("On held-out prompts", "Prompts", "Base", "This model", "Difference")
    return [Prose(told, "strong"), *([Table(header, rows)] if rows else [])]


def _of_reward_model(facts: Facts) -> list[Measure]:
    return [measure for measure in facts.measures if measure.name.startswith("reward_")]


def _results(facts: Facts, left: Left | None, task: dict[str, str]) -> list[dict[str, Any]]:
    if isinstance(left, LeftPolicy) and left.stage == "sft":
        return []
    metrics = [
        {"type": full, "value": value, "name": f"{measure.what}{said}", "verified": False}
        for measure in (_of_reward_model(facts) if isinstance(left, LeftRewardModel) else facts.measures)
        for full, value, said in (
            (measure.name, measure.value, ""),
            (f"{measure.name}_low", measure.low, ", lower end of its 95% interval"),
            (f"{measure.name}_high", measure.high, ", upper end of its 95% interval"),
        )
        if value is not None
    ]
    what = f"{len(facts.answers)} held-out prompts" if task is TASK else "held-out rankings"
    held_out = {"type": "held-out-prompts", "name": f"{what} of {facts.run.name}"}
    return [{"task": dict(task), "dataset": held_out, "metrics": metrics}] if metrics else []


def _elsewhere(facts: Facts) -> list[Block]:
    if facts.contender != "tuned":
        return []
    return [
        Heading("How to use it"),
        Prose("`rlhf export` writes the model as a folder that plain transformers loads."),
    ]
