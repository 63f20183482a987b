"""Votes and summaries as rows of formats that hold only some: what is written, on which side, and what is left out and told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rlhf_core.data.exchange.exporting import export_file
from rlhf_core.errors import DataError
from tests.exchange_rows import ROWS, Row, imported, read_rows, write_rows

VOTE = ROWS["studio-votes"][0] | {"prompt_id": "q1"}
SWAPPED = {"a": VOTE["b"], "b": VOTE["a"]}
POST = "Summarise this text.\n\nTitle: Kettle\n\nMy kettle is broken."


def written(folder: Path, to: str, *rows: Row) -> tuple[list[Row], list[str]]:
    """The rows an export writes, and how many records it says it left out."""
    about = export_file(write_rows(folder / "ours.jsonl", rows), folder / "out.jsonl", to)
    assert about.written == len(read_rows(folder / "out.jsonl"))
    return read_rows(folder / "out.jsonl"), [line for line in about.describe() if "left out:" in line]


def refusal(folder: Path, to: str, *rows: Row) -> str:
    with pytest.raises(DataError) as caught:
        export_file(write_rows(folder / "ours.jsonl", rows), folder / "out.jsonl", to)
    assert not (folder / "out.jsonl").exists()
    return str(caught.value)


def test_votes_on_summaries_are_openais_comparisons(tmp_path: Path) -> None:
    vote = VOTE | {"prompt": POST, "category": "AskReddit"}
    rows, left_out = written(
        tmp_path,
        "summarize-from-feedback",
        vote,
        vote | {"id": "2", "prompt_id": "", "prompt": "Summarise this text.\n\nIt rains.", "verdict": "a"},
        vote | {"verdict": "both_bad"},
        vote | {"automatic": True},
        VOTE,
    )
    summaries = [{"text": "Fire.", "policy": "base", "note": ""}, {"text": "Water.", "policy": "tuned", "note": ""}]
    info = {"id": "q1", "post": "My kettle is broken.", "title": "Kettle", "subreddit": "AskReddit"}
    assert rows == [
        {"info": info, "summaries": summaries, "choice": 1, "worker": "labeller-1"},
        {
            "info": {"id": "2", "post": "It rains.", "title": None, "subreddit": "AskReddit"},
            "summaries": summaries,
            "choice": 0,
            "worker": "labeller-1",
        },
    ]
    assert sorted(left_out) == [
        "1 left out: a model judged, and the workers of this format are people",
        "1 left out: the prompt does not ask for a summary as this format is read here",
        "1 left out: the vote is a tie",
    ]


def test_preferences_and_rankings_on_summaries_are_comparisons_without_a_worker(tmp_path: Path) -> None:
    preference = ROWS["studio-preferences"][0] | {"prompt": POST}
    rows, _ = written(tmp_path, "summarize-from-feedback", preference)
    assert [(row["choice"], row["worker"], row["info"]["id"]) for row in rows] == [(0, None, "p1")]
    assert [summary["text"] for summary in rows[0]["summaries"]] == ["Water.", "Fire."]
    ranking = ROWS["studio-rankings"][0] | {"prompt": POST}
    rows, _ = written(tmp_path, "summarize-from-feedback", ranking)
    assert [[summary["text"] for summary in row["summaries"]] for row in rows] == [
        ["Water.", "Fire."],
        ["Water.", "Ice."],
    ]


def test_a_summary_of_a_dialogue_is_dialogsums(tmp_path: Path) -> None:
    asked = "Summarize the following conversation.\n\n#Person1#: Tea?\n\nSummary:"
    demonstration = ROWS["studio-demonstrations"][0] | {"prompt": asked, "response": "They have tea."}
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
    none = "Summarize the following conversation.\n\nSummary:"
    rows, left_out = written(
        tmp_path,
        "dialogsum",
        demonstration,
        demonstration | {"prompt_id": "train_0"},
        demonstration | {"history": talk},
        demonstration | {"prompt": none},
        ROWS["studio-demonstrations"][0],
    )
    assert rows == [
        {"fname": name, "dialogue": "#Person1#: Tea?", "summary": "They have tea."} for name in ("p1", "train_0")
    ]
    assert left_out == ["3 left out: the prompt does not ask for a summary as DialogSum is read here"]


def by(*verdicts: tuple[str, str], **fields: object) -> list[Row]:
    """Votes on one pair: who said what."""
    return [VOTE | {"labeller": who, "verdict": verdict} | fields for who, verdict in verdicts]


def test_three_peoples_votes_on_a_pair_are_one_row_of_pandalm(tmp_path: Path) -> None:
    """Contenders stand in the order of their names: `a` of cy's vote is tuned, so that her a is the second."""
    cy = VOTE | {"labeller": "cy", "verdict": "a"} | SWAPPED
    rows, left_out = written(
        tmp_path,
        "pandalm",
        *by(("ben", "both_bad"), ("ana", "a")),
        cy,
        *by(("cy", "tie"), ("ana", "b"), ("ben", "b"), prompt_id="q2", category="physics"),
    )
    pair = {
        "instruction": "What boils at 100 °C?", "input": "", "cmp_key": "base_tuned", "response1": "Fire.", "response2": "Water.",
    }  # fmt: skip
    assert rows == [
        pair | {"idx": 0, "motivation_app": "", "annotator1": 1, "annotator2": 0, "annotator3": 2},
        pair | {"idx": 1, "motivation_app": "physics", "annotator1": 2, "annotator2": 2, "annotator3": 0},
    ]
    assert left_out == []
    verdicts = [vote["verdict"] for vote in imported(tmp_path / "out.jsonl", "votes", tmp_path / "back.jsonl")[1]]
    assert verdicts == ["a", "tie", "b", "b", "b", "tie"]


def test_what_pandalm_cannot_hold_is_left_out_and_told(tmp_path: Path) -> None:
    three = [("ana", "a"), ("ben", "a"), ("cy", "b")]
    rows, left_out = written(
        tmp_path,
        "pandalm",
        *by(*three),
        *by(("ana", "b")),  # a second time
        *by(("ana", "a"), ("ben", "a"), prompt_id="q2"),  # without cy
        *by(("gpt-4", "a"), automatic=True),
        *by(*three, a={"contender": "base_2", "text": "Fire."}),
    )
    assert [[row[f"annotator{n}"] for n in (1, 2, 3)] for row in rows] == [[1, 1, 2]]
    assert sorted(left_out) == [
        "1 left out: a model judged, and PandaLM's annotators are people",
        "1 left out: the labeller judged the pair before",
        "2 left out: not all three people judged the pair",
        "3 left out: a contender's name has a _, which stands between the two names of `cmp_key`",
    ]


def test_pandalm_asks_for_three_people(tmp_path: Path) -> None:
    assert refusal(tmp_path, "pandalm", *by(("ana", "a"), ("ben", "a"))) == (
        "PandaLM's pairs are judged by the same three people (found ['ana', 'ben']). Export the votes of three labellers"
    )
    assert 'holds nothing that pandalm can hold (found "1 left out: a model judged' in refusal(
        tmp_path, "pandalm", *by(("gpt-4", "a"), automatic=True)
    )


def test_votes_are_autosxs_judgements_with_each_contender_on_one_side(tmp_path: Path) -> None:
    rows, left_out = written(
        tmp_path, "autosxs", VOTE | {"reason": "True."}, VOTE | {"id": "p2"} | SWAPPED, VOTE | {"verdict": "tie"}
    )
    shared = {
        "inference_instruction": "What boils at 100 °C?", "inference_context": "", "response_a": "Fire.", "response_b": "Water.",
    }  # fmt: skip
    assert rows == [
        shared | {"choice": "B", "explanation": "True."},
        shared | {"choice": "A", "explanation": ""},
    ]
    assert left_out == ["1 left out: the vote is a tie"]
    back = imported(tmp_path / "out.jsonl", "votes", tmp_path / "back.jsonl")[1]
    assert [(vote["verdict"], vote["automatic"]) for vote in back] == [("b", True), ("a", True)]


def test_autosxs_compares_two_models_only(tmp_path: Path) -> None:
    third = VOTE | {"a": {"contender": "sft", "text": "Ice."}}
    assert refusal(tmp_path, "autosxs", VOTE, third) == (
        "AutoSxS compares two models (found ['base', 'sft', 'tuned']). Export the votes on two contenders"
    )


def test_a_name_that_ends_in_json_is_a_list_of_what_several_votes_make(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "ours.jsonl", by(("ana", "a"), ("ben", "a"), ("cy", "b")))
    about = export_file(source, tmp_path / "out.json", "pandalm")
    (row,) = json.loads((tmp_path / "out.json").read_text())
    assert row["idx"] == 0 and (about.read, about.written) == (3, 1)
