"""The Judge page for everybody: WCAG 2.1 A and AA by axe-core, the keyboard alone, and what a screen reader is given.

No person with a screen reader has tried the page; these tests read the accessibility tree that one would read from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import assert_accessible
from tests.browser.conftest import Dashboard, judged_so_far, served, start_judging
from tests.browser.settling import press, settle
from tests.unit.feedback.test_forms import three
from tests.vote_factory import make_spec

pytestmark = pytest.mark.browser
FOCUSED = """() => { const e = document.activeElement, s = getComputedStyle(e); return {
    name: (e.getAttribute('aria-label') || e.innerText || '').replace(/\\s+/g, ' ').trim(),
    panel: /st-key-judge-panel/.test(e.className) ? e.className : '',
    seen: e.matches(':focus-visible') && (s.outlineStyle !== 'none' || s.boxShadow !== 'none') } }"""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard without runs, for tasks of a test's own."""
    with served(tmp_path_factory.mktemp("access")) as dashboard:
        dashboard.start()
        yield dashboard


def pairs(studio: Dashboard, seed: int, *, long: bool = False, **design: object) -> int:
    """A task of two pairs, one answer of each far too long for its panel where wanted."""
    spec = make_spec(2, seed, **design)
    if long:
        texts = tuple(
            replace(item, completions=(("base", "old " * 3000), *item.completions[1:])) for item in spec.items
        )
        spec = replace(spec, items=texts)
    with closing(studio.votes) as store:
        return store.ensure_task(spec)


def ranking(studio: Dashboard, seed: int) -> int:
    with closing(studio.votes) as store:
        return store.ensure_task(replace(three(form="ranking"), seed=seed))


def test_every_screen_of_judging_a_pair_is_accessible(page: Page, studio: Dashboard) -> None:
    task = pairs(studio, 1, long=True)
    page.goto(f"{studio.address}/judge?task={task}")
    page.get_by_role("button", name="Start judging").wait_for()
    assert_accessible(page, "instructions")
    press(page, "Enter")
    judged_so_far(page, 0, 2).wait_for()
    assert_accessible(page, "a pair")
    page.get_by_role("button", name="Say why").click()
    page.get_by_role("radio", name="clearly").click()
    settle(page)
    assert_accessible(page, "reason and strength")
    page.keyboard.press("Escape")
    press(page, "u")
    page.get_by_test_id("stAlert").get_by_text("There is no vote to undo.").wait_for()
    assert_accessible(page, "an error")


def test_every_screen_of_several_criteria_and_rankings_is_accessible(page: Page, studio: Dashboard) -> None:
    start_judging(page, studio.address, pairs(studio, 2, criteria=("helpful", "harmless")))
    press(page, "1")
    page.get_by_text("2 of 2)").wait_for()
    assert_accessible(page, "the second criterion")
    press(page, *"211")
    page.get_by_text("Everything is judged.", exact=True).wait_for()
    assert_accessible(page, "done")
    start_judging(page, studio.address, ranking(studio, 2))
    press(page, "3")
    page.get_by_text("C", exact=True).first.wait_for()
    assert_accessible(page, "a ranking, begun")


def test_the_keyboard_alone_judges_pairs(page: Page, studio: Dashboard) -> None:
    """From the first Tab to the last vote, without shortcuts: what is used shows that it has the focus."""
    task = pairs(studio, 3, long=True, criteria=("helpful", "harmless"))
    page.goto(f"{studio.address}/judge?task={task}")
    page.get_by_role("button", name="Start judging").wait_for()
    settle(page)
    tab_to(page, "Start judging Enter")
    press(page, "Enter")
    judged_so_far(page, 0, 2).wait_for()
    assert "st-key-judge-panel" in tab_to(page, panel=True)
    page.keyboard.press("PageDown")
    page.wait_for_function("document.activeElement.scrollTop > 0")
    for label in ("B 2", "Tie 0", "A 1", "Both bad 9"):
        tab_to(page, label)
        press(page, "Enter")
    page.get_by_text("Everything is judged.", exact=True).wait_for()
    with closing(studio.votes) as store:
        log = store.log(task)
    said = [dict(zip(rows["criterion"], rows["verdict"], strict=True)) for _, rows in log.groupby("vote_id")]
    assert said == [{"helpful": "b", "harmless": "tie"}, {"helpful": "a", "harmless": "both_bad"}]


def test_the_keyboard_alone_judges_a_ranking(page: Page, studio: Dashboard) -> None:
    task = ranking(studio, 4)
    page.goto(f"{studio.address}/judge?task={task}")
    page.get_by_role("button", name="Start judging").wait_for()
    for label in ("Start judging Enter", "C 3", "Tie with next 0", "A 1", "B 2", "Done Enter"):
        settle(page)
        tab_to(page, label)
        press(page, "Space")
    judged_so_far(page, 1, 2).wait_for()
    press(page, "2", "1", "3", "Enter")
    page.get_by_text("Everything is judged.", exact=True).wait_for()
    with closing(studio.votes) as store:
        assert store.log(task)["verdict"].tolist() == ["c=a>b", "b>a>c"]


def test_a_screen_reader_is_given_roles_names_and_order(page: Page, studio: Dashboard) -> None:
    task = pairs(studio, 5)
    page.goto(f"{studio.address}/judge?task={task}")
    page.get_by_role("button", name="Start judging").wait_for()
    expect(page.get_by_role("main")).to_match_aria_snapshot("""
        - heading "Judge" [level=1]
        - heading "Which of two answers is better?"
        - paragraph: Choose the answer you would rather have received.
        - textbox "Your name": labeller
        - button "Start judging Shortcut Enter"
    """)
    start_judging(page, studio.address, task)
    prompt, a, b = page.get_by_test_id("stText").all_inner_texts()
    expect(page.get_by_role("main")).to_match_aria_snapshot(f"""
        - heading "Prompt"
        - text: {prompt}
        - heading "A"
        - text: {a}
        - heading "B"
        - text: {b}
        - status: "0 of 2 judged. Next prompt: {prompt}"
        - button "A Shortcut 1"
        - button "Tie Shortcut 0"
        - button "Both bad Shortcut 9"
        - button "B Shortcut 2"
        - paragraph: 0 of 2 judged
        - button "Say why"
        - button "Skip Shortcut S"
        - button "Undo Shortcut U"
        - button "Help Shortcut H"
    """)


def test_a_screen_reader_hears_what_changed(page: Page, studio: Dashboard) -> None:
    """One live region stays in the page while its text changes: that is what makes screen readers speak."""
    start_judging(page, studio.address, pairs(studio, 6, criteria=("helpful", "harmless")))
    region = page.get_by_role("status")
    region.evaluate("element => { element.mark = 'the same' }")
    press(page, "u")
    expect(region).to_have_text(re.compile(r"There is no vote to undo\. 0 of 2 judged\. Next prompt: Question p\d\?"))
    press(page, "1")
    expect(region).to_have_text("2 of 2: harmless")
    press(page, "1")
    expect(region).to_have_text(re.compile(r"1 of 2 judged\. Next prompt: Question p\d\?"))
    press(page, *"11")
    expect(region).to_have_text("2 of 2 judged. Everything is judged.")
    assert region.evaluate("element => element.mark") == "the same"


def tab_to(page: Page, name: str = "", *, panel: bool = False) -> str:
    """Press Tab until the focus is on the control of that name, its key included, or on a panel; it must be seen there."""
    for _ in range(40):
        now = page.evaluate(FOCUSED)
        if now["panel"] if panel else now["name"] == name:
            assert now["seen"], now
            return now["panel"] or now["name"]
        page.keyboard.press("Tab")
    raise AssertionError(f"no Tab reaches {name or 'a panel'}")
