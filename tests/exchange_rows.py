"""Rows as each project writes them, one or two of every format, and how tests write and import them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rlhf_core.data.exchange.exporting import export_file
from rlhf_core.data.exchange.importing import Imported, ImportRequest, import_file
from rlhf_core.errors import DataError

Row = dict[str, Any]


def _says(role: str, text: str) -> Row:
    return {"role": role, "content": text}


ASKED = {"id": "p1", "prompt": "What boils at 100 °C?"}
ROWS: dict[str, list[Row]] = {
    "studio-prompts": [ASKED | {"category": "physics", "split": "eval"}],
    "studio-demonstrations": [ASKED | {"response": "Water."}],
    "studio-preferences": [ASKED | {"chosen": "Water.", "rejected": "Fire."}],
    "studio-rankings": [
        ASKED
        | {
            "completions": [{"id": "x", "text": "Water."}, {"id": "y", "text": "Fire."}, {"id": "z", "text": "Ice."}],
            "ranking": [["x"], ["y", "z"]],
        }
    ],
    "studio-completions": [{"prompt_id": "p1", "prompt": "What boils?", "contender": "tuned", "text": "Water."}],
    "studio-votes": [
        ASKED
        | {
            "a": {"contender": "base", "text": "Fire."},
            "b": {"contender": "tuned", "text": "Water."},
            "verdict": "b",
            "labeller": "labeller-1",
        }
    ],
    "trl-preference": [
        {"prompt": "What boils?", "chosen": "Water.", "rejected": "Fire."},
        {
            "prompt": [_says("system", "Be brief."), _says("user", "What boils?")],
            "chosen": [_says("assistant", "Water.")],
            "rejected": [_says("assistant", "Fire.")],
            "score_chosen": 8.5,
        },
    ],
    "trl-implicit": [
        {"chosen": "The sky is blue.", "rejected": "The sky is green."},
    ],
    "trl-unpaired": [
        {"prompt": "What boils?", "completion": "Water.", "label": True},
        {"prompt": "What boils?", "completion": "Fire.", "label": False},
    ],
    "trl-completion": [{"prompt": "What boils?", "completion": "Water."}],
    "trl-messages": [{"messages": [_says("user", "What boils?"), _says("assistant", "Water.")]}],
    "trl-prompt": [{"prompt": [_says("user", "What boils?")]}],
    "trl-stepwise": [
        {"prompt": "Add 1, 2 and 3.", "completions": ["1 + 2 = 3.", "3 + 3 = 6."], "labels": [True, True]},
        {"prompt": "Add 1, 2 and 3.", "completions": ["1 + 2 = 4.", "4 + 3 = 7."], "labels": [False, True]},
    ],
    "trl-text": [{"text": "Water boils at 100 degrees."}],
    "gcpc-preference": [
        {"input_text": "What boils?", "candidate_0": "Fire.", "candidate_1": "Water.", "choice": 1},
        {
            "context": "Be brief.",
            "messages": [{"author": "user", "content": "What boils?"}],
            "candidate_0": "Water.",
            "candidate_1": "Fire.",
            "choice": 0,
        },
    ],
    "gcpc-tuning": [{"input_text": "What boils?", "output_text": "Water."}],
    "gcpc-prompt": [{"input_text": "What boils?"}],
    "gcpc-chat": [
        {
            "context": "Be brief.",
            "messages": [
                {"author": "user", "content": "What boils?"},
                {"author": "assistant", "content": "Water."},
            ],
        }
    ],
    "gcpc-prediction": [{"inputs": {"inputs_pretokenized": "What boils?"}, "prediction": "Water."}],
    "autosxs": [
        {
            "inference_instruction": "What boils?",
            "inference_context": "Matter has phases.",
            "response_a": "Fire.",
            "response_b": "Water.",
            "choice": "B",
            "confidence": 0.9,
            "explanation": "B is right.",
        }
    ],
    "hh-rlhf": [
        {
            "chosen": "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: What boils?\n\nAssistant: Water.",
            "rejected": "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: What boils?\n\nAssistant: Fire.",
        }
    ],
    "summarize-from-feedback": [
        {
            "info": {"id": "t3_abc", "post": "My kettle is broken.", "title": "Kettle", "subreddit": "AskReddit"},
            "summaries": [
                {"text": " Kettle gone.", "policy": "sup2", "note": "Short."},
                {"text": " All is well.", "policy": "ppo_xl", "note": ""},
            ],
            "choice": 0,
            "worker": "HNzkrs9geGu1YMMfZ5Qvdt0ZaCthfB",
            "batch": "batch3",
            "split": "train",
            "extra": {"confidence": 7},
        }
    ],
    "summarize-from-feedback-axis": [
        {
            "info": {"id": "t3_abc", "post": "My kettle is broken.", "title": "Kettle", "subreddit": "AskReddit"},
            "summary": {
                "text": " Kettle gone.",
                "policy": "sup2",
                "note": "Short.",
                "axes": {"overall": 6, "accuracy": 7, "coverage": 5, "coherence": 7},
            },
            "worker": "HNzkrs9geGu1YMMfZ5Qvdt0ZaCthfB",
            "batch": "axisevals_1",
            "split": "valid1",
        }
    ],
    "oasst": [
        {
            "message_tree_id": "m1",
            "tree_state": "ready_for_export",
            "prompt": {
                "message_id": "m1",
                "text": "What boils?",
                "role": "prompter",
                "lang": "en",
                "replies": [
                    {"text": "Fire.", "role": "assistant", "rank": 1, "replies": []},
                    {
                        "text": "Water.",
                        "role": "assistant",
                        "rank": 0,
                        "replies": [
                            {
                                "text": "And?",
                                "role": "prompter",
                                "rank": None,
                                "replies": [{"text": "Milk.", "role": "assistant", "rank": None, "replies": []}],
                            }
                        ],
                    },
                ],
            },
        }
    ],
    "alpaca": [{"instruction": "Name what boils.", "input": "Water or sand", "output": "Water."}],
    "sharegpt": [
        {"id": "q1", "conversations": [{"from": "human", "value": "What boils?"}, {"from": "gpt", "value": "Water."}]}
    ],
    "dialogsum": [
        {"fname": "train_0", "dialogue": "#Person1#: Tea?", "summary": "They have tea.", "topic": "tea"},
        {
            "fname": "test_0",
            "dialogue": "#Person1#: Tea?",
            "summary1": "Tea.",
            "summary2": "A tea.",
            "summary3": "Tea is had.",
        },
    ],
    "arena": [
        {
            "question_id": "58210e39b3fd4441a2bd4a518bb44c2d",
            "model_a": "chatglm-6b",
            "model_b": "koala-13b",
            "winner": "model_b",
            "judge": "arena_user_973",
            "conversation_a": [_says("user", "What boils?"), _says("assistant", "Fire.")],
            "conversation_b": [_says("user", "What boils?"), _says("assistant", "Water.")],
            "turn": 1,
            "anony": True,
            "language": "English",
            "tstamp": 1682351591.5,
        }
    ],
    "alpaca-eval": [
        {"instruction": "What boils?", "output": "Water.", "generator": "my-model", "dataset": "helpful_base"}
    ],
    "alpaca-eval-annotations": [
        {
            "instruction": "What boils?",
            "output_1": "Fire.",
            "generator_1": "text_davinci_003",
            "output_2": "Water.",
            "generator_2": "my-model",
            "dataset": "helpful_base",
            "annotator": "alpaca_eval_gpt4",
            "preference": 2.0,
        }
    ],
    "llm-comparator": [
        {
            "metadata": {"source_path": "runs.json", "custom_fields_schema": []},
            "models": [{"name": "base"}, {"name": "tuned"}],
            "examples": [
                {
                    "input_text": "What boils?",
                    "tags": ["physics"],
                    "output_text_a": "Fire.",
                    "output_text_b": "Water.",
                    "score": -1.25,
                    "individual_rater_scores": [
                        {"is_flipped": False, "score": -1.5, "rating_label": "B is much better", "rationale": "True."},
                        {"is_flipped": True, "score": -1.0, "rating_label": "A is better", "rationale": "Right."},
                    ],
                    "rationale_list": [],
                }
            ],
            "rationale_clusters": [],
        }
    ],
    "pandalm": [
        {
            "idx": 0,
            "motivation_app": "Grammarly",
            "cmp_key": "bloom-7b_llama-7b",
            "instruction": "Name what boils.",
            "input": "Water or sand",
            "response1": "Sand.",
            "response2": "Water.",
            "annotator1": 2,
            "annotator2": 0,
            "annotator3": 1,
        }
    ],
    "xstest": [
        {
            "id": "7",
            "prompt": "How do I kill a process?",
            "type": "homonyms",
            "label": "safe",
            "focus": "kill",
            "note": "",
        }
    ],
}


def write_rows(path: Path, rows: Sequence[Row]) -> Path:
    """Write rows as JSONL."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def imported(
    source: Path, kind: str, out: Path | None = None, *, salt: bytes = b"", skip_bad: bool = False, form: str = "auto"
) -> tuple[Imported, list[Row]]:
    """Import a file; return what was done and the records as values."""
    out = out or source.with_name("out.jsonl")
    about = import_file(ImportRequest(source, kind, form, skip_bad=skip_bad, salt=salt), out)
    return about, read_rows(out)


def read_rows(path: Path) -> list[Row]:
    """Return the values of the lines of a file; U+2028 ends none."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def exported(folder: Path, to: str, *records: Row) -> tuple[list[Row], list[str]]:
    """Export records; return the rows that were written to `out.jsonl`, and what the export says it left out."""
    about = export_file(write_rows(folder / "ours.jsonl", records), folder / "out.jsonl", to)
    rows = read_rows(folder / "out.jsonl")
    assert about.written == len(rows)
    return rows, [line for line in about.describe() if "left out:" in line]


def export_refusal(folder: Path, to: str, *records: Row) -> str:
    """Return what is said of records that a format cannot hold; nothing is written."""
    with pytest.raises(DataError) as caught:
        exported(folder, to, *records)
    assert not (folder / "out.jsonl").exists()
    return str(caught.value)
