"""The Compare page on runs of every shape: what it says, filters, the chosen prompt, phrases, slices, and how fast it answers."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.services.catalogue import list_entries
from dashboard.services.comparing import SCORE, compare_pair, pairs_of
from dashboard.services.prompt_rows import as_csv
from dashboard.services.settings import read_settings
from dashboard.services.voting import open_store, open_task
from rlhf_core.data.io import write_jsonl
from rlhf_core.feedback.tasks import build_task
from rlhf_core.runs.reader import RunReader
from tests.dashboard.conftest import Studio, said
from tests.run_texts import PROMPTS

SCORES = {item.id: item.score["tuned"] - item.score["base"] for item in PROMPTS}


def vote(studio: Studio, verdicts: dict[str, str], labeller: str = "ana", reason: str = "") -> None:
    """Judge prompts of the run's own pairs: for each prompt id the contender preferred, "tie" or "both_bad"."""
    settings = read_settings()
    task = open_task(settings, list_entries(settings)[0])
    store = open_store(studio.votes)
    texts = {one["prompt"]: one for one in store.texts(task).values()}
    for _ in range(len(PROMPTS)):
        item = store.next_item(task, labeller)
        assert item is not None
        shown = texts[item.prompt]
        wanted = verdicts.get(shown["prompt_id"], "skip")
        side = wanted if wanted in ("tie", "both_bad", "skip") else "ab"[item.texts.index(shown["texts"][wanted])]
        store.vote(item.token, side, reading_seconds=3.0, reason=reason if side != "skip" else "")


def rows(app: AppTest) -> Any:
    """The table of prompts."""
    return app.dataframe[0].value


def test_the_worst_prompt_comes_first_with_both_answers_and_scores(studio: Studio) -> None:
    studio.add_run()
    app = studio.open("Compare")
    assert not app.exception and not app.error
    text = said(app)
    # Of the factory's scores, p08 falls (1.90 to 0.30) and p12 (1.30 to 0.60); the other ten rise.
    assert "The tuned model scores higher than the base model on 10 of 12 prompts, lower on 2." in text
    assert "12 prompts, each answered by both." in text
    assert rows(app)["Id"].tolist()[:2] == ["p08", "p12"]
    assert rows(app)["Score change"].tolist()[:2] == pytest.approx([-1.6, -0.7])
    assert app.selectbox(key="compare-prompt").value == "p08"
    assert "Is a tomato a fruit or a vegetable?" in text and "score 1.90" in text and "score 0.30" in text
    assert "Nobody has judged these two yet." in text
    marked = "".join(str(element.proto.body) for element in app.get("html"))
    assert "<ins " in marked and "Both, in a way" in marked


def test_the_choice_of_a_prompt_goes_on_and_back_and_stands_in_the_address(studio: Studio) -> None:
    studio.add_run()
    app = studio.open("Compare", **{"compare-prompt": "p12"})
    assert app.selectbox(key="compare-prompt").value == "p12" and "2 of 12 in this order" in said(app)
    app.button(key="compare-on").click().run()
    third = rows(app)["Id"].tolist()[2]
    assert app.selectbox(key="compare-prompt").value == third
    app.button(key="compare-back").click().run()
    assert app.selectbox(key="compare-prompt").value == "p12"
    app.segmented_control(key="compare-order").set_value("Highest first").run()
    assert app.selectbox(key="compare-prompt").value == "p12" and "11 of 12 in this order" in said(app)
    app.selectbox(key="compare-sort").select("Prompt").run()
    assert rows(app)["Id"].tolist() == [f"p{n:02d}" for n in range(12, 0, -1)]


def test_filters_say_what_they_leave_and_combine(studio: Studio) -> None:
    studio.add_run()
    app = studio.open("Compare", **{"compare-category": "honest"})
    assert "4 of 12 prompts fit the filters." in said(app)
    assert rows(app)["Category"].tolist() == ["honest"] * 4
    app.slider(key="compare-by-score").set_range(-1.6, 0.0).run()
    assert rows(app)["Id"].tolist() == ["p08"] and "1 of 12 prompts fits the filters." in said(app)
    app.multiselect(key="compare-category").set_value([]).run()
    assert rows(app)["Id"].tolist() == ["p08", "p12"]
    app.text_input(key="compare-find").set_value("CRISIS").run()
    assert rows(app)["Id"].tolist() == ["p12"]  # "Call a crisis line together."
    app.text_input(key="compare-find").set_value("").run()
    app.text_input(key="compare-phrase").set_value("in a way").run()
    assert rows(app)["Id"].tolist() == ["p08"]


def test_filters_that_leave_nothing_say_so_and_come_off(studio: Studio) -> None:
    studio.add_run()
    app = studio.open("Compare", **{"compare-find": "zebra", "compare-category": "honest"})
    app.slider(key="compare-by-score").set_range(0.0, 1.0).run()
    assert "0 of 12 prompts fit the filters." in said(app) and "**No prompt fits the filters**" in said(app)
    app.button(key="compare-clear").click().run()
    assert not app.exception and len(rows(app)) == 12


def test_a_range_stays_within_what_other_contenders_have(studio: Studio) -> None:
    """Changes of score lie in −1.6 … 2.6 from base to tuned, in −0.2 … 2.0 or so from SFT to tuned."""
    studio.add_run()
    app = studio.open("Compare")
    app.slider(key="compare-by-score").set_range(-1.0, 1.0).run()
    assert len(rows(app)) < 12
    app.selectbox(key="compare-pair").select("tuned model against SFT model").run()
    assert not app.exception and not app.error
    slider = app.slider(key="compare-by-score")
    assert slider.min > -1.0 and slider.value == (slider.min, 1.0)
    slider.set_range(slider.min, slider.max).run()
    app.selectbox(key="compare-pair").select("tuned model against base model").run()
    assert len(rows(app)) == 12 and app.slider(key="compare-by-score").value == (-1.6, 2.6)
    far = studio.open("Compare", **{"compare-by-score": "-99"})
    assert not far.exception and not far.error


def test_a_conversation_is_shown_with_the_turns_before_it(studio: Studio) -> None:
    run = studio.add_run()
    turns = "User: Is it a fruit?\n\nAssistant: What is?\n\nUser: A tomato."
    for path in (run / "completions").glob("*.jsonl"):
        answers = [json.loads(line) for line in path.read_text().splitlines()]
        write_jsonl(path, [row | ({"prompt": turns} if row["prompt_id"] == "p08" else {}) for row in answers])
    app = studio.open("Compare")
    assert turns in [text.value for text in app.text]
    assert rows(app)["Prompt"].iloc[0] == turns.replace("\n", "␊")


def test_any_two_contenders_can_be_compared(studio: Studio) -> None:
    studio.add_run()
    app = studio.open("Compare")
    box = app.selectbox(key="compare-pair")
    assert box.options == [
        "tuned model against base model",
        "SFT model against base model",
        "tuned model against SFT model",
    ]
    app = box.select("tuned model against SFT model").run()
    # By the factory's scores SFT to tuned falls for p08 alone, 0.40 to 0.30.
    assert "The tuned model scores higher than the SFT model on 11 of 12 prompts, lower on 1." in said(app)
    assert rows(app)["Id"].tolist()[0] == "p08"


def test_votes_show_with_reasons_and_where_they_disagree_with_the_reward_model(studio: Studio) -> None:
    studio.add_run()
    verdicts = {"p08": "tuned", "p12": "base", "p01": "tuned", "p02": "base", "p03": "tie"}
    vote(studio, verdicts, reason="*Short* :red[and] <b>true</b>")
    vote(studio, {"p08": "tuned", "p02": "base"}, "ben")
    app = studio.open("Compare")
    # The reward model prefers base on p08 and p12, tuned elsewhere: p08 and p02 disagree, p12 and p01 agree, p03 is a tie.
    assert "People and the reward model disagree on 2 of 4 prompts on which both chose a side." in said(app)
    table = rows(app).set_index("Id")
    assert table.loc["p08", ["Win rate", "Votes", "Votes and score"]].tolist() == [1.0, 2, "disagree"]
    assert table.loc["p03", "Votes and score"] == "no side chosen" and table.loc["p09", "Votes"] == 0
    assert "2 votes: most say tuned model wins. The reward model prefers the other answer." in said(app)
    votes = app.dataframe[2].value
    assert votes["Labeller"].tolist() == ["ana", "ben"]
    assert votes["Reason"].tolist() == ["*Short* :red[and] <b>true</b>", ""]
    app.selectbox(key="compare-against").select("Disagree").run()
    assert rows(app)["Id"].tolist() == ["p08", "p02"]
    app.selectbox(key="compare-against").select("Any").run()
    app.selectbox(key="compare-votes").select("Base model wins").run()
    assert sorted(rows(app)["Id"]) == ["p02", "p12"]
    app.selectbox(key="compare-votes").select("Not judged").run()
    assert len(rows(app)) == 12 - len(verdicts)


def test_votes_on_other_words_do_not_count_and_a_made_task_is_a_source_of_its_own(studio: Studio) -> None:
    run = studio.add_run()
    vote(studio, {"p08": "tuned"})
    reader = RunReader(run)
    answers = [reader.completions(name) for name in ("tuned", "base")]  # the other way round
    store = open_store(studio.votes)
    task = store.ensure_task(build_task("made", answers, "Choose.", 0))
    texts = {one["prompt"]: one["texts"] for one in store.texts(task).values()}
    while (item := store.next_item(task, "eva")) is not None:
        store.vote(item.token, "ab"[item.texts.index(texts[item.prompt]["base"])], reading_seconds=1.0)
    app = studio.open("Compare")
    box = app.selectbox(key="compare-votes-of")
    assert box.options[0] == "Pairs of this run" and box.options[1].startswith("made (")
    assert rows(app)["Votes"].sum() == 1
    app = box.select(box.options[1]).run()
    # Eva prefers base everywhere; in her task base is the later contender, here it is the baseline.
    assert rows(app)["Votes"].tolist() == [1] * 12 and set(rows(app)["Win rate"]) == {0.0}
    changed = [row if row.prompt_id != "p08" else row.model_copy(update={"text": "New words."}) for row in answers[0]]
    write_jsonl(run / "completions" / "tuned.jsonl", changed)
    app = studio.open("Compare")
    table = rows(app).set_index("Id")
    assert table["Votes"].sum() == 11 and table.loc["p08", "Votes"] == 0


def test_simulated_votes_are_called_so(studio: Studio) -> None:
    studio.add_recorded()
    app = studio.open("Compare")
    text = said(app)
    assert "The rule that made the votes and the reward model disagree on 0 of" in text and "People" not in text
    assert "made by a rule, no person judged" in text and "A rule made these votes; no person judged." in text


def test_answers_show_side_by_side_as_one_text_and_plain(studio: Studio) -> None:
    studio.add_run()
    app = studio.open("Compare", **{"compare-prompt": "p03"})
    sides = [str(element.proto.body) for element in app.get("html") if "pre-wrap" in str(element.proto.body)]
    assert len(sides) == 2 and "&lt;script&gt;alert(&#x27;hello&#x27;)&lt;/script&gt;" in sides[0]
    assert all("<script" not in side for side in sides) and "<del " not in sides[1] and "<ins " not in sides[0]
    app.segmented_control(key="compare-answers").set_value("One text").run()
    (one,) = [str(element.proto.body) for element in app.get("html") if "pre-wrap" in str(element.proto.body)]
    assert "line-through" in one and "underline solid" in one and "Struck through: only in the base" in said(app)
    app.segmented_control(key="compare-answers").set_value("Plain").run()
    assert "<script>alert('hello')</script> <b>This is a pop-up.</b>" in [text.value for text in app.text]


def test_a_run_with_one_contender_says_what_is_missing(studio: Studio) -> None:
    run = studio.add_run()
    for name in ("sft", "tuned"):
        (run / "completions" / f"{name}.jsonl").unlink()
    app = studio.open("Compare")
    assert "**Nothing to compare yet**" in said(app) and "rlhf generate CONFIG.yaml" in said(app)


def test_prompts_only_one_answered_are_left_out_and_counted(studio: Studio) -> None:
    run = studio.add_run()
    path = run / "completions" / "base.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[2:]))
    assert "10 prompts, each answered by both. 2 prompts that only one of the two answered are left out." in said(
        studio.open("Compare")
    )


def test_a_damaged_completion_is_named(studio: Studio) -> None:
    run = studio.add_run()
    (run / "completions" / "base.jsonl").write_text('{"prompt_id": ""}\n')
    app = studio.open("Compare")
    assert not app.exception and "base.jsonl:1: prompt_id" in said(app)


def test_the_rows_go_away_as_csv_that_no_spreadsheet_runs(studio: Studio) -> None:
    studio.add_run()
    entry = list_entries(read_settings())[0]
    assert pairs_of(entry)[0] == ("base", "tuned")
    compared = compare_pair(entry, "base", "tuned")
    read = list(csv.DictReader(io.StringIO(as_csv(compared, compared.rows))))
    assert len(read) == 12 and {row["contender"] for row in read} == {"tuned"}
    four = next(row for row in read if row["prompt_id"] == "p04")
    assert four["contender_answer"].startswith("'=2+2") and four["baseline_answer"].startswith("'=2+2")
    assert float(four[SCORE.column("change")]) == pytest.approx(0.6)


def test_a_link_to_a_prompt_arrives_at_it_and_a_choice_does_not(studio: Studio) -> None:
    studio.add_run()
    arrivals = list(studio.open("Compare", **{"compare-prompt": "p08"}).get("bidi_component"))
    assert len(arrivals) == 1 and json.loads(arrivals[0].proto.json) == {"place": "compare-chosen", "link": "p08"}
    app = studio.open("Compare")
    assert not app.get("bidi_component")
    app = app.button(key="compare-on").click().run()
    assert not app.get("bidi_component") and "2 of 12 in this order" in said(app)
