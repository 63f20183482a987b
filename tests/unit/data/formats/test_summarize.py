"""OpenAI's summary comparisons: written from votes of people and preferences that ask for a summary, and from nothing else."""

from __future__ import annotations

from pathlib import Path

from tests.exchange_rows import ROWS, exported

VOTE = ROWS["studio-votes"][0] | {"prompt_id": "q1"}
POST = "Summarise this text.\n\nTitle: Kettle\n\nMy kettle is broken."


def test_votes_on_summaries_are_openais_comparisons(tmp_path: Path) -> None:
    vote = VOTE | {"prompt": POST, "category": "AskReddit"}
    rows, left_out = exported(
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
    rows, _ = exported(tmp_path, "summarize-from-feedback", preference)
    assert [(row["choice"], row["worker"], row["info"]["id"]) for row in rows] == [(0, None, "p1")]
    assert [summary["text"] for summary in rows[0]["summaries"]] == ["Water.", "Fire."]
    ranking = ROWS["studio-rankings"][0] | {"prompt": POST}
    rows, _ = exported(tmp_path, "summarize-from-feedback", ranking)
    assert [[summary["text"] for summary in row["summaries"]] for row in rows] == [
        ["Water.", "Fire."],
        ["Water.", "Ice."],
    ]
