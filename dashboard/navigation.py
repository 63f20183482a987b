"""The pages of the app, in order, as far as the visitor's role goes: what is not registered has no address."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.components.gate import current_visitor, sign_of_the_visitor
from dashboard.components.links import remember_pages
from dashboard.components.look import dress_chips
from dashboard.services.access import JUDGE, MANAGE, READ, Visitor
from dashboard.views import (
    compare,
    judge,
    overview,
    people,
    playground,
    report,
    results,
    runs,
    stranger,
    tasks,
    toxicity,
    training,
)

VIEWS = (
    (overview, "Overview", ":material/dashboard:", READ),
    (runs, "Runs", ":material/rocket_launch:", MANAGE),
    (training, "Training", ":material/show_chart:", READ),
    (toxicity, "Toxicity", ":material/shield:", READ),
    (compare, "Compare", ":material/difference:", READ),
    (playground, "Playground", ":material/forum:", MANAGE),
    (tasks, "Tasks", ":material/assignment:", MANAGE),
    (judge, "Judge", ":material/balance:", JUDGE),
    (results, "Results", ":material/how_to_vote:", READ),
    (report, "Report", ":material/description:", READ),
    (people, "People", ":material/group:", MANAGE),
)


def choose_page(first: str = "Overview") -> Any:
    """Show the navigation and return the page the user is on; `first` is the one at the bare address."""
    visitor = current_visitor()
    sign_of_the_visitor(visitor)
    dress_chips()
    if not visitor.may(READ):
        return st.navigation(_pages_of_a_labeller() if visitor.may(JUDGE) else [_stranger()], position="hidden")
    pages = [
        st.Page(view.show, title=title, icon=icon, url_path=title.lower(), default=title == first)
        for view, title, icon in _views(visitor)
    ]
    remember_pages(pages)
    return st.navigation(pages)


def _views(visitor: Visitor) -> list[tuple[Any, str, str]]:
    """The pages that a role may see; in local mode there is nobody to manage."""
    return [
        (view, title, icon)
        for view, title, icon, right in VIEWS
        if visitor.may(right) and (visitor.name or view is not people)
    ]


def _pages_of_a_labeller() -> list[Any]:
    """The Judge page and nothing else, at the bare address and at the one that others send."""
    home = st.Page(judge.show, title="Judge", icon=":material/balance:", default=True)
    return [home, st.Page(judge.show, title="Judge", icon=":material/balance:", url_path="judge")]


def _stranger() -> Any:
    return st.Page(stranger.show, title="By invitation", default=True)
