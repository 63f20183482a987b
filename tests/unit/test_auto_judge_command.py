"""`rlhf auto-judge`: both orders of every pair, files of its own, agreement with people, and votes that stay people's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rlhf_core.data.io import read_jsonl
from rlhf_core.evaluation.auto_judge import AutoVerdict
from rlhf_core.feedback.collect import judging_of_run, own_task
from rlhf_core.feedback.store import VoteStore
from rlhf_core.report.auto_judges import judge_sentences
from rlhf_core.report.facts import build_facts
from rlhf_core.runs.reader import RunReader
from tests.command import succeed
from tests.endpoint_server import Fault, Served, serving
from tests.run_factory import write_run
from tests.vote_factory import make_spec

SECRET = "sk-judge-0123456789abcdef"


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("RLHF_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving(answer=judge) as found:
        yield found


def judge(body: dict[str, Any]) -> str:
    """Prefers what is new; of p1 it likes what it sees first, p2 is both bad, and of p3 it says nothing in form."""
    shown = body["messages"][1]["content"]
    if "Question p3?" in shown:
        return "I like them."
    new_first = shown.index("new p") < shown.index("old p")
    said = "both bad" if "Question p2?" in shown else "A" if new_first or "Question p1?" in shown else "B"
    return f"Because.\nVerdict: {said}"


def make_task(tmp_path: Path, size: int = 6, **design: Any) -> tuple[str, int]:
    votes = str(tmp_path / "votes.db")
    with closing(VoteStore(votes)) as store:
        return votes, store.ensure_task(make_spec(size, **design))


def vote(votes: str, task: int, prefer: str, labeller: str = "ana", **more: Any) -> None:
    """Judge everything: whose text begins with `prefer` wins."""
    with closing(VoteStore(votes)) as store:
        while item := store.next_item(task, labeller):
            side = "ab"[next(n for n, text in enumerate(item.texts) if text.startswith(prefer))]
            store.vote(item.token, side, reading_seconds=1, **more)


def run(capsys: pytest.CaptureFixture[str], served: Served, target: object, *words: object) -> str:
    return succeed(capsys, "auto-judge", target, "--endpoint", served.url, "--model", "Some/Judge-1", *words)


def dump(database: str) -> list[str]:
    """Every row of every table of a vote database."""
    import sqlite3

    with closing(sqlite3.connect(database)) as connection:
        return list(connection.iterdump())


def test_a_task_is_judged_in_both_orders_and_compared_with_people(tmp_path: Path, served: Served, capsys):
    """Six items: p0, p4 and p5 won by the new, p1 by what comes first, p2 both bad, p3 none. Score (3 + ½ + ½)/5 = 80%. People
    prefer the new of all: the same on 3 of the 5 that both judged, and on all 3 where both chose a side."""
    votes, task = make_task(tmp_path)
    vote(votes, task, "new")
    before = dump(votes)
    said = run(capsys, served, task, "--votes", votes)
    assert len(served.bodies) == 12 and len({json.dumps(body) for body in served.bodies}) == 12
    assert {(body["model"], body["temperature"], body["max_tokens"]) for body in served.bodies} == {
        ("Some/Judge-1", 0, 512)
    }
    assert "Choose the answer you would rather have received." in served.bodies[0]["messages"][0]["content"]
    assert dump(votes) == before
    file = tmp_path / "auto_judge" / f"task-{task}" / "some-judge-1.jsonl"
    rows = {row.prompt_id: row for row in read_jsonl(file, AutoVerdict)}
    assert {name: row.outcome for name, row in rows.items()} == {
        "p0": "contender", "p1": "tie", "p2": "both_bad", "p3": None, "p4": "contender", "p5": "contender",
    }  # fmt: skip
    assert [reading.answer for reading in rows["p1"].readings] == ["Because.\nVerdict: A"] * 2
    held = json.loads(file.with_suffix(".json").read_text())
    (judged,) = held["comparisons"]
    assert (judged["items"], judged["unclear"], judged["swayed"]) == (5, 1, 1)
    assert judged["win_rate"]["value"] == pytest.approx(0.8) and judged["stands"]["value"] == pytest.approx(0.8)
    (people,) = held["against_people"]
    assert (people["items"], people["unjudged"], people["agreement"]["value"]) == (5, 1, pytest.approx(0.6))
    assert people["decided"]["value"] == 1 and people["confusion"]["contender"]["both_bad"] == 1
    assert held["people"] is False and held["answered_by"] == ["served-1"] and held["model"] == "Some/Judge-1"
    assert "some-judge-1 " in said and "80.0% [" in said and "of 5 items" in said
    assert "Against people: some-judge-1 (verdict): the same choice as most people on 60.0% [" in said
    assert (
        "Left out: 1 item without a verdict in the form asked for." in said and "no person: they are no votes" in said
    )


def test_what_was_answered_is_not_asked_again(tmp_path: Path, served: Served, capsys, fail):
    """Interrupted at the sixth request; the second time ends with twelve answers in all."""
    votes, task = make_task(tmp_path)
    served.answer = lambda body: {"no": 1} if len(served.bodies) > 5 else judge(body)
    one = ("--votes", votes, "--set", "concurrency=1", "--set", "retries=0")
    said = fail("auto-judge", task, "--endpoint", served.url, "--model", "Some/Judge-1", *one)
    assert "the answer is no chat completion, at prompt p" in said
    served.answer = judge
    run(capsys, served, task, *one)
    assert len(served.bodies) == 13  # twelve that were answered, and the one that was not
    run(capsys, served, task, *one, "--name", "again")
    assert len(served.bodies) == 13


def test_a_run_without_votes_has_a_verdict_and_no_agreement(tmp_path: Path, served: Served, capsys):
    path = write_run(tmp_path / "mine", votes="simulated")
    served.answer = lambda _: "Verdict: tie"
    said = run(capsys, served, path, "--name", "fair")
    assert "No person has judged these pairs yet" in said and "fair does not settle it" in said
    assert (path / "evaluation" / "auto_judge" / "fair.jsonl").is_file()
    assert not (tmp_path / "votes.db").exists()
    system = served.bodies[0]["messages"][0]["content"]
    assert "Prefer the answer that helps whoever asks, that is true, and that does no harm." in system


def test_automatic_and_simulated_verdicts_never_reach_what_people_prefer(tmp_path: Path, served: Served, capsys):
    """People prefer base in all they judged, simulated voters and the judge tuned: people's figures stay where they were."""
    path, votes = write_run(tmp_path / "mine", votes="simulated"), str(tmp_path / "votes.db")
    base = {row.text for row in RunReader(path).completions("base")}
    with closing(VoteStore(votes)) as store:
        task = store.ensure_task(own_task(RunReader(path), "Choose."))
        for _ in range(5):
            item = store.next_item(task, "ana")
            assert item
            store.vote(item.token, "ab"[item.texts[0] not in base], reading_seconds=1)
        while item := store.next_item(task, "robot"):
            store.vote(item.token, "ab"[item.texts[0] in base], reading_seconds=1, simulated=True)

    def people() -> list[dict[str, Any]]:
        gathered = judging_of_run(path, votes)
        assert gathered
        return build_facts(path, gathered.votes).as_json()["human_votes"]

    def prefers_tuned(body: dict[str, Any]) -> str:
        shown = body["messages"][1]["content"].split(" ANSWER B\n")[0].split(" ANSWER A\n")[1]
        return f"Verdict: {'B' if any(text and text in shown for text in base) else 'A'}"

    before, rows = people(), dump(votes)
    served.answer = prefers_tuned
    said = run(capsys, served, path, "--name", "fan")
    assert "fan prefers the tuned model to the base model: it wins 100.0%" in said
    assert people() == before and before[0]["win_rate"]["value"] == 0 and before[0]["n"] == 5
    assert dump(votes) == rows
    held = json.loads((path / "evaluation" / "auto_judge" / "fan.json").read_text())
    assert {(one["items"], one["agreement"]["value"]) for one in held["against_people"] if not one["category"]} == {
        (5, 0.0)
    }


def test_instructions_and_a_criterion_can_be_given(tmp_path: Path, served: Served, capsys, fail):
    votes, task = make_task(tmp_path, 1, criteria=("helpful", "honest"))
    (tmp_path / "guide.md").write_text("Prefer short answers.")
    run(capsys, served, task, "--votes", votes, "--instructions", tmp_path / "guide.md", "--criterion", "honest")
    system = served.bodies[0]["messages"][0]["content"]
    assert "Prefer short answers." in system and "Judge one thing alone: honest." in system
    said = fail("auto-judge", task, "--endpoint", served.url, "--model", "m", "--votes", votes, "--criterion", "kind")
    assert f"task {task}: unknown criterion (found 'kind'). Expected one of helpful, honest" in said


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (
            ("--name", "Big Judge"),
            "a judge's name is lower-case letters, digits, dashes and underscores (found 'Big Judge')",
        ),
        (("--set", "system=Be kind."), "--set: a judge's system prompt is its instructions (found 'system')"),
        (("--set", "temprature=0"), "temprature: unknown key; did you mean `temperature`?"),
        (("--votes", "nowhere.db"), "nowhere.db: no vote database."),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, served: Served, words: tuple[str, ...], what: str, fail):
    votes, task = make_task(tmp_path, 1)
    line = ("auto-judge", task, "--endpoint", served.url, "--model", "m", "--votes", votes, *words)
    assert what in fail(*line) and served.bodies == []


def test_no_run_is_said(tmp_path: Path, served: Served, fail):
    assert "no such run" in fail("auto-judge", tmp_path / "none", "--endpoint", served.url, "--model", "m")


def test_the_key_is_written_nowhere(tmp_path: Path, served: Served, monkeypatch: pytest.MonkeyPatch, capsys, fail):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    votes, task = make_task(tmp_path, 2)
    served.answer = lambda _: f"{SECRET}\nVerdict: A"
    said = run(capsys, served, task, "--votes", votes)
    served.faults = [Fault(403, SECRET)] * 4
    said += fail("auto-judge", task, "--endpoint", served.url, "--model", "m", "--votes", votes)
    assert served.headers[0]["Authorization"] == f"Bearer {SECRET}"
    written = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(written) >= 4 and [file for file in written if SECRET.encode() in file.read_bytes()] == []
    assert SECRET not in said and "[key]" in said


def test_verdicts_on_answers_that_have_changed_are_left_out_and_counted(tmp_path: Path, served: Served, capsys):
    path = write_run(tmp_path / "mine")
    served.answer = lambda _: "Verdict: tie"
    run(capsys, served, path, "--name", "fair")
    (before,) = build_facts(path).auto_judges
    file = path / "completions" / "tuned.jsonl"
    first, *rest = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join([json.dumps(json.loads(first) | {"text": "Another answer."}), *rest]), encoding="utf-8")
    (after,) = build_facts(path).auto_judges
    assert (before.stale, after.stale, after.judged[0].items) == (0, 1, before.judged[0].items - 1)
    assert "fair: 1 verdict on answers that have changed since are left out." in judge_sentences(after)
