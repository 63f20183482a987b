"""Blind judging: nothing names a side, every verdict arrives, a refused vote does no harm."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.services.catalogue import list_entries
from dashboard.services.settings import read_settings
from dashboard.services.voting import human_votes, open_store, open_task
from tests.dashboard.conftest import Studio, said

KINDS = ("button", "markdown", "caption", "text", "subheader", "selectbox")
SIDES = re.compile(r"\b(base|tuned|sft|baseline|contender)\b", re.IGNORECASE)


def start(studio: Studio) -> AppTest:
    app = studio.open("Judge")
    return app.button(key="judge-start").click().run()


def press(app: AppTest, verdict: str) -> AppTest:
    return next(button for button in app.button if (button.key or "").startswith(f"judge-{verdict}-")).click().run()


def votes() -> pd.DataFrame:
    settings = read_settings()
    return human_votes(settings, list_entries(settings)[0])


def test_instructions_come_first_and_can_be_opened_again(studio: Studio) -> None:
    studio.add_run()
    app = studio.open("Judge")
    assert "Prefer the answer that helps more." in said(app)
    app = app.button(key="judge-start").click().run()
    assert "Prefer the answer that helps more." not in said(app)
    app = app.button(key="judge-help").click().run()
    assert "Prefer the answer that helps more." in said(app)
    assert app.button(key="judge-start").label == "Back to the item"


def test_nothing_the_page_sends_names_a_side(studio: Studio) -> None:
    studio.add_run("demo")
    app = start(studio)
    for _ in range(12):
        sent = "\n".join(repr(element.proto) for kind in KINDS for element in app.get(kind))
        assert "judge-a-" in sent and not SIDES.findall(sent)
        app = press(app, "a")


def test_a_verdict_goes_to_the_contender_that_wrote_that_side(studio: Studio) -> None:
    run = studio.add_run()
    app = start(studio)
    panel_a = app.text[1].value  # the prompt, A, B
    press(app, "a")
    row = votes().iloc[0]
    lines = (run / "completions" / "tuned.jsonl").read_text(encoding="utf-8").split("\n")
    tuned = next(line for line in lines if f'"{row.prompt_id}"' in line)
    assert row.outcome == ("contender" if json.loads(tuned)["text"] == panel_a else "baseline")


@pytest.mark.parametrize(("verdict", "outcome"), [("tie", "tie"), ("both_bad", "both_bad")])
def test_ties_and_both_bad_are_kept_apart(studio: Studio, verdict: str, outcome: str) -> None:
    studio.add_run()
    press(start(studio), verdict)
    assert votes()["outcome"].tolist() == [outcome]


def test_undo_gives_the_pair_back_and_skip_leaves_it_for_later(studio: Studio) -> None:
    studio.add_run()
    app = start(studio)
    first = app.text[0].value
    app = press(app, "a")
    assert app.text[0].value != first and "1 of 12 judged" in said(app)
    app = press(app, "undo")
    assert app.text[0].value == first and "0 of 12 judged" in said(app)
    app = press(app, "skip")
    assert app.text[0].value != first and "0 of 12 judged" in said(app)


def test_undo_without_a_vote_says_so(studio: Studio) -> None:
    studio.add_run()
    assert "There is no vote to undo." in said(press(start(studio), "undo"))


def test_after_the_last_pair_the_page_says_so(studio: Studio) -> None:
    studio.add_run()
    app = start(studio)
    for _ in range(12):
        app = press(app, "tie")
    assert "Everything is judged." in said(app) and "12 of 12 judged" in said(app)


def test_a_vote_that_is_refused_is_told_and_the_page_goes_on(studio: Studio) -> None:
    studio.add_run()
    app = start(studio)
    keys = [button.key or "" for button in app.button]
    token = next(key for key in keys if key.startswith("judge-a-")).removeprefix("judge-a-")
    open_store(studio.votes).vote(token, "b", reading_seconds=1.0)  # another window was faster
    app = press(app, "a")
    assert "this item has a verdict already" in said(app)
    assert votes()["outcome"].isin(["contender", "baseline"]).sum() == 1


def test_completions_are_shown_letter_by_letter(studio: Studio) -> None:
    studio.add_run()
    app = start(studio)
    shown: list[str] = []
    for _ in range(12):
        shown += [element.value for element in app.text]
        app = press(app, "tie")
    # The factory's answers hold a script, Markdown and a leading equals sign; none may be lost or rendered.
    assert any("<script>alert('hello')</script>" in text for text in shown)
    assert any("**No insult**" in text for text in shown)


def test_missing_instructions_stop_judging_with_the_remedy(studio: Studio) -> None:
    studio.add_run()
    (studio.root / "instructions.md").unlink()
    assert "Write them there, or name another file in RLHF_INSTRUCTIONS" in said(studio.open("Judge"))


def test_each_labeller_judges_apart(studio: Studio) -> None:
    studio.add_run()
    for name in ("Ana", "Ben"):
        app = studio.open("Judge")
        app.text_input(key="judge-name-field").set_value(name)
        press(app.button(key="judge-start").click().run(), "a")
    assert sorted(votes()["labeller"]) == ["Ana", "Ben"]


def test_the_win_rate_moves_with_the_votes(studio: Studio) -> None:
    studio.add_run()
    press(start(studio), "tie")
    settings = read_settings()
    assert len(open_store(settings.votes).log(open_task(settings, list_entries(settings)[0]))) == 1
    app = studio.open("Results")
    assert "the tuned model wins 50.0%" in said(app) and "of 1 vote" in said(app)  # one tie: score ½
