"""TRL's trainers on files in TRL's shapes, plain and as messages: what our exports are held against takes and refuses."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from rlhf_core.data.exchange.exporting import export_file
from rlhf_core.data.io import write_jsonl
from tests.trl_peers import MISSING, ROOT, train_with_trl

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(MISSING), reason=MISSING)]

Row = dict[str, Any]
ASKED, GOOD, BAD = "Why is the sky blue?", "Air scatters blue light.", "No."


def user(text: str) -> list[Row]:
    return [{"role": "user", "content": text}]


def assistant(text: str) -> list[Row]:
    return [{"role": "assistant", "content": text}]


SHAPES: dict[str, tuple[Row, tuple[str, ...]]] = {
    "preference": ({"prompt": ASKED, "chosen": GOOD, "rejected": BAD}, ("reward", "dpo")),
    "preference-messages": (
        {"prompt": user(ASKED), "chosen": assistant(GOOD), "rejected": assistant(BAD)},
        ("reward", "dpo"),
    ),
    "implicit-messages": (
        {"chosen": user(ASKED) + assistant(GOOD), "rejected": user(ASKED) + assistant(BAD)},
        ("reward", "dpo"),
    ),
    "completion": ({"prompt": ASKED, "completion": GOOD}, ("sft",)),
    "completion-messages": ({"prompt": user(ASKED), "completion": assistant(GOOD)}, ("sft",)),
    "unpaired-messages": ({"prompt": user(ASKED), "completion": assistant(GOOD), "label": True}, ("kto",)),
    "messages": ({"messages": user(ASKED) + assistant(GOOD)}, ("sft",)),
    "prompt": ({"prompt": ASKED}, ("grpo",)),
    "prompt-messages": ({"prompt": user(ASKED)}, ("grpo",)),
}


def rows(shape: str, count: int) -> list[Row]:
    """Rows of a shape that differ in a number; every other unpaired one is a bad answer."""
    row = SHAPES[shape][0]
    made = [json.loads(json.dumps(row).replace("sky", f"sky {n}")) for n in range(count)]
    return [one | ({"label": n % 2 == 0} if "label" in one else {}) for n, one in enumerate(made)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Row]:
    """What each trainer made of each shape that is its own: one process tries them all."""
    folder = tmp_path_factory.mktemp("trl")
    for shape in SHAPES:
        write_jsonl(folder / f"{shape}.jsonl", rows(shape, 6))
    asked = [(trainer, folder / f"{shape}.jsonl") for shape, (_, trainers) in SHAPES.items() for trainer in trainers]
    return {(row["trainer"], Path(row["file"]).stem): row for row in train_with_trl(asked)}


@pytest.mark.parametrize("shape", SHAPES)
def test_trl_trains_on_every_row_of_the_shape(trained: dict[tuple[str, str], Row], shape: str):
    for trainer in SHAPES[shape][1]:
        row = trained[trainer, shape]
        assert (row["rows"], row["taken"], row["steps"]) == (6, 6, 2), row
        assert math.isfinite(row["loss"])


EXPORTS = {
    "trl-preference": ("rankings", ("reward", "dpo")),
    "trl-implicit": ("rankings", ("reward", "dpo")),
    "trl-unpaired": ("rankings", ("kto",)),
    "trl-completion": ("demonstrations", ("sft",)),
    "trl-messages": ("demonstrations", ("sft",)),
    "trl-prompt": ("prompts", ("grpo",)),
}
"""Shape → our sample data it is exported from, and whose it is."""


def test_trl_trains_on_what_is_exported(tmp_path: Path):
    asked, written = [], {}
    for shape, (kind, trainers) in EXPORTS.items():
        few, out = tmp_path / f"{kind}.jsonl", tmp_path / f"{shape}.jsonl"
        lines = (ROOT / "sample_data" / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        few.write_text("".join(lines[:2]), encoding="utf-8")
        written[shape] = export_file(few, out, shape).written
        asked += [(trainer, out) for trainer in trainers]
    for row in train_with_trl(asked):
        assert row["rows"] == written[Path(row["file"]).stem] and row["steps"] == 2 and math.isfinite(row["loss"]), row


def test_a_file_that_is_of_another_shape_is_refused(tmp_path: Path):
    write_jsonl(tmp_path / "prompt.jsonl", rows("prompt", 4))
    with pytest.raises(AssertionError, match="chosen"):
        train_with_trl([("reward", tmp_path / "prompt.jsonl")])
