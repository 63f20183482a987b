"""What each role is shown, and that services refuse what a role may not, whoever asks."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.runtime.context import ContextProxy
from streamlit.testing.v1 import AppTest

from dashboard.services import launching, people, run_drafts, voting
from dashboard.services.access import JUDGE, MANAGE, READ, RIGHTS, Visitor
from dashboard.services.catalogue import RunEntry, list_entries
from dashboard.services.people import find_visitor, open_people
from dashboard.services.settings import Settings, read_settings
from dashboard.services.voting import open_store
from rlhf_core.config import load_config
from rlhf_core.errors import AccessError
from rlhf_core.feedback.schema import ROLES
from tests.dashboard.conftest import Studio, said
from tests.vote_factory import INSTRUCTIONS, make_spec

ROOT = Path(__file__).resolve().parents[2]
SignIn = Callable[[str, str], str]


@pytest.fixture
def sign_in(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> Iterator[SignIn]:
    """A studio in team mode, and a way to look at it as somebody; returns the cookie's secret."""
    monkeypatch.setitem(os.environ, "RLHF_TEAM_URL", "http://127.0.0.1:8501")

    def enter(name: str, role: str) -> str:
        joined = open_people(studio.votes).join(open_people(studio.votes).invite(name, role))
        assert joined
        monkeypatch.setattr(ContextProxy, "cookies", {"rlhf": joined[0]})
        return joined[0]

    yield enter
    open_people(studio.votes).close()
    open_people.cache_clear()


def titles(monkeypatch: pytest.MonkeyPatch, app: Callable[[], AppTest]) -> list[str]:
    """The titles of the pages that the app registers."""
    registered: list[str] = []

    def navigation(pages: list[Any], **_: Any) -> Any:
        registered.extend(page.title for page in pages)
        return pages[0]

    with monkeypatch.context() as patched:
        patched.setattr("dashboard.navigation.st.navigation", navigation)
        app()
    return registered


OWNERS = ("Runs", "Playground", "Tasks")
LOCAL = [
    *("Overview", "Runs", "Training", "Toxicity", "Compare"),
    *("Playground", "Tasks", "Judge", "Results", "Report"),
]
SEES = {
    "owner": [*LOCAL, "People"],
    "reviewer": [title for title in LOCAL if title not in OWNERS],
    "labeller": ["Judge", "Judge"],
}


@pytest.mark.parametrize("role", ROLES)
def test_the_pages_of_each_role(studio: Studio, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch, role: str):
    studio.add_run()
    sign_in("Ana", role)
    assert titles(monkeypatch, studio.open) == SEES[role]


def test_local_mode_has_no_people(studio: Studio, monkeypatch: pytest.MonkeyPatch):
    assert titles(monkeypatch, studio.open) == LOCAL


def test_nobody_sees_nothing(studio: Studio, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch):
    studio.add_run("narwhal")
    monkeypatch.setattr(ContextProxy, "cookies", {"rlhf": "guess"})
    assert titles(monkeypatch, studio.open) == ["By invitation"]
    app = studio.open()
    assert "Open the link you were sent." in said(app) and "narwhal" not in said(app)


def test_local_mode_shows_nothing_to_a_network(studio: Studio, monkeypatch: pytest.MonkeyPatch):
    studio.add_run("narwhal")
    monkeypatch.setattr("dashboard.components.gate.st.get_option", {"server.address": "0.0.0.0"}.get)
    app = studio.open()
    assert "would show them everything" in said(app) and "rlhf dashboard --team" in said(app)
    assert "narwhal" not in said(app)


@pytest.mark.parametrize("host", [None, "", "0.0.0.0", "::", "192.0.2.1"])
def test_only_this_machine_is_local(studio: Studio, host: str | None):
    assert not find_visitor(read_settings(), {}, host).may(JUDGE)
    assert find_visitor(read_settings(), {}, "127.0.0.1").may(READ)


def test_a_labeller_judges_under_their_name_and_chooses_among_open_made_tasks(studio: Studio, sign_in: SignIn):
    studio.add_run("narwhal")
    store = open_store(studio.votes)
    task = store.ensure_task(make_spec())
    store.ensure_task(make_spec(seed=1), "draft")
    sign_in("Ana", "labeller")
    app = studio.open("Judge")
    assert app.sidebar.selectbox(key="judge-task").options == [f"demo ({task})"]
    assert INSTRUCTIONS in said(app) and not app.text_input
    app = app.button(key="judge-start").click().run()
    app = next(button for button in app.button if (button.key or "").startswith("judge-a-")).click().run()
    assert store.votes(task)["labeller"].tolist() == ["Ana"]
    assert "1 of 6 judged" in said(app) and "narwhal" not in said(app)


def test_a_labeller_without_tasks_is_told(studio: Studio, sign_in: SignIn):
    studio.add_run()
    sign_in("Ana", "labeller")
    assert "Nothing to judge yet" in said(studio.open("Judge"))


def test_a_labeller_who_is_done_is_not_sent_to_results(studio: Studio, sign_in: SignIn):
    task = open_store(studio.votes).ensure_task(make_spec(size=1))
    sign_in("Ana", "labeller")
    app = studio.open("Judge").button(key="judge-start").click().run()
    app = next(button for button in app.button if (button.key or "").startswith("judge-a-")).click().run()
    assert "Everything is judged." in said(app) and "Results" not in said(app)
    assert len(open_store(studio.votes).votes(task)) == 1


def test_an_owner_invites_and_revokes(studio: Studio, sign_in: SignIn):
    sign_in("Olga", "owner")
    app = studio.open("People")
    app.text_input(key="people-name").input("Ben")
    app.selectbox(key="people-role").select("reviewer")
    app = next(button for button in app.button if button.label == "Make a link").click().run()
    link = app.code[0].value
    assert link.startswith("http://127.0.0.1:8501/join/") and "shown this once" in said(app)
    joined = open_people(studio.votes).join(link.rpartition("/")[2])
    assert joined and (joined[1].name, joined[1].role) == ("Ben", "reviewer")
    app = app.run()
    assert not app.code
    assert app.selectbox(key="people-revoke").options == ["Ben"]  # not the owner's own
    app = next(button for button in app.button if button.label == "Revoke").click().run()
    assert open_people(studio.votes).session(joined[0]) is None
    assert [event.by for event in open_people(studio.votes).events()][-1] == "Olga"


def test_a_name_that_is_none_is_refused_on_the_page(studio: Studio, sign_in: SignIn):
    sign_in("Olga", "owner")
    app = next(button for button in studio.open("People").button if button.label == "Make a link").click().run()
    assert "not a name" in said(app) and not app.code


REFUSED: dict[str, list[Callable[[Settings], object]]] = {
    MANAGE: [
        people.list_people,
        people.revocable,
        people.record,
        lambda settings: people.invite(settings, "Eve", "owner", 14),
        lambda settings: people.revoke(settings, "Olga"),
        launching.run_rows,
        run_drafts.starts,
        lambda settings: launching.run_row(settings, "demo"),
        lambda settings: launching.start(settings, load_config(ROOT / "configs" / "tiny.yaml")),
        lambda settings: launching.pause(settings, "demo"),
        lambda settings: launching.resume(settings, "demo"),
        lambda settings: run_drafts.open_start(settings, ROOT / "configs" / "tiny.yaml"),
        lambda settings: run_drafts.estimate_run(settings, load_config(ROOT / "configs" / "tiny.yaml")),
    ],
    READ: [
        list_entries,
        lambda settings: voting.human_votes(settings, RunEntry(Path("runs/demo"))),
        lambda settings: voting.task_of_run(settings, RunEntry(Path("runs/demo"))),
    ],
    JUDGE: [voting.made_tasks],
}


@pytest.mark.parametrize("role", RIGHTS)
def test_services_refuse_what_the_role_may_not(studio: Studio, role: str):
    settings = Settings(
        studio.runs, studio.root, studio.votes, studio.root, "http://127.0.0.1:8501", Visitor("E", role)
    )
    for right in set(REFUSED) - RIGHTS[role]:
        for service in REFUSED[right]:
            with pytest.raises(AccessError, match=rf"your role does not allow to {right} here\. Ask the owner"):
                service(settings)


def test_what_roles_may():
    assert [sorted(RIGHTS[role]) for role in ROLES] == [[JUDGE, MANAGE, READ], [JUDGE, READ], [JUDGE]]


def test_in_team_mode_settings_alone_let_nobody_in():
    assert not read_settings({"RLHF_TEAM_URL": "https://rlhf.example"}).visitor.may(JUDGE)


def test_pages_take_their_settings_from_the_gate():
    """Settings read elsewhere know nobody, and would show a page to no one in team mode."""
    found = [*(ROOT / "dashboard" / "views").glob("*.py"), *(ROOT / "dashboard" / "components").glob("*.py")]
    readers = {
        path.name
        for path in found
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and any(alias.name == "read_settings" for alias in node.names)
    }
    assert len(found) > 15 and readers == {"gate.py"}
