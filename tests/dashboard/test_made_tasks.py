"""Tasks that `rlhf task create` made, on the Judge page: several criteria, rankings, reasons, the task in the address."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.components import ballot
from dashboard.services.catalogue import list_entries
from dashboard.services.settings import read_settings
from dashboard.services.voting import open_store, open_task
from rlhf_core.errors import VoteError
from rlhf_core.feedback.records import Assignment
from tests.dashboard.conftest import Studio, said
from tests.unit.feedback.test_forms import three
from tests.vote_factory import make_spec


def start(studio: Studio, spec: Any) -> tuple[AppTest, int]:
    """Open the Judge page on a stored task, chosen in the sidebar, past its instructions."""
    task = open_store(studio.votes).ensure_task(spec)
    app = studio.open("Judge")
    box = app.sidebar.selectbox(key="judge-task")
    app = box.select(next(option for option in box.options if option.endswith(f"({task})"))).run()
    assert app.query_params["task"] == str(task)
    return app.button(key="judge-start").click().run(), task


def press(app: AppTest, name: str) -> AppTest:
    return next(button for button in app.button if (button.key or "").startswith(f"judge-{name}-")).click().run()


def test_every_criterion_is_asked_for_and_the_last_makes_the_vote(studio: Studio) -> None:
    app, task = start(studio, make_spec(criteria=("helpful", "harmless")))
    assert "Which is better: **helpful**? (1 of 2)" in said(app)
    app = press(app, "a")
    assert "Which is better: **harmless**? (2 of 2)" in said(app)
    assert open_store(studio.votes).votes(task).empty
    app = press(app, "undo")
    assert "Which is better: **helpful**? (1 of 2)" in said(app)
    app = press(press(app, "b"), "tie")
    log = open_store(studio.votes).log(task)
    assert dict(zip(log["criterion"], log["verdict"], strict=True)) == {"helpful": "b", "harmless": "tie"}
    assert "1 of 6 judged" in said(app) and "**helpful**? (1 of 2)" in said(app)


def test_a_ranking_is_built_best_first(studio: Studio) -> None:
    app, task = start(studio, three(form="ranking"))
    for name in ("place-c", "equal", "place-a"):
        app = press(app, name)
    assert "**C = A**" in said(app) and open_store(studio.votes).votes(task).empty
    app = press(press(app, "back"), "place-a")
    app = press(app, "place-b")
    app = press(app, "rank")
    assert open_store(studio.votes).log(task)["verdict"].tolist() == ["c=a>b"]
    assert "Choose the best first." in said(app) and "1 of 2 judged" in said(app)


def test_a_reason_and_a_strength_go_with_the_verdict(studio: Studio) -> None:
    app, task = start(studio, make_spec())
    next(field for field in app.text_input if field.label == "Reason").input(" it is true ")
    next(c for c in app.get("button_group") if c.label == "Better by how much").select(3)
    press(app, "a")
    (vote,) = open_store(studio.votes).votes(task).to_dict("records")
    assert (vote["reason"], vote["strength"]) == ("it is true", 3)


@pytest.mark.parametrize("spec", [make_spec(criteria=("kind", "true")), three(form="ranking")])
def test_nothing_the_page_sends_names_who_wrote_what(studio: Studio, spec: Any) -> None:
    app, _ = start(studio, spec)
    sent = [repr(element.proto) for kind in ("button", "markdown", "caption", "selectbox") for element in app.get(kind)]
    assert len(sent) > 8
    assert not re.findall(r"\b(base|tuned|sft|baseline|contender|gold|repeat)\b", "\n".join(sent), re.IGNORECASE)


def test_closed_tasks_and_drafts_are_not_offered(studio: Studio) -> None:
    studio.add_run()
    store = open_store(studio.votes)
    for n, state in enumerate(("draft", "paused", "closed")):
        store.ensure_task(make_spec(seed=n), state)
    assert not any(box.key == "judge-task" for box in studio.open("Judge").sidebar.selectbox)


def test_the_address_that_an_owner_sends_chooses_the_task_a_runs_own_too(studio: Studio) -> None:
    studio.add_run()
    settings = read_settings()
    own = open_task(settings, list_entries(settings)[0])
    made = open_store(studio.votes).ensure_task(make_spec())
    for task in (own, made):
        app = studio.open("Judge", task=str(task)).button(key="judge-start").click().run()
        assert app.session_state["judge-open"] == task and not app.exception


@pytest.mark.parametrize("state", ["draft", "paused", "closed", "none"])
def test_an_address_of_what_is_not_open_shows_nothing_else_instead(studio: Studio, state: str) -> None:
    """Whoever was sent to one task must not find themselves judging another."""
    studio.add_run()
    if state != "none":
        open_store(studio.votes).ensure_task(make_spec(), state)
    app = studio.open("Judge", task="1")
    assert "This task is not open now" in said(app) and not app.button


@pytest.mark.parametrize("form", ["pairwise", "ranking"])
def test_a_press_that_arrives_after_the_verdict_changes_nothing(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """A press queued while the next item is on its way runs once more on the item that has its verdict."""
    monkeypatch.setattr(ballot, "st", SimpleNamespace(session_state={}))
    item = Assignment("token", 1, form, ("overall",), "Why?", "", ("old", "new"), 1, 1)
    given: list[tuple[str, Any]] = []
    store: Any = SimpleNamespace(vote=lambda token, verdict, **_: given.append((token, dict(verdict))))
    for _ in range(2):
        if form == "ranking":
            ballot._place("token", "b")
            ballot._place("token", "a")
            ballot._rank(store, item)
        else:
            ballot._say(store, item, "a")
    assert given == [("token", {"overall": "b>a" if form == "ranking" else "a"})]


def test_a_refused_verdict_can_be_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ballot, "st", SimpleNamespace(session_state={}))
    item = Assignment("token", 1, "pairwise", ("overall",), "Why?", "", ("old", "new"), 1, 1)
    answers = iter([VoteError("the vote store is busy; nothing was recorded"), None])
    given: list[dict[str, str]] = []

    def vote(token: str, verdict: dict[str, str], **_: object) -> None:
        given.append(dict(verdict))
        if (refusal := next(answers)) is not None:
            raise refusal

    for verdict in ("a", "b"):
        ballot._say(SimpleNamespace(vote=vote), item, verdict)  # pyright: ignore[reportArgumentType]
    assert given == [{"overall": "a"}, {"overall": "b"}]
    assert ballot.st.session_state["judge-message"] == "the vote store is busy; nothing was recorded"
