"""Exports: rows another project reads, an account of what was left out, and nothing written on failure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rlhf_core.data.exchange.exporting import export_file
from rlhf_core.errors import DataError
from tests.exchange_rows import ROWS, Row, read_rows, write_rows


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def saved(folder: Path, kind: str, *changes: Row) -> Path:
    return write_rows(folder / "ours.jsonl", [ROWS[f"studio-{kind}"][0] | change for change in changes or ({},)])


USER = {"role": "user", "content": "What boils at 100 °C?"}
WATER, FIRE = ({"role": "assistant", "content": text} for text in ("Water.", "Fire."))
TEXT = "What boils at 100 °C?"
WRITTEN: dict[tuple[str, str], list[Row]] = {
    ("preferences", "trl"): [{"prompt": [USER], "chosen": [WATER], "rejected": [FIRE]}],
    ("preferences", "trl-implicit"): [{"chosen": [USER, WATER], "rejected": [USER, FIRE]}],
    ("preferences", "trl-unpaired"): [
        {"prompt": [USER], "completion": [WATER], "label": True},
        {"prompt": [USER], "completion": [FIRE], "label": False},
    ],
    ("preferences", "gcpc"): [{"input_text": TEXT, "candidate_0": "Water.", "candidate_1": "Fire.", "choice": 0}],
    ("preferences", "hh-rlhf"): [
        {
            "chosen": f"\n\nHuman: {TEXT}\n\nAssistant: Water.",
            "rejected": f"\n\nHuman: {TEXT}\n\nAssistant: Fire.",
        }
    ],
    ("demonstrations", "trl"): [{"prompt": [USER], "completion": [WATER]}],
    ("demonstrations", "trl-messages"): [{"messages": [USER, WATER]}],
    ("demonstrations", "alpaca"): [{"instruction": TEXT, "input": "", "output": "Water."}],
    ("demonstrations", "sharegpt"): [
        {"conversations": [{"from": "human", "value": TEXT}, {"from": "gpt", "value": "Water."}]}
    ],
    ("demonstrations", "gcpc"): [{"input_text": TEXT, "output_text": "Water."}],
    ("demonstrations", "gcpc-chat"): [
        {"messages": [{"author": "user", "content": TEXT}, {"author": "assistant", "content": "Water."}]}
    ],
    ("prompts", "trl"): [{"prompt": [USER]}],
    ("prompts", "gcpc"): [{"input_text": TEXT}],
    ("prompts", "gcpc-chat"): [{"messages": [{"author": "user", "content": TEXT}]}],
    ("completions", "alpaca-eval"): [
        {"instruction": "What boils?", "output": "Water.", "generator": "tuned", "dataset": ""}
    ],
    ("completions", "gcpc"): [{"inputs": {"inputs_pretokenized": "What boils?"}, "prediction": "Water."}],
    ("rankings", "oasst"): [
        {
            "message_tree_id": "p1",
            "prompt": {
                "text": TEXT,
                "role": "prompter",
                "replies": [
                    {"text": text, "role": "assistant", "rank": rank, "replies": []}
                    for text, rank in (("Water.", 0), ("Fire.", 1), ("Ice.", 1))
                ],
            },
        }
    ],
    ("votes", "alpaca-eval"): [
        {
            "instruction": TEXT,
            "output_1": "Fire.",
            "generator_1": "base",
            "output_2": "Water.",
            "generator_2": "tuned",
            "annotator": "human-labeller-1",
            "preference": 2.0,
            "dataset": "",
        }
    ],
    ("votes", "trl"): [{"prompt": [USER], "chosen": [WATER], "rejected": [FIRE]}],
}


@pytest.mark.parametrize(("kind", "to"), WRITTEN)
def test_records_become_rows_as_the_project_writes_them(tmp_path: Path, out: Path, kind: str, to: str) -> None:
    about = export_file(saved(tmp_path, kind), out, to)
    assert read_rows(out) == WRITTEN[kind, to]
    assert (about.kind, about.read, about.written) == (kind, 1, len(WRITTEN[kind, to]))
    assert about.describe()[-1] == about.cannot_hold != ""


def test_a_history_goes_along(tmp_path: Path, out: Path) -> None:
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
    source = saved(tmp_path, "preferences", {"history": talk})
    export_file(source, out, "hh-rlhf")
    assert read_rows(out)[0]["chosen"].startswith("\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: What boils")
    export_file(source, out, "gcpc")
    assert [turn["author"] for turn in read_rows(out)[0]["messages"]] == ["user", "assistant", "user"]


def test_ties_and_transcript_marks_are_left_out_and_told(tmp_path: Path, out: Path) -> None:
    votes = saved(tmp_path, "votes", {}, {"verdict": "tie"}, {"b": {"contender": "tuned", "text": "x\n\nHuman: y"}})
    assert export_file(votes, out, "hh-rlhf").describe()[:3] == [
        "3 votes read, 1 row of hh-rlhf written",
        "1 left out: the vote is a tie",
        "1 left out: a text has a line that begins as a turn does, Human: or Assistant:",
    ]


def test_prompts_that_records_share_are_written_once(tmp_path: Path, out: Path) -> None:
    about = export_file(saved(tmp_path, "preferences", {}, {"id": "p2"}), out, "gcpc-prompt")
    assert len(read_rows(out)) == 1 and "1 merged with the same prompt before them" in about.describe()


def test_a_name_that_ends_in_json_is_one_list(tmp_path: Path) -> None:
    source = saved(tmp_path, "demonstrations", {}, {"id": "p2"})
    export_file(source, tmp_path / "out.json", "alpaca")
    assert len(json.loads((tmp_path / "out.json").read_text())) == 2


def refusal(source: Path, out: Path, to: str) -> str:
    out.write_text("as it was")
    with pytest.raises(DataError) as caught:
        export_file(source, out, to)
    assert out.read_text() == "as it was" and {path.suffix for path in out.parent.iterdir()} == {".jsonl"}
    return str(caught.value)


def test_what_a_format_cannot_hold_is_met_with_those_that_can(tmp_path: Path, out: Path) -> None:
    message = refusal(saved(tmp_path, "completions"), out, "arena")
    assert message.startswith("arena cannot hold completions. What can: studio-prompts, studio-completions, trl-prompt")
    assert "no such format (found 'arenas'). Did you mean arena" in refusal(saved(tmp_path, "votes"), out, "arenas")


def test_what_is_not_ours_is_refused(tmp_path: Path, out: Path) -> None:
    source = write_rows(tmp_path / "ours.jsonl", [{"question": "?"}])
    assert refusal(source, out, "trl") == (
        f"{source}:1: none of our records has the fields of this row: question. `rlhf data import` makes them from other formats"
    )
    source = saved(tmp_path, "preferences", {}, {"chosen": 7}, {"extra": 1})
    assert refusal(source, out, "trl") == (
        f"{source}:2: chosen: Input should be a valid string (found 7)\n"
        f"{source}:3: extra: Extra inputs are not permitted (found 1)\n"
        "Read as preferences of this project. Nothing was written"
    )
    source = saved(tmp_path, "preferences", *[{}, *[{"chosen": 7}] * 30])
    assert "… there may be more" in refusal(source, out, "trl")


def test_nothing_to_write_is_refused(tmp_path: Path, out: Path) -> None:
    source = saved(tmp_path, "votes", {"verdict": "tie"})
    assert refusal(source, out, "trl") == (
        f"{source}: holds nothing that trl-preference can hold (found '1 left out: the vote is a tie')"
    )


def test_what_is_read_is_not_written_over(tmp_path: Path) -> None:
    source = saved(tmp_path, "votes")
    with pytest.raises(DataError, match="is the file that is read"):
        export_file(source, source, "arena")
