"""hh-rlhf pairs: what is read, what is dropped and why, and that no conversation grows on both sides of the split."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rlhf_core.config import load_config
from rlhf_core.data.datasets import load_datasets
from rlhf_core.data.formats.hh_rlhf import (
    FILES,
    Comparison,
    ImportSettings,
    Pair,
    build_records,
    describe_dropped,
    length,
    parse_pair,
    parse_transcript,
    read_comparisons,
)
from rlhf_core.data.records import Message, RefusalPrompt
from rlhf_core.data.splits import normalise
from rlhf_core.errors import DataError
from tests.real_data import REAL_DATA, needs

ROOT = Path(__file__).resolve().parents[4]
TALK = "\n\nHuman: Hi.\n\nAssistant: Hello!\n\nHuman: Why?"


def comparison(number: int, *turns: str, category: str = "harmless", chosen: str = "No.") -> Comparison:
    """Return a comparison whose conversation is `turns`, the user's and the assistant's by turns."""
    names = ("user", "assistant")
    messages = tuple(Message.model_validate({"role": names[n % 2], "content": t}) for n, t in enumerate(turns))
    return Comparison(f"{category}-{number:05d}", category, messages, chosen, "Yes.")


def test_a_pair_is_a_conversation_and_two_replies() -> None:
    pair = Pair(chosen=f"{TALK}\n\nAssistant: Because.", rejected=f"{TALK}\n\nAssistant: No idea.\n\nReally.")
    conversation, chosen, rejected = parse_pair(pair)
    assert [(m.role, m.content) for m in conversation] == [("user", "Hi."), ("assistant", "Hello!"), ("user", "Why?")]
    assert (chosen, rejected) == ("Because.", "No idea.\n\nReally.")


def test_only_a_speaker_on_a_new_line_after_an_empty_one_begins_a_turn() -> None:
    text = "\n\nHuman: Say\u2028Human: and\nHuman: twice, Assistant: please.\n\nAssistant: A\u2028B\u2029C"
    before, reply = parse_transcript(text)
    assert [m.content for m in before] == ["Say\u2028Human: and\nHuman: twice, Assistant: please."]
    assert reply == "A\u2028B\u2029C"


@pytest.mark.parametrize(
    ("chosen", "rejected", "reason"),
    [
        (f"{TALK}\n\nAssistant: A.", f"{TALK}\n\nAssistant: A.", "the two transcripts are the same"),
        (f"{TALK}\n\nAssistant: A.", f"{TALK}\n\nAssistant:  A. ", "the two transcripts are the same"),
        (f"{TALK}\n\nAssistant: A.", f"{TALK} Oh?\n\nAssistant: B.", "the conversations differ before the last reply"),
        (f"{TALK}\n\nAssistant: A.", f"{TALK}\n\nAssistant:", "the last reply is empty"),
        (TALK, f"{TALK}\n\nAssistant: B.", "the transcript ends with Human"),
        ("\n\nAssistant: A.", f"{TALK}\n\nAssistant: B.", "the transcript does not begin with Human"),
        ("words", f"{TALK}\n\nAssistant: B.", "the transcript does not begin with Human"),
        (f"{TALK}\n\nHuman: Oh?\n\nAssistant: A.", f"{TALK}\n\nAssistant: B.", "one speaker has two turns in a row"),
        (
            "\n\nHuman: Hi.\n\nAssistant: \n\nHuman: Oh?\n\nAssistant: A.",
            f"{TALK}\n\nAssistant: B.",
            "a turn before the last reply is empty",
        ),
    ],
)  # fmt: skip
def test_a_pair_that_is_no_comparison_is_counted_with_its_reason(
    tmp_path: Path, chosen: str, rejected: str, reason: str
) -> None:
    good = {"chosen": f"{TALK}\n\nAssistant: A.", "rejected": f"{TALK}\n\nAssistant: B."}
    lines = [json.dumps(row) for row in ({"chosen": chosen, "rejected": rejected}, good)]
    (tmp_path / "test.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    found, dropped = read_comparisons(tmp_path / "test.jsonl.gz", "helpful")
    assert [c.id for c in found] == ["helpful-00002"]  # numbered as in the file
    assert dropped == {reason: 1}


def test_reasons_are_listed_commonest_first() -> None:
    assert describe_dropped({"b": 1, "a": 1, "c": 3}) == ["3 dropped: c", "1 dropped: a", "1 dropped: b"]


def test_words_and_signs_are_counted() -> None:
    assert length("It’s 3 o'clock, isn't it?") == 13  # It ’ s 3 o ' clock , isn ' t it ?


def test_no_conversation_shares_its_opening_with_a_held_out_one() -> None:
    """Twelve openings with two harmless conversations and a helpful one each; four openings are held out."""
    rows = []
    for n in range(12):
        rows += [
            comparison(3 * n, f"Question {n}?"),
            comparison(3 * n + 1, f"question {n}", "Yes?", "Go on."),  # the same opening after normalisation
            comparison(3 * n + 2, f"Question {n}!", category="helpful"),
        ]
    made = build_records(rows, ImportSettings(eval_prompts=4))
    held_out = {p.prompt for p in made.prompts if p.split == "eval"}
    assert len(held_out) == 4
    openings = {q.rstrip("?") for q in held_out}
    for row in [p for p in made.prompts if p.split == "train"] + made.rankings + made.demonstrations:
        assert row.opening.rstrip("?!").capitalize() not in openings
    assert [len(made.rankings), len(made.demonstrations)] == [24, 24]  # 8 openings, all three conversations
    assert len([p for p in made.prompts if p.split == "train"]) == 16  # the harmless ones
    assert build_records(rows, ImportSettings(eval_prompts=4)) == made
    assert build_records(rows, ImportSettings(eval_prompts=4, seed=1)) != made


def test_prompts_of_another_test_open_no_training_conversation_and_leave_the_draw_alone() -> None:
    rows = [comparison(n, f"Question {n}?") for n in range(12)] + [comparison(20, "question 3", "Yes?", "Go on.")]
    settings = ImportSettings(eval_prompts=4)
    alone = build_records(rows, settings)
    taken = next(p.prompt for p in alone.prompts if p.split == "train")
    tested = [RefusalPrompt(id="t", prompt=taken.upper(), category="safe")]
    made = build_records(rows, settings, tested)
    for train in (made.rankings, made.demonstrations, [p for p in made.prompts if p.split == "train"]):
        assert train and all(normalise(row.opening) != normalise(taken) for row in train)
    assert [p for p in made.prompts if p.split == "eval"] == [p for p in alone.prompts if p.split == "eval"]


def test_records_hold_the_conversation_and_the_preference() -> None:
    rows = [comparison(n, f"A{n}?", "B.", "C?", chosen="Good.") for n in range(3)]
    made = build_records(rows, ImportSettings(eval_prompts=2))
    [row] = made.rankings
    assert (row.prompt, row.transcript) == ("C?", f"User: A{row.id[-1]}?\n\nAssistant: B.\n\nUser: C?")
    assert row.pairs() == [("Good.", "Yes.")] and row.category == "harmless"
    assert {p.category for p in made.prompts} == {"harmless"}


def test_long_conversations_are_ranked_but_not_asked_and_long_replies_not_imitated() -> None:
    rows = [comparison(n, f"Short {n}?") for n in range(3)]
    rows += [comparison(3, "long " * 20), comparison(4, "A?", "B.", "C?", chosen="word " * 9)]
    settings = ImportSettings(eval_prompts=1, max_prompt=15, max_response=8)
    made = build_records(rows, settings)
    assert len(made.rankings) == 4 and len(made.demonstrations) == 2
    assert sum(bool(p.history) for p in made.prompts) == 1
    alone = build_records(rows, ImportSettings(eval_prompts=1, max_prompt=15, max_response=8, max_turns=1))
    assert not any(p.history for p in alone.prompts) and len(alone.rankings) == 4


def test_a_conversation_is_asked_once() -> None:
    rows = [comparison(n, f"Question {n % 3}?") for n in range(6)]
    assert len(build_records(rows, ImportSettings(eval_prompts=1)).prompts) == 3


def test_too_few_conversations_to_hold_out_are_refused() -> None:
    with pytest.raises(DataError, match=r"only 1 harmless conversations are short enough.*found 1.*Hold fewer out"):
        build_records([comparison(1, "A?"), comparison(2, "B?", category="helpful")], ImportSettings(eval_prompts=1))


def run_script(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)} | {"RLHF_REAL_DATA": ""}
    command = [sys.executable, str(ROOT / "scripts" / "hh_rlhf.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


def test_the_script_writes_what_the_configuration_reads(tmp_path: Path) -> None:
    for category, name in FILES.items():
        rows = [
            {"chosen": f"\n\nHuman: {category} {n}?\n\nAssistant: A.", "rejected": f"\n\nHuman: {category} {n}?\n\nAssistant:"
             + (" B." if n else "")}
            for n in range(12)
        ]  # fmt: skip
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(gzip.compress("\n".join(json.dumps(row) for row in rows).encode()))
    # The safe prompt opens two training conversations; the pipeline would refuse them.
    (tmp_path / "x.csv").write_text("id,prompt,type,label\n1,HELPFUL 4,homonyms,safe\n2,Rob him?,contrast,unsafe\n")
    done = run_script(str(tmp_path), "--xstest", f"{tmp_path}/x.csv", "--out", f"{tmp_path}/out", "--eval-prompts", "3")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{FILES['helpful']}: 11 comparisons\n  1 dropped: the last reply is empty\n" in done.stdout
    assert f"{tmp_path}/out/rankings.jsonl: 18 rows\n" in done.stdout  # 22 − 3 held out − 1 tested
    names = ("prompts", "rankings", "demonstrations", "refusal_prompts")
    files = [f"data.{name}={tmp_path}/out/{name}.jsonl" for name in names]
    data = load_datasets(load_config(ROOT / "configs" / "hh-rlhf.yaml", files).data)
    assert (len(data.train_prompts), len(data.eval_prompts)) == (8, 3)
    assert [(p.id, p.category) for p in data.refusal_prompts] == [("xstest-1", "safe"), ("xstest-2", "unsafe")]
    without = run_script(str(tmp_path), "--out", str(tmp_path / "other"), "--eval-prompts", "3")
    assert "no --xstest: run the pipeline with --set data.refusal_prompts=null\n" in without.stdout
    assert not (tmp_path / "other" / "refusal_prompts.jsonl").exists()
    harmless = run_script(str(tmp_path), "--out", str(tmp_path / "half"), "--eval-prompts", "3", "--harmless-only")
    assert f"{tmp_path}/half/rankings.jsonl: 8 rows\n" in harmless.stdout and "helpful" not in harmless.stdout


def test_the_script_says_what_is_missing(tmp_path: Path) -> None:
    assert "give the folder of the data set" in run_script().stderr
    missing = run_script(str(tmp_path))
    assert missing.returncode == 1 and "no such file" in missing.stderr


@needs("hh-rlhf")
def test_the_real_files_lose_what_is_known_to_be_unfit() -> None:
    read = {category: read_comparisons(REAL_DATA / "hh-rlhf" / name, category) for category, name in FILES.items()}
    assert [len(found) + sum(dropped.values()) for found, dropped in read.values()] == [2354, 2312]
    assert [dropped["the two transcripts are the same"] for _, dropped in read.values()] == [2, 0]
    comparisons = [c for found, _ in read.values() for c in found]
    made = build_records(comparisons, ImportSettings())
    held_out = [p for p in made.prompts if p.split == "eval"]
    assert len(held_out) == 100 and any(p.history for p in held_out)
    openings = {c.opening for c in comparisons if c.id in {p.id.removeprefix("prompt-") for p in held_out}}
    kept = {c.id: c.opening for c in comparisons}
    assert not openings & {kept[r.id.removeprefix("ranking-")] for r in made.rankings}
