"""The Tasks page through the whole life of a task, and what it says to input that makes none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.services.voting import open_store
from rlhf_core.data.io import read_jsonl, write_jsonl
from rlhf_core.data.records import ContenderCompletion, Ranking
from rlhf_core.feedback.records import TaskInfo
from tests.dashboard.conftest import INSTRUCTIONS, Studio, said
from tests.unit.feedback.test_forms import GOLD
from tests.vote_factory import completion, judge, make_spec

KINDS = ("multiselect", "file_uploader", "text_area", "text_input", "number_input", "button_group")
Upload = tuple[str, bytes, str]


def upload(name: str, rows: list[Any] | str) -> Upload:
    """A JSONL file from the person's machine."""
    text = rows if isinstance(rows, str) else "".join(f"{row.model_dump_json()}\n" for row in rows)
    return f"{name}.jsonl", text.encode(), "application/jsonl"


def answers(name: str, *prompts: str, text: str = "{name} to {prompt}") -> Upload:
    return upload(name, [completion(prompt, name, text.format(name=name, prompt=prompt)) for prompt in prompts])


def new(studio: Studio, *contenders: str) -> AppTest:
    """Open the form, with a name and contenders of the run."""
    app = studio.open("Tasks").button(key="tasks-new").click().run()
    assert app.query_params["task"] == "new"
    app.text_input(key="task-form-name").set_value("trial")
    return app.multiselect(key="task-form-contenders").set_value([f"demo · {name}" for name in contenders]).run()


def check(app: AppTest) -> AppTest:
    return app.button(key="task-form-check").click().run()


def press(app: AppTest, key: str) -> AppTest:
    return app.button(key=key).click().run()


def stored(studio: Studio) -> list[TaskInfo]:
    return open_store(studio.votes).tasks() if Path(studio.votes).exists() else []


def test_a_task_from_the_form_to_its_export(studio: Studio) -> None:
    """Two of three contenders, one of them giving itself away twice; ana judges 3 of 12 pairs."""
    run = studio.add_run()
    file = run / "completions" / "tuned.jsonl"
    rows = read_jsonl(file, ContenderCompletion)
    leaky = [row.model_copy(update={"text": f"I am SmolLM. {row.text}"}) for row in rows[:2]]
    write_jsonl(file, [*leaky, *rows[2:]])
    app = check(new(studio, "base", "tuned"))
    assert [metric.value for metric in app.metric] == ["12", "12", "12", "12"] and not stored(studio)
    assert "I am :orange-background[**SmolLM**]" in said(app) and "stays a draft" in said(app)

    app = press(app, "task-form-create")
    assert app.query_params["task"] == "1" and app.title[0].value == "trial"
    assert "Task 1 is a draft." in said(app) and "2 places in the answers name their author" in said(app)
    assert "/judge?task=1" not in said(app) and stored(studio)[0].state == "draft"

    app = press(app, "tasks-set-open")
    assert "Task 1 is open." in said(app) and "/judge?task=1" in said(app)
    store = open_store(studio.votes)
    for _ in range(3):
        judge(store, 1, "a")
    app = press(app, "tasks-set-paused")
    assert "Task 1 is paused." in said(app)
    assert app.dataframe[0].value.loc[0, ["Labeller", "Items"]].tolist() == ["ana", 3]
    assert app.dataframe[1].value.to_numpy().tolist() == [[0, 9], [1, 3]]

    app.text_area(key="task-guide-1-1").set_value(f"{INSTRUCTIONS}Look twice.\n").run()
    app = press(app, "task-guide-store")
    assert "+Look twice." in said(app) and [one.votes for one in store.versions(1)] == [3, 0]
    assert store.task(1).instructions.endswith("Look twice.\n")

    app = press(app, "tasks-set-closed")
    assert "Task 1 is closed." in said(app) and store.task(1).votes == 3
    app = app.toggle(key="task-export-open").set_value(True).run()
    assert "3 rankings: name the file as `data.rankings`." in said(app)
    assert "Left out: 0 items on which votes give no order, 9 without votes" in said(app)
    assert [button.label for button in app.get("download_button")] == ["Download rankings"]
    app = app.selectbox(key="task-export-method").set_value("dawid_skene").run()
    assert "3 rankings" in said(app) and not app.exception and not app.error


def wrong_inputs() -> dict[str, tuple[dict[str, Any], str]]:
    """What is set in the form, beside the contenders base and tuned of the run, and what it says."""
    ten = [answers(f"m{n}", "p1") for n in range(10)]
    strangers = [answers("one", "p1"), answers("two", "p2")]
    unranked = Ranking.model_validate(GOLD.model_dump() | {"ranking": [["bad", "best", "good"]]})
    return {
        "one contender": ({"contenders": ["demo · base"]}, "expected 2 to 9 contenders (found ['base'])"),
        "none": ({"contenders": []}, "Choose the contenders that are compared: two or more."),
        "strangers": ({"contenders": [], "contenders-files": strangers}, "nothing to judge: 0 prompts in common"),
        "ten": (
            {"contenders": [], "contenders-files": ten, "form": "ranking"},
            "expected 2 to 9 contenders (found ['m0', 'm1',",
        ),
        "unreadable": (
            {"contenders-files": [("x.jsonl", b"\xff\xfe{", "")]},
            "uploads/1-x.jsonl:1: byte 1 is not UTF-8",
        ),
        "no row": (
            {"contenders-files": [upload("x", '{"prompt": 3}\n')]},
            "uploads/1-x.jsonl:1: prompt_id: Field required",
        ),
        "no file": ({"paths": "/nowhere.jsonl"}, "/nowhere.jsonl: no such file"),
        "no criteria": ({"criteria": []}, "Choose at least one criterion."),
        "gold": ({"gold-files": upload("g", "{}\n")}, "uploads/gold-g.jsonl:1: id: Field required"),
        "gold without order": (
            {"gold-files": upload("g", [unranked])},
            "a gold item must say what is better than what",
        ),
        "too many prompts": ({"prompts": 13}, "fewer prompts than are to be drawn (found 13). 12 can be judged"),
        "no name": ({"name": "a b"}, "Give a name of letters, digits, dots, dashes and underscores."),
        "no instructions": ({"instructions": " "}, "the task has no instructions. Say what labellers should prefer"),
    }


@pytest.mark.parametrize("case", wrong_inputs())
def test_what_makes_no_task_is_said_at_its_field_and_nothing_is_stored(studio: Studio, case: str) -> None:
    studio.add_run()
    values, message = wrong_inputs()[case]
    app = new(studio, "base", "tuned")
    for name, value in values.items():
        widget = next(w for kind in KINDS for w in app.get(kind) if w.key == f"task-form-{name}")
        widget.set_value(value)
    app = check(app.run())
    assert message in said(app) and "This is not a task yet" in said(app) and "/tmp" not in said(app)
    assert not any(button.key == "task-form-create" for button in app.button)
    assert stored(studio) == [] and not app.exception


def test_a_checked_task_that_changes_is_checked_again_before_it_can_be_stored(studio: Studio) -> None:
    studio.add_run()
    app = check(new(studio, "base", "tuned"))
    app = app.number_input(key="task-form-overlap").set_value(2).run()
    assert "Something has changed since the check" in app.info[0].value
    assert not any(button.key == "task-form-create" for button in app.button)
    app = press(check(app), "task-form-create")
    assert stored(studio)[0].overlap == 2 and stored(studio)[0].state == "open"


def test_the_form_offers_what_is_there_and_says_what_drops_out(studio: Studio) -> None:
    """Of 12 prompts those of one category are judged; an own criterion and a file of one's own join."""
    studio.add_run()
    app = new(studio, "base", "tuned")
    categories = app.multiselect(key="task-form-categories").options
    assert len(categories) > 1
    app.multiselect(key="task-form-categories").set_value(categories[:1])
    app.multiselect(key="task-form-criteria").set_value(["helpful", "witty"])
    app.number_input(key="task-form-overlap").set_value(3)
    app = check(app.run())
    prompts, items, comparisons, votes = [int(metric.value) for metric in app.metric]
    assert items == prompts and comparisons == 2 * items and votes == 3 * items and 0 < prompts < 12
    reasons = next(frame.value for frame in app.dataframe if "Why" in frame.value)
    assert set(reasons["Why"]) == {"of another category"} and len(reasons) == 12 - prompts
    app = press(app, "task-form-create")
    assert stored(studio)[0].criteria == ("helpful", "witty")


def test_the_same_task_again_leads_to_the_one_that_is_stored(studio: Studio) -> None:
    studio.add_run()
    press(check(new(studio, "base", "tuned")), "task-form-create")
    app = check(new(studio, "base", "tuned"))
    assert "This task is stored already: number 1, open." in app.info[0].value
    assert press(app, "task-form-same").query_params["task"] == "1"


def test_the_form_is_empty_again_after_a_task_was_made(studio: Studio) -> None:
    studio.add_run()
    app = press(check(new(studio, "base", "tuned")), "task-form-create")
    app = press(press(app, "tasks-back"), "tasks-new")
    assert app.text_input(key="task-form-name").value == "" and app.multiselect(key="task-form-contenders").value == []
    assert "Nothing is stored yet." in said(app)


def test_the_list_tells_a_runs_own_pairs_from_tasks_of_its_name(studio: Studio) -> None:
    studio.add_run()
    press(studio.open("Judge"), "judge-start")  # stores the run's own task
    store = open_store(studio.votes)
    store.ensure_task(make_spec())  # called demo, as the run is
    store.ensure_task(make_spec(overlap=2), "closed")
    app = studio.open("Tasks")
    assert "2 tasks of 3 open; 0 votes so far." in said(app)
    captions = [caption.value.replace("\\", "") for caption in app.caption]
    assert captions == [
        "pairs of base and tuned · overall · 6 items · overlap 2",
        "pairs of base and tuned · overall · 6 items · everybody judges everything",
        "Own pairs of demo · pairs of base and tuned · overall · 12 items · everybody judges everything",
    ]
    app = press(app, "task-open-1")
    assert "judged by the file" in said(app) and not any(area.key == "task-guide-1-1" for area in app.text_area)


def test_votes_on_a_task_of_a_runs_name_do_not_count_for_the_run(studio: Studio) -> None:
    studio.add_run()
    store = open_store(studio.votes)
    made = store.ensure_task(make_spec())
    judge(store, made, "a")
    assert "Nobody has judged this run yet." in said(studio.open("Results"))
    assert any(
        option.endswith(f"({made})") for option in studio.open("Judge").sidebar.selectbox(key="judge-task").options
    )


def test_looking_at_a_run_stores_nothing(studio: Studio) -> None:
    studio.add_run()
    for page in ("Overview", "Results", "Report", "Tasks"):
        studio.open(page)
    assert stored(studio) == []


@pytest.mark.parametrize("asked", ["7", "x", "99999999999999999999"])
def test_a_task_that_is_not_there_is_said_with_the_way_back(studio: Studio, asked: str) -> None:
    open_store(studio.votes)
    app = studio.open("Tasks", task=asked)
    assert "no such task" in said(app) and "Choose one of the tasks listed" in said(app)
    assert "No tasks yet" in said(press(app, "tasks-back"))


def test_an_export_of_nothing_says_what_is_missing(studio: Studio) -> None:
    open_store(studio.votes).ensure_task(make_spec())
    app = press(studio.open("Tasks"), "task-open-1")
    app = app.toggle(key="task-export-open").set_value(True).run()
    assert "no votes of people to export. Judge some items first" in said(app)
    assert "Nobody has judged yet" in app.get("progress")[0].proto.text


def test_a_refused_action_is_told_and_the_page_goes_on(studio: Studio) -> None:
    open_store(studio.votes).ensure_task(make_spec())
    app = press(studio.open("Tasks"), "task-open-1")
    app.text_area(key="task-guide-1-1").set_value(" ").run()
    app = press(app, "task-guide-store")
    assert "the task has no instructions" in said(app) and not app.exception
    assert len(open_store(studio.votes).versions(1)) == 1
