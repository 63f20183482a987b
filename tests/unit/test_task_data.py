"""From completions to a task and from votes to training data: what is left out, what each row says of its origin."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rlhf_core.config.files import read_config
from rlhf_core.config.task import TaskConfig
from rlhf_core.data.check import check_files
from rlhf_core.data.datasets import read_rankings
from rlhf_core.data.io import read_jsonl, write_jsonl
from rlhf_core.data.records import Completion, GivenAnswer, Message, Preference, Prompt, Ranking
from rlhf_core.errors import ConfigError, DataError
from rlhf_core.feedback.store import VoteStore
from rlhf_core.judging import create_task, export_task, plan_task, read_contenders
from tests.vote_factory import completion

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("base", "new", "tuned")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with the completions of three contenders to four prompts."""
    for name in NAMES:
        rows = [completion(f"p{n}", name, f"{name} {n}") for n in range(4)]
        write_jsonl(tmp_path / "run" / "completions" / f"{name}.jsonl", rows)
    (tmp_path / "guide.md").write_text("Prefer what is true.", encoding="utf-8")
    return tmp_path / "run"


def config(run: Path, *names: str, **fields: Any) -> TaskConfig:
    contenders = [run / "completions" / f"{name}.jsonl" for name in names] or [run]
    return TaskConfig(name="trial", contenders=tuple(contenders), instructions=run.parent / "guide.md", **fields)


def vote(store: VoteStore, task: int, labeller: str, order: dict[str, str]) -> None:
    """Judge everything: `order` says for each prompt which contenders come first, "tuned>base=new", or "tie"."""
    while item := store.next_item(task, labeller):
        letter = {text.split()[0]: "abcdefghi"[n] for n, text in enumerate(item.texts)}
        said = order[item.prompt[9:-1]]
        if said != "tie":
            groups = [[letter[name] for name in group.split("=") if name in letter] for group in said.split(">")]
            said = ">".join("=".join(group) for group in groups if group)
            said = said[0] if item.form == "pairwise" else said
        store.vote(item.token, said, reading_seconds=1)


def test_the_ready_configuration_is_a_task():
    ready = read_config(TaskConfig, ROOT / "configs" / "judging.yaml", ["overlap=3"])
    assert (ready.overlap, ready.repeat_every, ready.form) == (3, 10, "pairwise")
    assert ready.instructions.is_file() and ready.contenders[0].name == "quickstart"
    with pytest.raises(ConfigError, match=r"overlap.*greater than or equal to 1"):
        read_config(TaskConfig, ROOT / "configs" / "judging.yaml", ["overlap=0"])
    with pytest.raises(ConfigError, match="criteria need different names"):
        read_config(TaskConfig, ROOT / "configs" / "judging.yaml", ["criteria=[a, a]"])


def test_a_task_is_made_of_a_run_or_of_files(run: Path, tmp_path: Path):
    whole = create_task(config(run), tmp_path / "votes.db")
    assert (whole.contenders, whole.items, whole.state) == (NAMES, 12, "open")  # 4 prompts × 3 pairs
    pair = create_task(config(run, "base", "tuned", overlap=2), tmp_path / "votes.db")
    assert (pair.contenders, pair.items, pair.places) == (("base", "tuned"), 4, 8)
    assert create_task(config(run, "base", "tuned", overlap=2), tmp_path / "votes.db").id == pair.id


def test_a_task_file_chooses_categories_and_draws_prompts(run: Path, tmp_path: Path):
    for name in NAMES:
        rows = [completion(f"p{n}", name, f"{name} {n}").model_copy(update={"category": "ab"[n % 2]}) for n in range(4)]
        write_jsonl(run / "completions" / f"{name}.jsonl", rows)
    spec = plan_task(config(run, "base", "tuned", categories=("b",)))
    assert [item.prompt_id for item in spec.items] == ["p1", "p3"]
    drawn = plan_task(config(run, categories=("b",), prompts=1))
    assert len(drawn.items) == 3 and not (tmp_path / "votes.db").exists()  # one prompt × 3 pairs; nothing is stored
    for fields in ({"categories": ()}, {"prompts": 0}):
        with pytest.raises(ValueError, match=next(iter(fields))):
            config(run, **fields)


def test_contenders_that_runs_share_are_called_by_run_and_name(run: Path, tmp_path: Path):
    rows = [completion(f"p{n}", "tuned", f"better {n}") for n in range(4)]
    write_jsonl(tmp_path / "second" / "completions" / "tuned.jsonl", rows)
    write_jsonl(tmp_path / "mine.jsonl", [row.model_copy(update={"text": "own", "contender": "mine"}) for row in rows])
    files = [run / "completions" / "tuned.jsonl", tmp_path / "second", tmp_path / "mine.jsonl"]
    assert [rows[0].contender for rows in read_contenders(files)] == ["run/tuned", "second/tuned", "mine"]
    write_jsonl(tmp_path / "mine.jsonl", rows)  # called tuned too, but it is no run's: its name stands
    assert [rows[0].contender for rows in read_contenders(files)] == ["run/tuned", "second/tuned", "tuned"]
    with pytest.raises(DataError, match=r"a contender cannot be compared with itself.*run/tuned"):
        plan_task(config(run).model_copy(update={"contenders": (files[0], files[0])}))


def test_a_task_that_gives_authors_away_waits_for_its_owner(run: Path, tmp_path: Path):
    rows = [completion("p0", "tuned", "I am SmolLM."), completion("p1", "tuned", "Yes.")]
    write_jsonl(run / "completions" / "tuned.jsonl", rows)
    info = create_task(config(run, "base", "tuned"), tmp_path / "votes.db")
    assert info.state == "draft"
    assert info.leaks == ({"prompt_id": "p0", "contender": "tuned", "phrase": "SmolLM"},)


def test_what_makes_no_task_is_refused(run: Path, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no completions .*empty.*Name completions files, or a run"):
        empty = config(run).model_copy(update={"contenders": (tmp_path / "empty",)})
        create_task(empty, tmp_path / "votes.db")
    with pytest.raises(DataError, match=r"no\.md: the instructions cannot be read: .*No such file.*Markdown file"):
        instructions = {"instructions": tmp_path / "no.md"}
        create_task(config(run).model_copy(update=instructions), tmp_path / "votes.db")


def test_a_consensus_of_pairs_carries_its_weight_and_origin(run: Path, tmp_path: Path):
    """p0: 2 of 3 for tuned, weight ⅔; p1: 3 of 3 for base; p2: tie; p3: one each and a tie, split: no order."""
    database, out = tmp_path / "votes.db", tmp_path / "out.jsonl"
    task = create_task(config(run, "base", "tuned"), database).id
    with closing(VoteStore(database)) as store:
        vote(store, task, "ana", {"p0": "tuned", "p1": "base", "p2": "tie", "p3": "tuned"})
        vote(store, task, "ben", {"p0": "tuned", "p1": "base", "p2": "tie", "p3": "base"})
        vote(store, task, "cy", {"p0": "base", "p1": "base", "p2": "tie", "p3": "tie"})
        shown = store.next_item(task, "robot")
        assert shown is not None
        store.vote(shown.token, "a", reading_seconds=0, simulated=True)  # never among people's
        version = store.task(task).instruction_version
    done = export_task(database, task, "rankings", out)
    assert (done.rows, done.undecided, done.without_votes) == (2, 2, 0)
    rows = {row.prompt_id: row for row in read_jsonl(out, Ranking)}
    assert rows["p0"].ranking == [["tuned"], ["base"]] and rows["p1"].ranking == [["base"], ["tuned"]]
    assert rows["p0"].weight == pytest.approx(2 / 3) and rows["p1"].weight == 1
    origin = rows["p0"].provenance
    assert origin is not None
    assert (origin.task, origin.criterion, origin.votes, origin.method) == (task, "overall", 3, "majority")
    assert origin.agreement == pytest.approx(2 / 3) and origin.instruction_versions == [version]
    assert export_task(database, task, "preferences", out).rows == 2
    (first, *_) = sorted(read_jsonl(out, Preference), key=lambda row: row.prompt_id)
    assert (first.chosen, first.rejected) == ("tuned 0", "base 0") and first.weight == pytest.approx(2 / 3)
    assert [row.pairs() for row in read_rankings(out)] == [[("tuned 0", "base 0")], [("base 1", "tuned 1")]]


def test_a_consensus_of_rankings_orders_by_what_each_beats(run: Path, tmp_path: Path):
    """Two say tuned > new > base, one base > tuned > new: tuned beats both, new beats base by 2 of 3."""
    database, out = tmp_path / "votes.db", tmp_path / "out.jsonl"
    task = create_task(config(run, form="ranking"), database).id
    with closing(VoteStore(database)) as store:
        for labeller, said in (("ana", "tuned>new>base"), ("ben", "tuned>new>base"), ("cy", "base>tuned>new")):
            vote(store, task, labeller, {f"p{n}": said for n in range(4)})
    assert export_task(database, task, "rankings", out).rows == 4
    row = read_jsonl(out, Ranking)[0]
    assert row.ranking == [["tuned"], ["new"], ["base"]]
    assert row.weight == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)  # base–new, base–tuned, new–tuned
    assert export_task(database, task, "preferences", out).rows == 12


def test_a_conversation_is_exported_turn_by_turn_and_known_again_among_held_out_prompts(run: Path, tmp_path: Path):
    """The two that go on one talk have its opening in common, by which training data are split."""
    talk = [Message(role="user", content="Hello!"), Message(role="assistant", content="Hello.\n\nUser: no turn")]
    asked = [Prompt(id=f"p{n}", prompt=f"Question {n}?", history=talk if n < 2 else []) for n in range(4)]
    for name in ("base", "tuned"):
        rows = [GivenAnswer(text=f"{name} {prompt.id}", prompt_id=prompt.id).of(prompt, name) for prompt in asked]
        write_jsonl(run / "completions" / f"{name}.jsonl", rows)
    database, out = tmp_path / "votes.db", tmp_path / "out.jsonl"
    texts = [Completion(id="good", text="Yes."), Completion(id="bad", text="No.")]
    write_jsonl(
        tmp_path / "gold.jsonl",
        [Ranking(id="g", prompt="G?", history=talk, completions=texts, ranking=[["good"], ["bad"]])],
    )
    task = create_task(config(run, "base", "tuned", gold=tmp_path / "gold.jsonl"), database).id
    with closing(VoteStore(database)) as store:
        while item := store.next_item(task, "ana"):
            store.vote(item.token, "ab"[item.texts[0].startswith("base")], reading_seconds=1)
        shown = {item["prompt_id"]: (item["prompt"], len(item["history"])) for item in store.texts(task).values()}
    start = "User: Hello!\n\nAssistant: Hello.\n\nUser: no turn\n\nUser: "
    assert (shown["p0"], shown["p2"], shown["g"]) == ((f"{start}Question 0?", 2), ("Question 2?", 0), (f"{start}G?", 2))
    for form, record in (("rankings", Ranking), ("preferences", Preference)):
        export_task(database, task, form, out)
        found = {row.prompt_id: row for row in read_jsonl(out, record)}
        assert {name: (row.prompt, row.history) for name, row in found.items()} == {
            prompt.id: (prompt.prompt, prompt.history) for prompt in asked
        }
        assert found["p0"].opening == found["p1"].opening == "Hello!"
        write_jsonl(tmp_path / "prompts.jsonl", [asked[0].model_copy(update={"split": "eval"})])
        with pytest.raises(DataError, match=r"1 held-out prompts are also training prompts"):
            check_files([tmp_path / "prompts.jsonl", out])


def test_what_cannot_be_exported_is_refused(run: Path, tmp_path: Path):
    task = create_task(config(run), tmp_path / "votes.db").id
    for arguments, message in (
        (("table", tmp_path / "x"), r"unknown format .found 'table'.*rankings or preferences"),
        (("rankings", tmp_path / "x", "majority", "honest"), r"unknown criterion .found 'honest'.*overall"),
        (("rankings", tmp_path / "x"), f"task {task}: no votes of people to export. Judge some items first"),
    ):
        with pytest.raises(DataError, match=message):
            export_task(tmp_path / "votes.db", task, *arguments)
    assert not (tmp_path / "x").exists()
