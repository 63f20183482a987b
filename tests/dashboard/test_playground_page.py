"""The Playground page: who can be asked, two answers as text, keeping them, and the task that people judge them in."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.services import playground
from dashboard.services.access import Visitor
from dashboard.services.catalogue import list_entries
from dashboard.services.playground import PLAYERS, Drawing, Question
from dashboard.services.settings import read_settings
from dashboard.services.talks import Talk
from dashboard.services.voting import open_store
from rlhf_core.data.io import write_text
from rlhf_core.errors import AccessError, DataError
from rlhf_core.playground.kept import FILE
from tests.dashboard.conftest import Studio, said
from tests.dashboard.test_player import FAKE

MADE = ("sft", "ppo", "reward")


@pytest.fixture(autouse=True)
def _fake_workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(playground, "worker_command", lambda run: FAKE)
    yield
    PLAYERS.close()


def playable(studio: Studio, *stages: str) -> Path:
    """A run whose stages have left something that stands for their models."""
    run = studio.add_run()
    for stage in stages or MADE:
        (run / stage / "model").mkdir(parents=True)
    return run


def asked(studio: Studio, prompt: str, **address: str) -> AppTest:
    """The page after a prompt is answered."""
    return press(studio.open("Playground", prompt=prompt, **address), "play-answer")


def press(app: AppTest, key: str) -> AppTest:
    """The page after a button and whatever the worker does then."""
    app.button(key=key).click().run()
    end = time.monotonic() + 20
    while not app.button(key="play-stop").disabled and time.monotonic() < end:
        time.sleep(0.05)
        app.run()
    assert app.button(key="play-stop").disabled, "the worker has not come to an end"
    assert not app.exception
    return app


def test_two_answers_side_by_side_with_their_scores(studio: Studio):
    playable(studio)
    app = asked(studio, "Why?")
    assert [element.value for element in app.text] == ["base says Why?", "tuned says Why?"]
    assert [element.value for element in app.subheader[1:]] == ["Base model", "Tuned model"]
    shown = [(metric.label.replace("\\", ""), metric.value) for metric in app.metric]
    assert shown == [
        ("Words", "3"), ("Tokens", "3"), ("Reward", "0.50"), ("profanity-check", "0.03"),
        ("Words", "3"), ("Tokens", "3"), ("Reward", "1.50"), ("profanity-check", "0.03"),
    ]  # fmt: skip
    assert "Ended by itself. First token after 0.2 s, 3.0 tokens/s." in said(app)
    assert "Cut off at 3 tokens." in said(app) and "detoxify says nothing here: the weights cannot be had" in said(app)


def test_the_address_holds_the_question(studio: Studio):
    playable(studio)
    address = {"left": "sft", "right": "base", "temperature": "0.3", "seed": "17", "tokens": "40", "top-p": "0.9"}
    app = studio.open("Playground", prompt="Why not?", **address)
    assert app.text_area(key="prompt").value == "Why not?"
    assert [box.value for box in app.selectbox if box.key in ("left", "right")] == ["sft", "base"]
    numbers = {field.key: field.value for field in app.number_input}
    assert numbers == {"temperature": 0.3, "top-p": 0.9, "seed": 17, "tokens": 40}
    app = press(app, "play-answer")
    assert [element.value for element in app.text] == ["sft says Why not?", "base says Why not?"]


def test_it_begins_with_the_runs_own_settings(studio: Studio):
    run = playable(studio)
    text = (run / "config.yaml").read_text().replace("temperature: 0.7", "temperature: 0.4")
    write_text(run / "config.yaml", text)
    app = studio.open("Playground")
    assert app.number_input(key="temperature").value == 0.4 and app.number_input(key="tokens").value == 64
    assert [box.value for box in app.selectbox if box.key in ("left", "right")] == ["base", "tuned"]


@pytest.mark.parametrize(
    ("address", "why"),
    [({}, "The message is empty. Write one."), ({"prompt": "Why?", "left": "tuned"}, "Both sides are tuned.")],
)
def test_a_question_that_cannot_be_asked_says_why(studio: Studio, address: dict[str, str], why: str):
    playable(studio)
    app = press(studio.open("Playground", **address), "play-answer")
    assert why in said(app) and not app.text


def test_nothing_in_a_completion_acts(studio: Studio):
    playable(studio)
    hostile = "<b>x</b> **y** :red[z] $1$ \x1b[31m \u202e"
    app = asked(studio, hostile)
    assert [element.value for element in app.text] == [
        f"{name} says <b>x</b> **y** :red[z] $1$ ␛[31m ⟨U+202E⟩" for name in ("base", "tuned")
    ]
    assert not any("<b>" in str(element.value) for element in (*app.markdown, *app.caption))


def test_a_refusal_of_the_worker_and_its_death_are_told_and_it_goes_on(studio: Studio):
    playable(studio)
    app = asked(studio, "fail")
    assert "the prompt is too long. Shorten it" in said(app)
    app.text_area(key="prompt").set_value("die")
    app = press(app, "play-answer")
    assert "The process that holds the models was killed (SIGKILL)" in said(app)
    app.text_area(key="prompt").set_value("Why?")
    assert [element.value for element in press(app, "play-answer").text] == ["base says Why?", "tuned says Why?"]


def test_stop_leaves_what_was_written_and_it_is_no_pair(studio: Studio):
    run = playable(studio)
    app = studio.open("Playground", prompt="slowly")
    app.button(key="play-answer").click().run()
    assert app.button(key="play-answer").disabled and app.button(key="play-keep").disabled
    app = press(app, "play-stop")
    assert [element.value for element in app.text] == ["base says slowly"] and "Cut off." in said(app)
    assert "Not kept: the answers are not whole." in said(press(app, "play-keep"))
    assert not (run / FILE).exists()


def test_a_pair_is_kept_once_and_judged_blind(studio: Studio):
    run = playable(studio)
    app = press(asked(studio, "Why?"), "play-keep")
    assert "Kept as a judging item." in said(app) and "1 pair of base and tuned" in said(app)
    assert "Kept already: the same prompt and answers count once." in said(press(app, "play-keep"))
    assert len((run / FILE).read_text().splitlines()) == 1

    app = press(app, "play-task-base-tuned")
    assert "Task 1 holds these pairs." in said(app)
    app = press(app, "play-task-base-tuned")
    assert "Task 1 held these pairs already." in said(app)
    task = open_store(studio.votes).task(1)
    assert (task.run_name, task.contenders, task.items) == ("demo-playground", ("base", "tuned"), 1)
    assert task.state == "open"
    judged = studio.open("Judge", task="1").button(key="judge-start").click().run()
    assert {element.value for element in judged.text} == {"Why?", "base says Why?", "tuned says Why?"}


def test_a_conversation_goes_on_with_one_sides_answer_and_starts_anew(studio: Studio):
    run = playable(studio)
    app = press(asked(studio, "Why?"), "play-go-on-right")
    assert "The conversation goes on with the right answer. Write the next message." in said(app)
    assert [element.value for element in app.text] == ["Why?", "tuned says Why?"]
    assert [one.value for one in app.caption][:2] == ["You", "Tuned model, right"]
    app.text_area(key="prompt").set_value("And?")
    app = press(app, "play-answer")
    assert [element.value for element in app.text][2:] == [
        "base says And? after tuned says Why?", "tuned says And? after tuned says Why?",
    ]  # fmt: skip
    app = press(app, "play-keep")
    (row,) = [json.loads(line) for line in (run / FILE).read_text().splitlines()]
    assert row["prompt"] == "And?" and row["history"] == [
        {"role": "user", "content": "Why?"}, {"role": "assistant", "content": "tuned says Why?"},
    ]  # fmt: skip

    app = press(app, "play-go-on-left")
    assert [element.value for element in app.text][2:] == ["And?", "base says And? after tuned says Why?"]
    assert app.text_area(key="prompt").value == "" and "Base model, left" in [one.value for one in app.caption]
    assert "The message is empty. Write one." in said(press(app, "play-answer"))
    app = press(app, "play-anew")
    assert not app.text and app.text_area(key="prompt").value == ""
    app.text_area(key="prompt").set_value("Why?")
    assert [element.value for element in press(app, "play-answer").text] == ["base says Why?", "tuned says Why?"]


def test_a_conversation_belongs_to_its_run(studio: Studio):
    playable(studio)
    other = studio.add_run("other")
    for stage in MADE:
        (other / stage / "model").mkdir(parents=True)
    app = press(asked(studio, "Why?", run="demo"), "play-go-on-left")
    assert len(app.text) == 2
    app.selectbox(key="run").set_value("other").run()
    assert not app.text and [field.key for field in app.text_area] == ["prompt", "system"]


def test_there_is_no_going_on_with_nothing_or_before_the_end(studio: Studio):
    playable(studio)
    app = press(asked(studio, "nothing"), "play-go-on-left")
    assert "base wrote nothing to go on with. Take the other answer." in said(app)
    app.text_area(key="prompt").set_value("slowly")
    app.button(key="play-answer").click().run()
    app = press(app, "play-stop")
    assert not [button.key for button in app.button if str(button.key).startswith("play-go-on")]


def test_a_system_prompt_reaches_both_sides_and_such_a_pair_cannot_be_kept(studio: Studio):
    run = playable(studio)
    app = asked(studio, "Why?", system="Rhyme.")
    exchange = app.session_state["play-talks"][run].talk.exchange
    assert exchange.request.system_prompt == "Rhyme." and app.text_area(key="system").value == "Rhyme."
    assert app.button(key="play-keep").disabled
    assert "These answers follow a system prompt, which labellers would not see: the pair cannot be kept." in said(app)
    with pytest.raises(DataError, match="these answers follow a system prompt"):
        playground.keep(read_settings(), list_entries(read_settings())[0], exchange)
    app.text_area(key="system").set_value("")
    app = press(app, "play-answer")
    assert not app.button(key="play-keep").disabled
    assert "Kept as a judging item." in said(press(app, "play-keep")) and (run / FILE).exists()


def test_the_way_to_a_task_goes_when_it_no_longer_holds_what_is_kept(studio: Studio):
    playable(studio)
    app = press(press(asked(studio, "Why?"), "play-keep"), "play-task-base-tuned")
    assert "Task 1 holds these pairs." in said(app)
    app.text_area(key="prompt").set_value("why")
    app = press(press(app, "play-answer"), "play-keep")
    assert "2 pairs on 1 prompt of base and tuned" in said(app) and "Task 1" not in said(app)
    (studio.root / "instructions.md").write_text("")
    app = press(app, "play-task-base-tuned")
    assert "the task has no instructions" in said(app)


def test_a_task_whose_answers_name_their_author_waits_for_its_owner(studio: Studio):
    playable(studio)
    app = press(press(asked(studio, "As SmolLM I"), "play-keep"), "play-task-base-tuned")
    assert "Task 1 holds these pairs and is a draft: some answers give their author away." in said(app)
    assert open_store(studio.votes).task(1).state == "draft"


def test_alike_answers_are_refused_with_a_reason(studio: Studio):
    run = playable(studio)
    app = press(asked(studio, "alike"), "play-keep")
    assert "Not kept: both answers are the same, so there is nothing to judge." in said(app)
    assert not (run / FILE).exists()


def test_a_damaged_file_of_pairs_leaves_the_rest_of_the_page_alive(studio: Studio):
    run = playable(studio)
    write_text(run / FILE, "{\n")
    app = asked(studio, "Why?")
    assert f"{FILE}:1: not JSON" in said(app) and len(app.text) == 2


def test_a_run_without_models_says_what_would_help(studio: Studio):
    studio.add_run()
    text = said(studio.open("Playground"))
    assert "Two contenders are needed" in text and "There is only base so far." in text
    assert "rlhf sft CONFIG.yaml\nrlhf ppo CONFIG.yaml" in text


def test_a_contender_that_is_not_there_yet_is_named(studio: Studio):
    playable(studio, "sft")
    app = studio.open("Playground")
    assert "Not there yet: tuned (rlhf ppo)." in said(app)
    assert [box.options for box in app.selectbox if box.key == "left"] == [["base", "sft"]]


def test_the_recorded_run_cannot_answer(studio: Studio):
    studio.add_recorded()
    text = said(studio.open("Playground"))
    assert "A recording cannot answer" in text and "rlhf pipeline configs/quickstart.yaml --fetch" in text


@pytest.mark.parametrize("role", ["reviewer", "labeller"])
def test_services_refuse_who_may_not_know_names(studio: Studio, role: str):
    playable(studio)
    entry = list_entries(read_settings())[0]
    settings = replace(read_settings(), visitor=Visitor("Ana", role))
    for call in (
        lambda: playground.contenders(settings, entry),
        lambda: playground.ask(settings, entry, Question("Why?"), ("base", "tuned"), Drawing(0.7, 1.0, 0, 8)),
        lambda: playground.kept(settings, entry),
        lambda: playground.keep_talk(settings, entry, "0" * 12, Talk()),
        lambda: playground.find_talk(settings, entry, "0" * 12),
        lambda: playground.make_task(settings, entry, ("base", "tuned")),
    ):
        with pytest.raises(AccessError):
            call()
