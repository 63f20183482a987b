"""The guide for those who come from Google Cloud: it names every parameter, and the settings that each becomes."""

from __future__ import annotations

import re
from pathlib import Path

from rlhf_core.gcpc.mapping import HUB, fates
from rlhf_core.gcpc.parameters import Parameters, read_parameters

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "google-cloud.md").read_text(encoding="utf-8")
ROWS = {
    name: said
    for names, said in re.findall(r"^\| (`[^|]+`[^|]*) \| (.+) \|$", PAGE, re.M)
    for name in re.findall(r"`(\w+)`", names)
}
JOB = ROOT / "sample_data" / "summaries" / "params.yaml"


def test_the_page_has_every_parameter_and_no_other() -> None:
    assert ROWS.keys() == Parameters.model_fields.keys()


def test_a_row_names_the_settings_that_its_parameter_becomes() -> None:
    given = {name: field.default for name, field in Parameters.model_fields.items() if not field.is_required()}
    needed = {"prompt_dataset": "p", "preference_dataset": "c", "large_model_reference": next(iter(HUB))}
    found = fates(Parameters.model_validate(needed | given), 40)
    named = {(fate.name, place) for fate in found for place in fate.settings if fate.name != "prompt_sequence_length"}
    # sft.max_length is made of both lengths, and needs no word of its own
    assert {(name, place) for name, place in named if f"`{place}`" not in ROWS[name]} == {
        ("target_sequence_length", "sft.max_length")
    }


def test_the_worked_example_asks_for_the_steps_that_the_page_says() -> None:
    job = read_parameters(JOB)
    steps = job.reward_model_train_steps, job.reinforcement_learning_train_steps
    assert f"It asks for {steps[0]} steps of reward-model training ({steps[0] * 64} comparisons" in PAGE
    assert f"and {steps[1]} of reinforcement learning ({steps[1] * 64} episodes" in PAGE


def test_every_link_leads_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", PAGE) if not link.startswith("http")]
    assert links and [link for link in links if not (ROOT / "docs" / link).exists()] == []
