"""Drafts of tasks: the file they are, how much they ask of people, and the words for what drops out."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dashboard.services.leak_rows import AROUND, of_plan, of_stored
from dashboard.services.settings import read_settings
from dashboard.services.task_drafts import (
    Draft,
    Workload,
    bundle,
    categories_of,
    check,
    create,
    left_out_rows,
    run_contenders,
    stored_already,
    workload,
    workload_words,
)
from dashboard.services.tasks import changes, judge_address, labeller_rows
from dashboard.services.voting import open_store
from dashboard.services.wording import listed
from rlhf_core.config.files import read_config
from rlhf_core.config.task import TaskConfig
from rlhf_core.data.io import read_jsonl
from rlhf_core.data.records import ContenderCompletion
from rlhf_core.feedback.matching import LeftOut
from rlhf_core.feedback.tasks import TaskDesign, TaskSpec, build_task
from rlhf_core.judging import create_task
from tests.dashboard.conftest import Studio
from tests.unit.feedback.test_forms import GOLD
from tests.vote_factory import INSTRUCTIONS, completion, judge, make_spec, shown


def lines(*rows: Any) -> bytes:
    return "".join(f"{row.model_dump_json()}\n" for row in rows).encode()


def draft(studio: Studio, **more: Any) -> Draft:
    """Base of the run against a file of one's own that answers one prompt otherwise, with a gold item."""
    known = run_contenders(read_settings())
    settings = {
        "name": "trial",
        "contenders": [known["demo · base"], "uploads/1-own.jsonl"],
        "gold": "uploads/gold-g.jsonl",
    }
    settings |= {"instructions": "instructions.md"} | more
    row = completion("p", "own", "mine", "Which?")
    files = {"uploads/1-own.jsonl": lines(row), "uploads/gold-g.jsonl": lines(GOLD), "instructions.md": b"Choose."}
    return Draft(settings, files)


def judged(studio: Studio) -> Draft:
    """The same with an own file that answers every prompt of the run."""
    made = draft(studio)
    base = read_jsonl(made.settings["contenders"][0], ContenderCompletion)
    own = [row.model_copy(update={"contender": "own", "text": f"Well: {row.text}"}) for row in base]
    return Draft(made.settings, dict(made.files) | {"uploads/1-own.jsonl": lines(*own)})


def planned(of: Draft) -> TaskSpec:
    task = check(of).task
    assert task is not None
    return task


def test_the_archive_makes_the_same_task_on_the_command_line(studio: Studio, tmp_path: Path) -> None:
    studio.add_run()
    made = judged(studio)
    number = create(read_settings(), planned(made))
    with zipfile.ZipFile(io.BytesIO(bundle(made))) as archive:
        archive.extractall(tmp_path / "taken")
    config = read_config(TaskConfig, tmp_path / "taken" / "trial.yaml")
    assert create_task(config, studio.votes).id == number  # the fingerprint is of all texts, names and settings
    assert (open_store(studio.votes).task(number).golds, config.gold is not None) == (1, True)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"categories": ["none of these"]}, "categories"),
        ({"prompts": 1000}, "prompts"),
        ({"gold": "uploads/none.jsonl"}, "gold"),
        ({"instructions": "none.md"}, "instructions"),
        ({"contenders": ["uploads/none.jsonl"]}, "contenders"),
        ({"contenders": ["uploads/none.jsonl"], "gold": "uploads/none.jsonl"}, "contenders"),
    ],
)
def test_a_problem_is_said_of_the_setting_without_which_there_would_be_a_task(
    studio: Studio, more: dict[str, Any], field: str
) -> None:
    studio.add_run()
    made = judged(studio)
    assert list(check(Draft(dict(made.settings) | more, made.files)).problems) == [field]


def test_several_settings_can_be_wrong_at_once(studio: Studio) -> None:
    studio.add_run()
    problems = check(draft(studio, name="", criteria=["a", "a"], overlap=0)).problems
    assert problems == {
        "name": "Give a name of letters, digits, dots, dashes and underscores.",
        "criteria": "Criteria need different names, none of them blank.",
        "overlap": "overlap: Input should be greater than or equal to 1 (found 0)",
    }


def test_what_a_task_asks_of_people_follows_from_items_overlap_and_past_votes(studio: Studio) -> None:
    """6 pairs, 2 criteria, overlap 3: 12 comparisons, 18 votes; past votes took 10, 20 and 60 s: 18 × 20 s = 6 min."""
    spec = make_spec(size=6, overlap=3, criteria=("helpful", "honest"))
    work = workload(read_settings(), spec)
    assert work == Workload(6, 6, 12, 18, each=False, seconds=None, past=0)
    assert workload_words(work) == "In all 18 votes are needed. How long that takes shows once there are votes."
    store = open_store(studio.votes)
    task = store.ensure_task(make_spec())
    for seconds in (10, 60, 20):
        store.vote(shown(store, task).token, "a", reading_seconds=seconds)
    words = workload_words(workload(read_settings(), spec))
    assert words == "In all 18 votes are needed, about 6 min of reading (a vote took 20 s, the median of 3 past votes)."


def test_a_ranking_is_all_its_pairs_and_a_gold_item_is_no_extra_work_here(studio: Studio) -> None:
    """2 prompts × 3 contenders ranked: 2 items of 3 pairs; the gold item is not among them."""
    sides = [[completion(f"p{n}", name, f"{name} {n}") for n in range(2)] for name in "abc"]
    spec = build_task("t", sides, INSTRUCTIONS, 0, TaskDesign(form="ranking"), [GOLD])
    assert workload(read_settings(), spec) == Workload(2, 2, 6, 2, each=True, seconds=None, past=0)
    long = Workload(1, 400, 400, 400, each=True, seconds=30.0, past=9)
    assert workload_words(long).startswith("Each labeller gives 400 votes, about 3.3 h of reading")  # 12,000 s


def test_what_drops_out_is_said_in_words() -> None:
    left_out = (
        LeftOut("p1", ("a", "b"), "category"),
        LeftOut("p2", ("a",), "unanswered"),
        LeftOut("p3", ("a", "b", "c"), "alike"),
        LeftOut("p4", ("a", "b"), "not drawn"),
    )
    assert [row["Why"] for row in left_out_rows(left_out)] == [
        "of another category", "answered only by a", "answered alike by a, b and c", "not drawn",
    ]  # fmt: skip
    assert listed(["a", "b"]) == "a and b"


def test_a_task_is_stored_already_whatever_its_instructions(studio: Studio) -> None:
    assert stored_already(read_settings(), make_spec()) is None
    number = create(read_settings(), make_spec())
    found = stored_already(read_settings(), make_spec(instructions="Others."))
    assert found is not None and (found.id, found.instructions) == (number, INSTRUCTIONS)


def test_categories_are_those_of_the_files_that_can_be_read(studio: Studio, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(lines(completion("p", "a", "x")))
    (tmp_path / "b.jsonl").write_text("{")
    assert categories_of((str(file), str(tmp_path / "b.jsonl"), str(tmp_path / "none.jsonl"))) == ["helpful"]


def test_a_leak_stands_among_its_words(studio: Studio) -> None:
    """Line ends become spaces; what is far away is cut."""
    text = f"{'x' * (AROUND + 1)}Hello\nI am SmolLM2, yes{'!' * (2 * AROUND)}"
    spec = build_task("t", [[completion("p", "a", text)], [completion("p", "b", "No.")]], INSTRUCTIONS, 0)
    (row,) = of_plan(spec)
    assert (row.prompt_id, row.contender, row.phrase) == ("p", "a", "SmolLM2")
    assert row.before == f"…{'x' * (AROUND - 11)}Hello I am "  # "Hello\nI am " has 11 letters
    assert row.after == f", yes{'!' * (AROUND - 5)}…"
    store = open_store(studio.votes)
    assert of_stored(store, store.task(store.ensure_task(spec, "draft"))) == [row]


def test_a_leak_is_found_in_each_item_of_its_prompt_that_says_it(studio: Studio) -> None:
    """Items of one prompt, as the playground makes them: two of the three say the name."""
    texts = ("I am SmolLM.", "Nobody.", "Call me SmolLM.")
    told = [completion(f"p{n}", "first", text) for n, text in enumerate(texts)]
    spec = build_task("t", [told, [completion(f"p{n}", "second", f"{n}") for n in range(3)]], INSTRUCTIONS, 0)
    spec = replace(
        spec,
        items=tuple(replace(item, prompt_id="p") for item in spec.items),
        leaks=tuple(replace(leak, prompt_id="p") for leak in spec.leaks),
    )
    store = open_store(studio.votes)
    stored = store.task(store.ensure_task(spec, "draft"))
    for rows in (of_plan(spec), of_stored(store, stored)):
        assert sorted(row.before for row in rows) == ["Call me ", "I am "] and len(stored.leaks) == 2


def test_changes_are_those_lines() -> None:
    assert changes("a\nb\nc", "a\nB\nc") == "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c"
    assert changes("a", "a") == ""


@pytest.mark.parametrize(
    ("seen", "address"),
    [
        ("https://studio.example/tasks", "https://studio.example/judge?task=3"),
        ("https://example/studio/tasks", "https://example/studio/judge?task=3"),
        (None, "http://127.0.0.1:8501/judge?task=3"),
    ],
)
def test_the_address_of_judging_lies_beside_this_pages(seen: str | None, address: str) -> None:
    assert judge_address(seen, 3) == address


def test_simulated_votes_are_counted_where_there_are_some(studio: Studio) -> None:
    store = open_store(studio.votes)
    task = store.ensure_task(make_spec())
    judge(store, task, "a")
    assert "Of these simulated" not in labeller_rows(store.overview(task))
    store.vote(shown(store, task, "rule").token, "a", reading_seconds=1, simulated=True)
    rows = labeller_rows(store.overview(task))
    assert rows[["Labeller", "Items", "Of these simulated"]].values.tolist() == [["ana", 1, 0], ["rule", 1, 1]]
