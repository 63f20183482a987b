"""The Results page on tasks of every shape, and the services behind it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.palette import DARK, LIGHT
from dashboard.services import judged
from dashboard.services.addresses import answers_address
from dashboard.services.catalogue import list_entries
from dashboard.services.judged import results_of_run, results_of_task, scores_of_texts
from dashboard.services.labellers import labeller_table
from dashboard.services.planner import plan_sentences
from dashboard.services.results import by_criterion, summarise_votes, win_matrix
from dashboard.services.settings import read_settings
from dashboard.services.voting import open_store, open_task
from rlhf_core.data.records import Completion, Ranking
from rlhf_core.errors import DataError
from rlhf_core.evaluation.labellers import labeller_quality
from rlhf_core.feedback.store import VoteStore
from rlhf_core.feedback.tasks import TaskDesign, TaskSpec, build_task
from tests.ballot_factory import ballots, more
from tests.dashboard.conftest import Studio, said
from tests.run_factory import vote_frame
from tests.unit.report.test_judged import votes
from tests.vote_factory import completion, make_spec

STRENGTH = {"base": 0, "sft": 1, "tuned": 2}
WORDS = {"base": "old", "sft": "middle", "tuned": "new"}


def contenders(names: Sequence[str], size: int = 12) -> list:
    return [[completion(f"p{n}", name, f"{WORDS[name]} {n}") for n in range(size)] for name in names]


def gold(number: int) -> Ranking:
    rows = [Completion(id="good", text="It is 4.", source="x"), Completion(id="bad", text="It is 5.", source="y")]
    return Ranking(
        id=f"g{number}",
        prompt=f"2 + 2, {number}?",
        prompt_id=f"g{number}",
        completions=rows,
        ranking=[["good"], ["bad"]],
    )


def fill(studio: Studio, spec: TaskSpec, labellers: Sequence[str] = ("ana", "ben"), *, simulated: bool = False) -> int:
    """Store a task and have everybody judge all of it: stronger contenders win, but every third item of a labeller is a tie."""
    store = open_store(studio.votes)
    task = store.ensure_task(spec)
    by_word = {word: STRENGTH[name] for name, word in WORDS.items()} | {"It": 3}
    for who in labellers:
        for turn in range(200):
            if (item := store.next_item(task, who)) is None:
                break
            ranks = [by_word[text.split()[0]] - ("5" in text and text.startswith("It")) for text in item.texts]
            if item.form == "ranking":
                order = sorted(range(len(ranks)), key=lambda n: -ranks[n])
                verdict = "=>"[turn % 3 != 0].join("abc"[n] for n in order)
            else:
                verdict = "tie" if turn % 3 == 0 else "a" if ranks[0] > ranks[1] else "b"
            store.vote(item.token, dict.fromkeys(item.criteria, verdict), reading_seconds=5.0, simulated=simulated)
    return task


def judge_all(store: VoteStore, task: int) -> None:
    """Have one person prefer the left answer of every item."""
    while (item := store.next_item(task, "ana")) is not None:
        store.vote(item.token, "a", reading_seconds=1.0)


def open_results(studio: Studio, task: int) -> AppTest:
    """Open the Results page at the address of a task."""
    script = "from dashboard.navigation import choose_page\nchoose_page('Results').run()\n"
    app = AppTest.from_string(script, default_timeout=30)
    app.query_params["task"] = str(task)
    app = app.run()
    assert not app.exception and not app.error
    return app


def charts(app: AppTest) -> list[str]:
    return [str(chart.key) for chart in app.get("plotly_chart")]


def test_a_pair_is_answered_in_one_sentence_with_both_intervals(studio: Studio) -> None:
    task = fill(studio, make_spec(12))
    text = said(open_results(studio, task))
    # Both labellers tie on items 0, 3, 6 and 9 of theirs: 16 wins and 8 ties of 24, so (16 + 4)/24.
    assert "People prefer the tuned model to the base model: it wins 83.3% [" in text
    assert "of 24 votes, a tie or both bad counting half." in text
    assert "over 12 prompts, the first vote on each, the interval that holds however often one looks is" in text
    assert "#### Who judged" in text and "Sides are balanced" not in text


def test_of_three_contenders_the_strongest_two_lead_and_any_pair_can_be_looked_at(studio: Studio) -> None:
    task = fill(studio, build_task("three", contenders(["base", "sft", "tuned"]), "Choose.", 0))
    app = open_results(studio, task)
    assert "Of 3 contenders, the two strongest:" in said(app) or "has no strength" in said(app)
    assert {"matrix", "outcomes", "stop"} <= set(charts(app))
    box = app.selectbox(key="pair-overall")
    assert box.options == [
        "SFT model against base model",
        "tuned model against base model",
        "tuned model against SFT model",
    ]
    app = box.select("tuned model against base model").run()
    assert "People prefer the tuned model to the base model" in said(app)


def test_a_ranking_counts_every_pair_and_a_repeat_shows_who_is_consistent(studio: Studio) -> None:
    design = TaskDesign("ranking", repeat_every=4)
    app = open_results(
        studio, fill(studio, build_task("ranked", contenders(["base", "sft", "tuned"]), "Rank.", 0, design))
    )
    text = said(app)
    assert "of 24 votes" in text and "Of a ranking one pair counts here." in text
    table = app.dataframe[0].value
    assert table["Labeller"].tolist() == ["ana", "ben"] and table["Votes"].tolist() == [12, 12]
    assert "Same again" in table and "Gold right" not in table


def test_criteria_come_in_the_order_of_the_task_and_are_never_pooled(studio: Studio) -> None:
    task = fill(studio, make_spec(criteria=("true", "kind")))
    app = open_results(studio, task)
    control = app.segmented_control(key="criterion")
    assert control.value == "true" and "of 12 votes" in said(app) and "criteria" in charts(app)
    app = control.set_value("kind").run()
    assert not app.exception and "of 12 votes" in said(app)
    found = results_of_task(read_settings(), task).human
    assert found is not None and found.criteria == ("true", "kind")
    assert set(by_criterion(found, found.pairs[0])) == {"true", "kind"}


def test_gold_items_say_who_knows_and_count_in_no_win_rate(studio: Studio) -> None:
    sides = contenders(["base", "tuned"])
    spec = build_task("golden", sides, "Choose.", 0, TaskDesign(gold_every=3), [gold(n) for n in range(2)])
    app = open_results(studio, fill(studio, spec))
    assert "of 24 votes" in said(app) and "gold:" not in said(app)
    assert app.dataframe[0].value["Gold right"].str.endswith("of 2").all()


def test_one_vote_says_how_little_it_is(studio: Studio) -> None:
    store = open_store(studio.votes)
    task = store.ensure_task(make_spec())
    item = store.next_item(task, "ana")
    assert item is not None
    store.vote(item.token, "tie", reading_seconds=1.0)
    text = said(open_results(studio, task))
    assert "People’s votes do not settle it" in text and "Not settled: over 1 prompt" in text
    assert "No item has been judged by two people yet" in text and "No vote has picked a side yet." in text
    assert "The pull of length cannot be told: no vote is decided." in text


def test_no_vote_says_where_to_judge(studio: Studio) -> None:
    app = open_results(studio, open_store(studio.votes).ensure_task(make_spec()))
    assert "Nobody has judged this task yet." in said(app) and not charts(app)


def test_simulated_votes_of_a_task_stay_apart(studio: Studio) -> None:
    task = fill(studio, make_spec(), simulated=True)
    app = open_results(studio, task)
    assert "By the rule that made them" in said(app) and "no person judged" in said(app)
    assert "Who judged" not in said(app) and "Automatic judges" not in said(app)
    app = app.segmented_control(key="votes").set_value("Human votes").run()
    assert "Nobody has judged this task yet." in said(app)


def test_closed_tasks_have_results_drafts_have_none(studio: Studio) -> None:
    store = open_store(studio.votes)
    closed, draft = (store.ensure_task(make_spec(seed=n), state) for n, state in enumerate(("closed", "draft")))
    options = open_results(studio, closed).sidebar.selectbox(key="results-task").options
    assert options == ["Pairs of the chosen run", f"demo ({closed}, closed)"] and draft != closed


def test_the_runs_own_votes_meet_its_own_judges(studio: Studio) -> None:
    studio.add_run()
    (entry,) = list_entries(read_settings())
    store, task = open_store(studio.votes), open_task(read_settings(), entry)
    judge_all(store, task)
    text = said(studio.open("Results"))
    assert "#### Automatic judges against people" in text
    assert "reward model (score): the same choice as most people on" in text and "of 12 items" in text
    overview = said(studio.open("Overview"))
    assert "People’s votes do not settle it" in overview


def test_a_made_task_finds_the_scores_of_exactly_its_texts(studio: Studio) -> None:
    run = studio.add_run()
    (entry,) = list_entries(read_settings())
    sides = [entry.reader.completions(name) for name in ("base", "tuned")]
    anew = sides[1][0].model_copy(update={"text": "Written anew."})
    task = open_store(studio.votes).ensure_task(build_task("made", [sides[0], [anew, *sides[1][1:]]], "Choose.", 0))
    path, found = scores_of_texts(open_store(studio.votes).texts(task).values(), [run])
    known = set(zip(found["prompt_id"], found["contender"], strict=True))
    assert (anew.prompt_id, "base") in known and (anew.prompt_id, "tuned") not in known
    assert path == run and len(known) == 23  # 12 prompts × 2 less the one written anew
    nowhere, none = scores_of_texts([], [run])
    assert nowhere is None and none.empty


def test_a_damaged_run_elsewhere_leaves_a_task_alone(studio: Studio) -> None:
    run = studio.add_run()
    (run / "evaluation" / "scores.json").write_text("{")
    task = fill(studio, make_spec())
    found = results_of_task(read_settings(), task).human
    assert found is not None and found.judges == ()


def test_an_unchanged_log_is_not_computed_again(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    task, calls = fill(studio, make_spec()), []
    monkeypatch.setattr(judged, "summarise_votes", lambda *given: calls.append(1) or summarise_votes(*given))
    first = results_of_task(read_settings(), task)
    assert results_of_task(read_settings(), task) is first and len(calls) == 2  # people's and simulated ones, once each
    open_store(studio.votes).undo(task, "ana")
    assert results_of_task(read_settings(), task) is not first and len(calls) == 4


def test_results_of_a_run_change_with_its_simulated_votes(studio: Studio) -> None:
    run = studio.add_recorded()
    (entry,) = list_entries(read_settings())
    before = results_of_run(read_settings(), entry).simulated
    lines = (run / "votes.jsonl").read_text().splitlines()
    (run / "votes.jsonl").write_text("\n".join(lines[:-1]) + "\n")
    after = results_of_run(read_settings(), entry).simulated
    assert before is not None and after is not None
    assert (before.pairs[0].n, after.pairs[0].n) == (24, 23) and json.loads(lines[0])["simulated"] is True


def test_results_refuse_mixed_votes_and_have_none_of_none() -> None:
    with pytest.raises(DataError, match="several values of `simulated` in one estimate"):
        summarise_votes(pd.concat([vote_frame(), vote_frame(simulated=True)]))
    assert summarise_votes(pd.DataFrame()) is None
    assert summarise_votes(vote_frame().assign(kind="gold")) is None


def test_the_matrix_is_win_rates_both_ways_and_nothing_for_those_who_never_met() -> None:
    met = votes({"ana": "ccct"})
    found = summarise_votes(pd.concat([met, met.assign(contender="sft", outcome="baseline", score=0.0)]))
    assert found is not None
    table = win_matrix(found.of("overall"))
    # tuned beats base 3 of 4 with a tie: 0.875; sft never does; tuned and sft never met.
    assert table.loc["tuned", "base"] == 0.875 and table.loc["base", "tuned"] == 0.125
    assert (table.loc["sft", "base"], table.loc["base", "sft"]) == (0, 1)
    assert pd.isna(table.loc["sft", "tuned"]) and pd.isna(table.loc["base", "base"])


def test_who_stands_out_comes_first_and_unknown_columns_are_left_out() -> None:
    frame = ballots({"ana": "cb" * 30, "zoe": "c" * 60})
    frame = more(frame, "gold", [{"labeller": "ana", "item_id": 90, "gold": "contender"}])
    table = labeller_table(labeller_quality(frame))
    assert table["Labeller"].tolist() == ["zoe", "ana"]  # 60 of 60 for side A
    assert table["Side A"].tolist() == ["100% of 60", "50% of 60"]
    assert table["Gold right"].tolist() == ["–", "100% of 1"] and "Too fast" not in table


def test_plans_in_words() -> None:
    fixed, settled = plan_sentences(0.65, 0.2, 2, 0.0)
    assert fixed.startswith("Plan ") and " × 2)" in fixed and "look once" in fixed
    assert settled.startswith("Look after every prompt")
    assert plan_sentences(0.5, 0.0, 1, 0.0)[0].startswith("No plan: no number of votes tells ½ from ½")
    assert "more than 5000 prompts are needed" in plan_sentences(0.501, 0.0, 1, 0.0)[1]


def test_the_planner_answers_in_place(studio: Studio) -> None:
    app = open_results(studio, fill(studio, make_spec()))
    app = app.number_input(key="plan-score").set_value(70).run()
    assert not app.exception
    assert plan_sentences(0.7, 0.33, 1, 0.3)[0] in said(app)


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_every_contender_keeps_its_colour(palette) -> None:
    colours = palette.contenders(["zeta", "tuned", "alpha", "base"])
    assert (colours["base"], colours["tuned"], colours["sft"]) == (palette.base, palette.tuned, palette.third)
    assert colours["alpha"] != colours["zeta"] and palette.contenders(["alpha", "zeta"]) == colours


def test_the_page_reads_the_votes_of_a_file_that_is_there(tmp_path: Path, studio: Studio) -> None:
    assert not Path(studio.votes).exists()
    assert "Nobody" not in said(studio.open("Results"))


def links(app: AppTest) -> list[str | None]:
    """The addresses beside the votes."""
    (table,) = [one.value for one in app.dataframe if "Outcome" in one.value and "Labeller" in one.value]
    return table["Both answers"].tolist() if "Both answers" in table else []


def test_each_vote_leads_to_both_answers(studio: Studio) -> None:
    studio.add_run()
    (entry,) = list_entries(read_settings())
    store, task = open_store(studio.votes), open_task(read_settings(), entry)
    judge_all(store, task)
    newest = store.votes(task).sort_values("vote_id", ascending=False)["prompt_id"].tolist()
    start = "http://127.0.0.1:8501/compare?run=demo&compare-pair=tuned+model+against+base+model&compare-prompt="
    assert links(studio.open("Results")) == [start + prompt for prompt in newest] and len(newest) == 12


def test_a_link_leads_to_the_prompt_and_the_pair(studio: Studio) -> None:
    studio.add_run()
    given = parse_qs(urlsplit(answers_address(None, "demo", ("sft", "tuned"), "p03")).query)
    app = studio.open("Compare", **{name: value for name, (value,) in given.items()})
    assert app.selectbox(key="compare-prompt").value == "p03"
    assert app.selectbox(key="compare-pair").value == "tuned model against SFT model"


def test_of_a_made_task_those_answers_have_a_link_that_a_run_still_has(studio: Studio) -> None:
    studio.add_run()
    (entry,) = list_entries(read_settings())
    sides = [entry.reader.completions(name) for name in ("tuned", "base")]  # the other way round
    anew = sides[0][0].model_copy(update={"text": "Written anew."})
    store = open_store(studio.votes)
    task = store.ensure_task(build_task("made", [[anew, *sides[0][1:]], sides[1]], "Choose.", 0))
    judge_all(store, task)
    found = links(open_results(studio, task))
    there = [one for one in found if isinstance(one, str)]
    assert len(found) == 12 and len(there) == 11 and not [one for one in there if anew.prompt_id in one]


def test_votes_on_nobodys_answers_have_no_links(studio: Studio) -> None:
    studio.add_run()
    assert links(open_results(studio, fill(studio, make_spec(12)))) == []


def test_a_run_whose_answers_are_damaged_shows_its_votes_without_links(studio: Studio) -> None:
    studio.add_recorded()
    assert len(links(studio.open("Results"))) == 24
    scores = studio.root / "recorded" / "evaluation" / "scores.json"
    scores.write_text("{" + scores.read_text())
    app = studio.open("Results")
    assert "24 simulated votes" in said(app) and links(app) == []


def test_what_is_chosen_stands_in_the_address(studio: Studio) -> None:
    studio.add_recorded()
    app = studio.open("Results", votes="Human votes")
    assert "Nobody has judged this run yet." in said(app)
    assert "24 simulated votes" in said(studio.open("Results", votes="nonsense"))
    task = fill(studio, make_spec(criteria=("true", "kind")))
    app = studio.open("Results", task=str(task), criterion="kind")
    assert app.segmented_control(key="criterion").value == "kind" and not app.exception
