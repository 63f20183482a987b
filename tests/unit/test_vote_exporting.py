"""One's own votes as records, and from there to other projects' files and back: unblinded, under pseudonyms, none too many."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rlhf_core.cli import main
from rlhf_core.data.exchange.exporting import export_file
from rlhf_core.data.exchange.importing import ImportRequest, import_file
from rlhf_core.data.io import read_jsonl
from rlhf_core.data.records import Completion, ContenderCompletion, Message, PairVote, Ranking
from rlhf_core.errors import DataError
from rlhf_core.feedback.clock import stamp
from rlhf_core.feedback.records import Assignment
from rlhf_core.feedback.store import VoteStore
from rlhf_core.feedback.tasks import TaskDesign, build_task
from rlhf_core.judgements import Judgements, export_votes
from tests.clock import START, Clock
from tests.command import succeed

NAMES = ("base", "new", "tuned")
TALK = [Message(role="user", content="Hello"), Message(role="assistant", content="Hi.\n\nUser: no turn")]
Say = Callable[[Assignment], Any]


def answers(name: str, prompts: int, talks: int = 1) -> list[ContenderCompletion]:
    """A contender's answers, "tuned 0", …; the first prompts go on a conversation."""
    start = "User: Hello\n\nAssistant: Hi.\n\nUser: no turn\n\nUser: "
    return [
        ContenderCompletion(
            prompt_id=f"p{n}",
            prompt=f"{start}Question {n}?" if n < talks else f"Question {n}?",
            history=TALK if n < talks else [],
            category="honest",
            contender=name,
            text=f"{name} {n}",
        )
        for n in range(prompts)
    ]


def make_task(store: VoteStore, names: tuple[str, ...] = NAMES[::2], prompts: int = 3, **design: Any) -> int:
    gold = design.pop("gold", ())
    sides = [answers(name, prompts) for name in names]
    return store.ensure_task(build_task("trial", sides, "Prefer what is true.", 0, TaskDesign(**design), gold))


def judge_all(store: VoteStore, task: int, labeller: str, say: Say, **more: Any) -> list[Assignment]:
    seen = []
    while (item := store.next_item(task, labeller)) is not None:
        store.vote(item.token, say(item), reading_seconds=1, **more)
        seen.append(item)
    return seen


def side_of(item: Assignment, name: str) -> str:
    """The side on which a contender stood."""
    return "ab"[[text.split()[0] for text in item.texts].index(name)]


def exported(database: Path, task: int, **which: Any) -> list[PairVote]:
    out = database.with_name("votes.jsonl")
    export_votes(database, task, out, Judgements(**which))
    return read_jsonl(out, PairVote)


def test_a_vote_says_whose_answers_were_seen_where_and_what_was_said(tmp_path: Path):
    database = tmp_path / "votes.db"
    with closing(VoteStore(database, Clock(START))) as store:
        task = make_task(store)
        seen = [store.next_item(task, "Ana Lima")]
        assert seen[0] is not None
        store.vote(
            seen[0].token, side_of(seen[0], "tuned"), reading_seconds=1, strength={"overall": 3}, reason="So it is."
        )
        judge_all(store, task, "Ana Lima", lambda item: "both_bad" if item.prompt.endswith("1?") else "tie")
        judge_all(store, task, "ben@example.org", lambda item: side_of(item, "base"))
    rows = exported(database, task)
    assert len(rows) == 6 and len({row.id for row in rows}) == 6
    first = rows[0]
    assert (first.a.text, first.b.text) == seen[0].texts  # A is what stood on the left, whoever wrote it
    assert first.a.text.startswith(f"{first.a.contender} ") and first.b.text.startswith(f"{first.b.contender} ")
    assert getattr(first, first.verdict).contender == "tuned"
    assert (first.strength, first.reason, first.category) == (3, "So it is.", "honest")
    assert first.created_at == stamp(START)
    others = {row.prompt: row.verdict for row in rows[1:3]}
    assert others == {name: "both_bad" if name == "Question 1?" else "tie" for name in others} and len(others) == 2
    assert {getattr(row, row.verdict).contender for row in rows[3:]} == {"base"}
    assert not any(row.automatic for row in rows) and {row.criterion for row in rows} == {"overall"}


def test_people_are_pseudonyms_that_nothing_in_the_file_leads_back_from(tmp_path: Path):
    database = tmp_path / "votes.db"
    with closing(VoteStore(database)) as store:
        task = make_task(store)
        for labeller in ("Ana Lima", "ben@example.org"):
            judge_all(store, task, labeller, lambda item: "tie")
    names = [row.labeller for row in exported(database, task)]
    text = (tmp_path / "votes.jsonl").read_text()
    assert "Ana" not in text and "Lima" not in text and "example" not in text
    assert len(set(names)) == 2 and names[0] == names[2] != names[3] and names[0].startswith("labeller-")
    assert not set(names) & {row.labeller for row in exported(database, task)}  # others in the next export


def test_a_conversation_stands_in_history_and_prompt(tmp_path: Path):
    """Its second turn reads like a third: no text of all turns could be taken apart again."""
    database = tmp_path / "votes.db"
    with closing(VoteStore(database)) as store:
        task = make_task(store)
        judge_all(store, task, "ana", lambda item: "a")
    asked = {row.prompt_id: (row.prompt, row.history) for row in exported(database, task)}
    assert asked == {"p0": ("Question 0?", TALK), "p1": ("Question 1?", []), "p2": ("Question 2?", [])}


def test_what_is_no_judgement_is_left_out_and_counted(tmp_path: Path):
    """Of 8 items ana takes the first vote back, skips that item and judges it last; gold and repeats; a simulation votes too."""
    database, out = tmp_path / "votes.db", tmp_path / "votes.jsonl"
    texts = [Completion(id="good", text="Yes."), Completion(id="bad", text="No.")]
    gold = [Ranking(id="g", prompt="Gold?", completions=texts, ranking=[["good"], ["bad"]])]
    with closing(VoteStore(database)) as store:
        task = make_task(store, prompts=8, gold=gold, gold_every=2, repeat_every=2)
        for verdict in ("b", "skip"):
            item = store.next_item(task, "ana")
            assert item is not None
            store.vote(item.token, verdict, reading_seconds=1)
            if verdict == "b":
                store.undo(task, "ana")
        judge_all(store, task, "ana", lambda item: "a")
        judge_all(store, task, "robot", lambda item: "b", simulated=True)
        log = store.log(task)
        judged = store.votes(task)
    done = export_votes(database, task, out)
    rows = read_jsonl(out, PairVote)
    people = judged.loc[~judged["simulated"]]
    assert done.rows == len(rows) == len(people) == 8 and {row.verdict for row in rows} == {"a"}
    assert {*log["action"]} == {"vote", "skip", "undo"}
    assert [row.id for row in rows] == [f"task-{task}-vote-{number}" for number in people["vote_id"]]
    assert not {"Gold?", "Yes.", "No."} & {text for row in rows for text in (row.prompt, row.a.text, row.b.text)}
    assert done.counts.golds == 2 and done.counts.repeats > 0  # both voters' gold item
    assert done.describe() == [f"left out: 2 on gold items, {done.counts.repeats} hidden repeats, 8 simulated"]
    simulated = exported(database, task, simulated=True)
    assert len(simulated) == 8 and all(row.automatic and row.labeller.startswith("simulated-") for row in simulated)


def test_criteria_are_records_of_their_own_and_one_can_be_chosen(tmp_path: Path):
    database = tmp_path / "votes.db"
    with closing(VoteStore(database)) as store:
        task = make_task(store, criteria=("helpful", "honest"))
        judge_all(store, task, "ana", lambda item: {"helpful": "a", "honest": "b"}, strength={"honest": 2})
    rows = exported(database, task)
    assert [(row.criterion, row.verdict, row.strength) for row in rows] == 3 * [
        ("helpful", "a", None),
        ("honest", "b", 2),
    ]
    assert len({row.id for row in rows}) == 6
    alone = exported(database, task, criterion="honest")
    assert [row.model_copy(update={"labeller": ""}) for row in alone] == [
        row.model_copy(update={"labeller": ""}) for row in rows if row.criterion == "honest"
    ]


def test_a_ranking_is_a_vote_for_each_of_its_pairs(tmp_path: Path):
    """Shown tuned, base and new in some order; tuned is best, the others are tied: 3 pairs, two for tuned and a tie."""
    database = tmp_path / "votes.db"

    def say(item: Assignment) -> str:
        letter = {text.split()[0]: "abc"[n] for n, text in enumerate(item.texts)}
        return f"{letter['tuned']}>{letter['base']}={letter['new']}"

    with closing(VoteStore(database)) as store:
        task = make_task(store, NAMES, prompts=1, form="ranking")
        (item,) = judge_all(store, task, "ana", say)
    rows = exported(database, task)
    assert [(row.a.text, row.b.text) for row in rows] == [
        (item.texts[i], item.texts[j]) for i, j in ((0, 1), (0, 2), (1, 2))
    ]
    won = {frozenset((row.a.contender, row.b.contender)): row for row in rows}
    for other in ("base", "new"):
        row = won[frozenset(("tuned", other))]
        assert row.verdict in ("a", "b") and getattr(row, row.verdict).contender == "tuned"
    assert won[frozenset(("base", "new"))].verdict == "tie" and len({row.id for row in rows}) == 3
    between = exported(database, task, between=("new", "tuned"))
    assert [{row.a.contender, row.b.contender} for row in between] == [{"new", "tuned"}]


def there_and_back(votes: Path, to: str) -> list[PairVote]:
    out = votes.with_name(f"{to}.json")
    export_file(votes, out, to)
    import_file(ImportRequest(out, "votes", to), votes.with_name("back.jsonl"))
    return read_jsonl(votes.with_name("back.jsonl"), PairVote)


@pytest.fixture
def own(tmp_path: Path) -> list[PairVote]:
    """Votes of two people with every verdict, strengths and reasons, as they were exported."""
    verdicts = iter(["a", "b", "tie", "both_bad", "b", "a"] * 2)
    with closing(VoteStore(tmp_path / "votes.db", Clock(START))) as store:
        task = make_task(store, prompts=6)
        for labeller in ("ana", "ben"):
            while (item := store.next_item(task, labeller)) is not None:
                store.vote(item.token, next(verdicts), reading_seconds=1, strength={"overall": 2}, reason="Because.")
    return exported(tmp_path / "votes.db", task)


def people(rows: list[PairVote]) -> list[int]:
    """Who gave each vote: a number in the order of appearance, whatever they are called."""
    names = list(dict.fromkeys(row.labeller for row in rows))
    return [names.index(row.labeller) for row in rows]


def test_one_s_votes_go_to_chatbot_arena_and_back(tmp_path: Path, own: list[PairVote]):
    back = there_and_back(tmp_path / "votes.jsonl", "arena")
    same = ("prompt", "history", "prompt_id", "category", "a", "b", "verdict", "automatic")
    assert [[getattr(row, name) for name in same] for row in back] == [
        [getattr(row, name) for name in same] for row in own
    ]
    assert people(back) == people(own) == [0] * 6 + [1] * 6
    assert {row.created_at for row in back} == {"2027-01-15T08:00:00+00:00"}


def test_one_s_votes_go_to_alpaca_eval_and_back(tmp_path: Path, own: list[PairVote]):
    """It has no turns and no word for two bad answers."""
    back = there_and_back(tmp_path / "votes.jsonl", "alpaca-eval-annotations")
    told = [(row.transcript, row.a, row.b, row.verdict.replace("both_bad", "tie"), row.category, False) for row in own]
    assert [(row.prompt, row.a, row.b, row.verdict, row.category, row.automatic) for row in back] == told
    assert people(back) == people(own)


def test_one_s_votes_go_to_llm_comparator_and_back(tmp_path: Path, own: list[PairVote]):
    """One example a prompt, the answers of one model on one side, its raters in the order of their votes."""

    def told(row: PairVote) -> tuple[Any, ...]:
        better = getattr(row, row.verdict).contender if row.verdict in "ab" else "neither"
        return (
            row.transcript,
            {row.a.contender: row.a.text, row.b.contender: row.b.text},
            better,
            row.reason,
            row.category,
        )

    back = there_and_back(tmp_path / "votes.jsonl", "llm-comparator")
    assert [told(row) for row in back] == [told(row) for row in sorted(own, key=lambda row: row.prompt_id)]
    assert all((row.a.contender, row.b.contender) == ("base", "tuned") for row in back)


def test_simulated_votes_are_models_elsewhere(tmp_path: Path):
    database = tmp_path / "votes.db"
    with closing(VoteStore(database)) as store:
        task = make_task(store)
        judge_all(store, task, "robot", lambda item: "a", simulated=True)
    with pytest.raises(
        DataError, match=f"task {task}: no people's votes to export. --simulated takes those no person gave"
    ):
        exported(database, task)
    exported(database, task, simulated=True)
    for name in ("alpaca-eval-annotations", "arena"):
        assert all(row.automatic for row in there_and_back(tmp_path / "votes.jsonl", name))


def test_the_command_writes_votes_and_says_what_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    database, out = tmp_path / "votes.db", tmp_path / "mine.jsonl"
    with closing(VoteStore(database)) as store:
        task = make_task(store, NAMES, criteria=("helpful", "honest"))
        judge_all(store, task, "ana", lambda item: {"helpful": "a", "honest": "b"})
    told = ("task", "export", task, out, "--votes", database, "--format", "votes")
    assert succeed(capsys, *told).splitlines() == [  # 3 prompts × 3 pairs × 2 criteria
        f"{out}: 18 votes",
        "left out: 0 on gold items, 0 hidden repeats, 0 simulated",
        "on helpful, honest: formats without criteria mix them; --criterion takes one alone",
    ]
    chosen = succeed(capsys, *told, "--criterion", "honest", "--between", "tuned", "base")
    assert chosen.splitlines()[0] == f"{out}: 3 votes" and len(chosen.splitlines()) == 2
    assert {json.loads(line)["criterion"] for line in out.read_text().splitlines()} == {"honest"}
    assert succeed(capsys, "data", "export", out, tmp_path / "c.json", "--to", "llm-comparator").startswith(
        "3 votes read"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--format", "votes", "--criterion", "kind"], r"unknown criterion \(found 'kind'\). Expected one of overall"),
        (
            ["--format", "votes", "--between", "tuned", "x"],
            "expected two contenders of the task .* It compares base, tuned",
        ),
        (["--format", "votes", "--between", "tuned", "tuned"], "expected two contenders of the task"),
        (["--format", "votes"], "no people's votes to export. Judge some items first"),
        (["--format", "votes", "--method", "mace"], "votes are taken as they were given"),
        (["--simulated"], "only --format votes can take some of the votes"),
    ],
)
def test_what_cannot_be_taken_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
):
    database, out = tmp_path / "votes.db", tmp_path / "mine.jsonl"
    with closing(VoteStore(database)) as store:
        task = make_task(store)
    with pytest.raises(SystemExit) as caught:
        main(["task", "export", str(task), str(out), "--votes", str(database), *words])
    said = f"{caught.value.code} {capsys.readouterr().err}"  # our errors are what it exits with, typer's are printed
    assert re.search(message, " ".join(re.sub("[│╭╮╰╯─]", " ", said).split())) and not out.exists()
