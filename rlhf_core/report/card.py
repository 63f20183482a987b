"""A model card for the tuned model in Hugging Face's form: metadata in YAML, then what a user must know, from the same facts."""

from __future__ import annotations

from typing import Any

import yaml

from rlhf_core.models.shipped import packaged_model
from rlhf_core.report import sections
from rlhf_core.report.blocks import Bullets, Heading, Prose
from rlhf_core.report.markdown import escape, write_blocks
from rlhf_core.report.parts import Facts

TASK = {"type": "text-generation", "name": "Text generation"}
TAGS = ["rlhf", "ppo", "rlhf-studio"]


def render_card(facts: Facts) -> str:
    """Return `README.md` for the tuned model. Where the base model's licence or language is not known the card leaves it out."""
    head = yaml.safe_dump(metadata(facts), sort_keys=False, allow_unicode=True, default_flow_style=False, width=10_000)
    blocks = [
        Prose(facts.verdict, "strong"),
        *([Heading("Keep in mind"), Bullets(facts.caveats)] if facts.caveats else []),
        *sections.method_blocks(facts),
        *sections.data_blocks(facts),
        *sections.measure_blocks(facts),
        *sections.limitation_blocks(facts),
        *_use(facts),
        *sections.making_blocks(facts, config=False),
    ]
    return "\n\n".join([f"---\n{head}---", f"# {escape(facts.run.name)}", *write_blocks(blocks)]) + "\n"


def metadata(facts: Facts) -> dict[str, Any]:
    """Return the card's metadata as Hugging Face names it; results are every figure of the report that the run has."""
    named = facts.run.policy_model or ""
    packaged = packaged_model(named)
    found: dict[str, Any] = {}
    if packaged is not None:
        found |= {"language": packaged.language, "license": packaged.licence.lower()}
    if base := packaged.hub if packaged else named:
        found["base_model"] = base
    found |= {"pipeline_tag": TASK["type"], "tags": list(TAGS)}
    results = _results(facts)
    return found | ({"model-index": [{"name": facts.run.name, "results": results}]} if results else {})


def _results(facts: Facts) -> list[dict[str, Any]]:
    metrics = [
        {"type": full, "value": value, "name": f"{measure.what}{said}", "verified": False}
        for measure in facts.measures
        for full, value, said in (
            (measure.name, measure.value, ""),
            (f"{measure.name}_low", measure.low, ", lower end of its 95% interval"),
            (f"{measure.name}_high", measure.high, ", upper end of its 95% interval"),
        )
        if value is not None
    ]
    held_out = {"type": "held-out-prompts", "name": f"{len(facts.answers)} held-out prompts of {facts.run.name}"}
    return [{"task": dict(TASK), "dataset": held_out, "metrics": metrics}] if metrics else []


def _use(facts: Facts) -> list[Heading | Prose]:
    if facts.contender != "tuned":
        return []
    said = "Copy the run's ppo/model folder beside this file. An adapter needs its base model too; `rlhf generate` loads both."
    return [Heading("How to use it"), Prose(said)]
