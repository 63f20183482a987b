"""The Compare page over many prompts: phrases, slices, length; every view without scores or rows, and on a large run."""

from __future__ import annotations

import json
import time

import pytest

from rlhf_core.data.io import write_jsonl
from tests.dashboard.conftest import Studio, said
from tests.dashboard.large_run import write_large
from tests.dashboard.test_compare_page import SCORES, rows, vote
from tests.run_texts import PROMPTS

FAST = 0.3
"""Seconds of server time in which a change of filters is answered."""


@pytest.mark.parametrize("view", ["Phrases", "Slices", "Length"])
def test_every_view_opens_with_votes_and_without_scores(studio: Studio, view: str) -> None:
    run = studio.add_run()
    vote(studio, {item.id: "tuned" if n % 3 else "base" for n, item in enumerate(PROMPTS)})
    app = studio.open("Compare", **{"compare-view": view})
    assert not app.exception and not app.error
    (run / "evaluation" / "scores.json").unlink()
    app = studio.open("Compare", **{"compare-view": view})
    assert not app.exception and not app.error
    assert "no scores yet" in said(app)


def test_phrases_are_named_with_their_counts_and_choose_prompts(studio: Studio) -> None:
    run = studio.add_run()
    path = run / "completions" / "tuned.jsonl"
    changed = [json.loads(line) for line in path.read_text().splitlines()]
    for row in changed[:9]:
        row["text"] = f"Of course. {row['text']}"
    write_jsonl(path, changed)
    app = studio.open("Compare", **{"compare-view": "Phrases"})
    table = app.dataframe[0].value.set_index("Phrase")
    # Nine of the tuned model's answers say it and none of base's: p = 2/2^9, 75 points.
    assert table.loc["of course", ["Base model", "Tuned model"]].tolist() == [0, 9]
    assert table.loc["of course", "Difference, points"].startswith("+75.0 [")
    assert "differ in how often they say" in said(app) and "phrases" in [chart.key for chart in app.get("plotly_chart")]
    app = studio.open("Compare", **{"compare-phrase": "of course"})
    assert len(rows(app)) == 9 and "9 of 12 prompts fit the filters." in said(app)


def test_slices_give_the_change_and_win_rate_of_each_with_n(studio: Studio) -> None:
    run = studio.add_run()
    vote(studio, {item.id: "tuned" for item in PROMPTS[:4]})
    app = studio.open("Compare", **{"compare-view": "Slices"})
    assert {"slices-change", "slices-rate"} <= {chart.key for chart in app.get("plotly_chart")}
    assert "in base SD" in said(app) and "people’s votes" in said(app)
    said_by_evaluation = [
        row["difference"]
        for row in json.loads((run / "evaluation" / "comparisons.json").read_text())["rows"]
        if (row["scorer"], row["baseline"], row["contender"], row["category"])
        == ("reward model", "base", "tuned", "honest")
    ]
    figure = next(chart for chart in app.get("plotly_chart") if chart.key == "slices-change")
    spec = json.loads(figure.proto.spec)
    names = spec["layout"]["yaxis"]["ticktext"]
    drawn = {names[trace["y"][0]]: trace["x"][0] for trace in spec["data"]}
    assert drawn["honest (n = 4)"] == pytest.approx(said_by_evaluation[0])
    app = studio.open("Compare", **{"compare-view": "Slices", "compare-find": "crisis"})
    assert "The filters choose" not in said(app)
    app = studio.open("Compare", **{"compare-view": "Slices", "compare-phrase": "in a way"})
    assert "would not hold for others" in said(app)


def test_length_is_set_against_votes_and_against_the_score(studio: Studio) -> None:
    studio.add_run()
    app = studio.open("Compare", **{"compare-view": "Length"})
    # Longer answers: those of 10 prompts, counted in words; the score rose on each but p08's and p12's, which are shorter.
    longer = [item for item in PROMPTS if len(item.text["tuned"].split()) > len(item.text["base"].split())]
    rose = sum(SCORES[item.id] > 0 for item in longer)
    assert f"The score rose on {rose} of {len(longer)} longer answers and on" in said(app)
    vote(studio, {item.id: "tuned" if n % 3 else "base" for n, item in enumerate(PROMPTS)})
    app = studio.open("Compare", **{"compare-view": "Length"})
    assert "#### Better, or only longer?" in said(app)
    app.segmented_control(key="compare-by").set_value("Score change").run()
    assert "The score rose on" in said(app)


@pytest.mark.parametrize("view", ["Prompts", "Phrases", "Slices", "Length"])
def test_where_nothing_is_left_every_view_teaches(studio: Studio, view: str) -> None:
    run = studio.add_run()
    vote(studio, {item.id: "tuned" for item in PROMPTS})
    app = studio.open("Compare", **{"compare-view": view, "compare-find": "zebra"})
    assert not app.exception and not app.error and "0 of 12 prompts fit the filters." in said(app)
    path = run / "completions" / "base.jsonl"
    path.write_text(
        path.read_text().replace('"prompt_id": "p', '"prompt_id": "q').replace('"prompt_id":"p', '"prompt_id":"q')
    )
    app = studio.open("Compare", **{"compare-view": view})
    assert not app.exception and not app.error
    assert view != "Prompts" or "**No prompt was answered by both**" in said(app)
    assert "0 prompts, each answered by both. 24 prompts that only one of the two answered are left out." in said(app)


def test_a_filter_is_answered_fast_on_a_large_run(studio: Studio) -> None:
    """1,000 prompts × 3 contenders and 10,000 votes; the median of five, as others use the machine too."""
    write_large(studio.root / "recorded")
    app = studio.open("Compare")
    assert not app.exception and "1,000 prompts, each answered by both." in said(app)
    assert rows(app)["Votes"].sum() == 10_000
    for view in ("Prompts", "Phrases", "Slices", "Length"):
        app.segmented_control(key="compare-view").set_value(view).run()
        taken = []
        for categories in (["honest"], ["helpful"], ["harmless"], ["honest", "helpful"], []):
            start = time.process_time()
            app.multiselect(key="compare-category").set_value(categories).run()
            taken.append(time.process_time() - start)
        assert not app.exception and sorted(taken)[2] < FAST, (view, taken)
