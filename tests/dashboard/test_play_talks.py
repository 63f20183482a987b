"""A playground's conversation is kept with its run: a reload, a link and a dashboard started anew bring it back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.services import playground, talks
from dashboard.services.exchange import Turn, begin
from dashboard.services.playground import PLAYERS
from dashboard.services.talks import MOST, Talk, read_talk, write_talk
from rlhf_core.errors import RunError
from rlhf_core.playground.protocol import Request
from tests.dashboard.conftest import Studio, said
from tests.dashboard.test_player import FAKE
from tests.dashboard.test_playground_page import asked, playable, press

GONE = "The conversation of this address is not kept here any more: of each run the last 100 are."


@pytest.fixture(autouse=True)
def _fake_workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(playground, "worker_command", lambda run: FAKE)
    yield
    PLAYERS.close()


def again(studio: Studio, app: AppTest) -> AppTest:
    """The page opened by its address in a session of its own, as a reload and a link do."""
    return studio.open("Playground", **app.query_params)


def texts(app: AppTest) -> list[str]:
    return [element.value for element in app.text]


def named(app: AppTest) -> str:
    """The name that the address has for the conversation."""
    return app.query_params["talk"]


def test_a_reload_brings_back_the_answers_and_they_can_be_kept(studio: Studio) -> None:
    playable(studio)
    app = again(studio, asked(studio, "Why?", seed="5"))
    assert texts(app) == ["base says Why?", "tuned says Why?"]
    assert app.text_area(key="prompt").value == "Why?" and app.number_input(key="seed").value == 5
    shown = [(metric.label.replace("\\", ""), metric.value) for metric in app.metric][:4]
    assert shown == [("Words", "3"), ("Tokens", "3"), ("Reward", "0.50"), ("profanity-check", "0.03")]
    assert "Kept with the run: this page’s address brings it back" in said(app)
    assert "Kept as a judging item." in said(press(app, "play-keep"))


def test_a_link_brings_back_a_conversation_with_its_turns_and_the_message_begun(studio: Studio) -> None:
    playable(studio)
    sender = press(asked(studio, "Why?"), "play-go-on-right")
    first = named(sender)
    app = again(studio, sender)
    assert texts(app) == ["Why?", "tuned says Why?"] and "Tuned model, right" in [one.value for one in app.caption]
    app.text_area(key="prompt").set_value("And?")
    app = press(app, "play-answer")
    after = ["base says And? after tuned says Why?", "tuned says And? after tuned says Why?"]
    assert texts(app)[2:] == after and named(app) != first
    app = again(studio, app)
    assert texts(app) == ["Why?", "tuned says Why?", *after] and app.text_area(key="prompt").value == "And?"
    assert texts(again(studio, sender)) == ["Why?", "tuned says Why?"]  # the first link shows what its sender saw


def test_another_page_and_back_shows_it_still_and_a_new_start_leaves_the_address(studio: Studio) -> None:
    playable(studio)
    app = press(asked(studio, "Why?"), "play-go-on-left")
    name = named(app)
    del app.query_params["talk"]  # as going to another page does
    app.run()
    assert len(texts(app)) == 2 and named(app) == name
    app = press(app, "play-anew")
    assert not texts(app) and "talk" not in app.query_params


@pytest.mark.parametrize("name", ["0123456789ab", "../../config", "", "A" * 12])
def test_a_name_that_nothing_is_kept_under_is_said_once(studio: Studio, name: str) -> None:
    playable(studio)
    app = studio.open("Playground", talk=name, prompt="Why?")
    assert (GONE in said(app)) == bool(name) and not app.exception and "talk" not in app.query_params
    app = press(app, "play-answer")
    assert texts(app) == ["base says Why?", "tuned says Why?"] and GONE not in said(app)


def test_a_damaged_file_is_named_and_the_page_goes_on(studio: Studio) -> None:
    run = playable(studio)
    app = asked(studio, "Why?")
    (run / "playground" / f"{named(app)}.json").write_text("{")
    app = again(studio, app)
    assert "holds no conversation. Remove it, and ask again" in said(app) and not texts(app)
    assert len(texts(press(app, "play-answer"))) == 2


def test_where_it_cannot_be_kept_that_is_said_and_it_goes_on(studio: Studio) -> None:
    run = playable(studio)
    (run / "playground").write_text("in the way")
    app = asked(studio, "Why?")
    assert "A reload forgets this conversation." in said(app) and "Make the folder writable" in said(app)
    assert len(texts(app)) == 2 and "talk" not in app.query_params and "Kept with the run" not in said(app)
    assert texts(press(app, "play-go-on-left")) == ["Why?", "base says Why?"]


def test_a_second_page_sees_what_is_being_written_and_can_stop_it(studio: Studio) -> None:
    playable(studio)
    app = studio.open("Playground", prompt="slowly")
    app.button(key="play-answer").click().run()
    other = again(studio, app)
    assert not other.button(key="play-stop").disabled and other.button(key="play-answer").disabled
    assert texts(press(other, "play-stop")) == ["base says slowly"]
    assert texts(app.run()) == ["base says slowly"] and "Cut off." in said(app)


def test_what_a_dashboard_that_is_gone_was_writing_is_said_to_be_cut_off(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    playable(studio)
    app = studio.open("Playground", prompt="slowly")
    app.button(key="play-answer").click().run()
    monkeypatch.setattr(PLAYERS, "_tickets", {})  # those of a server started anew
    app = again(studio, app)
    assert "It was cut off: the dashboard has been started anew since. Press Answer again." in said(app)
    assert not app.button(key="play-answer").disabled


def test_a_conversation_of_another_run_is_none_of_this_one(studio: Studio) -> None:
    playable(studio)
    other = studio.add_run("other")
    (other / "ppo" / "model").mkdir(parents=True)
    app = press(asked(studio, "Why?", run="demo"), "play-go-on-left")
    name = named(app)
    app.selectbox(key="run").set_value("other").run()
    assert not texts(app) and "talk" not in app.query_params and GONE not in said(app)
    app.selectbox(key="run").set_value("demo").run()
    assert len(texts(app)) == 2 and named(app) == name


def talk(n: int) -> Talk:
    request = Request(id=str(n), prompt="Why?", contenders=("base", "tuned"), temperature=0.7, max_new_tokens=8)
    return Talk((Turn("How?", 1, "tuned", f"So <b>{n}</b>. \u202e é"),), begin(request))


def test_it_is_read_as_it_was_written_and_only_the_last_hundred_are_kept(tmp_path: Path) -> None:
    for n in range(MOST + 2):
        write_talk(tmp_path, f"{n:012x}", talk(n))
        os.utime(tmp_path / "playground" / f"{n:012x}.json", ns=(n, n))
    kept = sorted(file.stem for file in (tmp_path / "playground").iterdir())
    assert kept == [f"{n:012x}" for n in range(2, 102)]  # the first two of 102 are gone
    assert read_talk(tmp_path, f"{2:012x}") == talk(2) and read_talk(tmp_path, f"{1:012x}") is None
    write_talk(tmp_path, f"{2:012x}", talk(7))  # the oldest, changed: it stays, and nothing goes for it
    assert read_talk(tmp_path, f"{2:012x}") == talk(7) and len(list((tmp_path / "playground").iterdir())) == MOST


def test_a_file_that_cannot_be_read_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / talks.FOLDER / f"{0:012x}.json").mkdir(parents=True)
    with pytest.raises(RunError, match=rf"{tmp_path}/playground/{0:012x}.json: holds no conversation"):
        read_talk(tmp_path, f"{0:012x}")
