"""The services of the Compare page: what they compare, slice and keep, against values worked out by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.services.access import Visitor
from dashboard.services.catalogue import RunEntry, list_entries
from dashboard.services.comparing import SCORE, Comparison, Measure, compare_pair
from dashboard.services.pair_votes import votes_on_pair
from dashboard.services.phrase_rows import drawn, phrase_report, phrases_csv
from dashboard.services.prompt_table import Filters, in_order, keep, prompt_table, terciles
from dashboard.services.settings import read_settings
from dashboard.services.slices import slices
from rlhf_core.errors import AccessError
from rlhf_core.evaluation.prompt_votes import DISAGREE
from tests.dashboard.conftest import Studio
from tests.run_factory import CONTENDERS, vote_frame
from tests.run_texts import PROMPTS


def compared_of(studio: Studio, baseline: str = "base", contender: str = "tuned") -> Comparison:
    studio.add_run()
    return compare_pair(list_entries(read_settings())[0], baseline, contender)


def test_a_comparison_holds_every_score_and_length_by_prompt(studio: Studio) -> None:
    compared = compared_of(studio)
    rows = compared.rows.set_index("prompt_id")
    for item in PROMPTS:
        row = rows.loc[item.id]
        assert (row["before"], row["after"], row["category"]) == (item.text["base"], item.text["tuned"], item.category)
        assert row[SCORE.column("change")] == pytest.approx(item.score["tuned"] - item.score["base"])
        assert row["words"] == len(item.text["tuned"].split()) - len(item.text["base"].split())
        assert row["characters"] == len(item.text["tuned"]) - len(item.text["base"])
    assert compared.measures[0] == SCORE and compared.toxicity == Measure("profanity-check", "profanity")
    assert compared.toxicity in compared.measures and Measure("text", "words") not in compared.measures
    # Differences of the reward model's score are averaged in standard deviations of base's.
    deviation = np.std([item.score["base"] for item in PROMPTS], ddof=1)
    assert compared.scale[SCORE] == ("base SD", pytest.approx(deviation))


def test_it_is_read_again_when_a_file_changes_and_not_before(studio: Studio) -> None:
    entry = RunEntry(studio.add_run().resolve())
    first = compare_pair(entry, "base", "tuned")
    assert compare_pair(entry, "base", "tuned") is first
    path = entry.path / "evaluation" / "scores.json"
    content = json.loads(path.read_text())
    content["rows"][0]["value"] += 1000.25
    path.write_text(json.dumps(content))
    assert compare_pair(entry, "base", "tuned") is not first


def test_a_contender_without_scores_has_none_and_is_kept(studio: Studio) -> None:
    run = studio.add_run()
    path = run / "evaluation" / "scores.json"
    content = json.loads(path.read_text())
    content["rows"] = [row for row in content["rows"] if row["contender"] != "sft"]
    path.write_text(json.dumps(content))
    compared = compare_pair(list_entries(read_settings())[0], "base", "sft")
    assert len(compared.rows) == 12 and compared.rows[SCORE.column("change")].isna().all()
    table = prompt_table(compared, None, "")
    assert keep(table, Filters(ranges={SCORE.column("change"): (-9.0, 9.0)}), compared).sum() == 0
    assert [one.change for one in slices(compared, table, pd.DataFrame(), "Category", SCORE)] == [None] * 4


def test_filters_by_what_people_said(studio: Studio) -> None:
    write = studio.root / "recorded"
    studio.add_recorded()
    settings, entry = read_settings(), RunEntry(write.resolve(), recorded=True)
    compared = compare_pair(entry, "base", "tuned")
    (votes,) = votes_on_pair(settings, entry, compared)
    assert votes.simulated and votes.criteria == ["overall"] and len(votes.frame) == 24
    table = prompt_table(compared, votes, "overall")
    said = vote_frame(simulated=True)
    for outcome in ("contender", "baseline", "tie"):
        kept = keep(table, Filters(votes=outcome), compared)
        wanted = {key for key, part in said.groupby("prompt_id") if (part["outcome"] == outcome).all()}
        assert set(table.loc[kept, "prompt_id"]) == wanted
    # The two labellers differ on the last prompt: nobody leads.
    assert table.loc[keep(table, Filters(votes="split"), compared), "prompt_id"].tolist() == [PROMPTS[-1].id]
    assert keep(table, Filters(votes="judged"), compared).all()
    assert not keep(table, Filters(votes="unjudged"), compared).any()
    # The rule prefers the clearly higher score: it cannot disagree with it.
    assert not keep(table, Filters(against=DISAGREE), compared).any()


def test_labellers_may_not_ask(studio: Studio) -> None:
    entry = RunEntry(studio.add_run().resolve())
    settings = replace(read_settings(), visitor=Visitor("lea", "labeller"))
    with pytest.raises(AccessError, match="your role does not allow to read here"):
        votes_on_pair(settings, entry, compare_pair(entry, "base", "tuned"))


def test_slices_by_hand(studio: Studio) -> None:
    compared = compared_of(studio)
    table = prompt_table(compared, None, "")
    votes = vote_frame().assign(score=[1.0] * 12 + [0.0] * 12)
    found = {
        one.name: one for one in slices(compared, table, votes, "Category", Measure("profanity-check", "profanity"))
    }
    assert list(found) == ["", "harmless", "helpful", "honest"]
    harmless = [item for item in PROMPTS if item.category == "harmless"]
    mean = np.mean([item.profanity["tuned"] - item.profanity["base"] for item in harmless])
    assert found["harmless"].change is not None and found["harmless"].change.value == pytest.approx(mean)
    assert found["harmless"].win_rate is not None
    assert (found["harmless"].win_rate.value, found["harmless"].win_rate.n) == (0.5, 2 * len(harmless))
    assert (found[""].prompts, found["harmless"].prompts) == (12, len(harmless))
    by_length = {one.name: one.prompts for one in slices(compared, table, votes, "Change of length", None)}
    times = [len(item.text["tuned"].split()) / len(item.text["base"].split()) for item in PROMPTS]
    longer, shorter = sum(x > 1.25 for x in times), sum(x < 0.75 for x in times)
    assert list(by_length.values()) == [12, shorter, 12 - longer - shorter, longer] and longer and shorter


def test_every_way_of_slicing_puts_every_prompt_into_one_slice(studio: Studio) -> None:
    compared = compared_of(studio)
    table = prompt_table(compared, None, "")
    for by in ("Category", "Length of the prompt", "Length of the baseline’s answer", "Change of length"):
        everything, *parts = slices(compared, table, pd.DataFrame(), by, SCORE)
        assert sum(part.prompts for part in parts) == everything.prompts == 12
        whole = sum(part.change.value * part.change.n for part in parts if part.change) / 12
        assert everything.change is not None and everything.change.value == pytest.approx(whole)


def test_thirds_in_words() -> None:
    assert terciles(np.arange(1, 10), "words").tolist() == [
        *["1 to 3 words"] * 3,
        *["4 to 6 words"] * 3,
        *["7 to 9 words"] * 3,
    ]
    assert set(terciles(np.array([5, 5, 5]), "words")) == {"5 words"}
    assert terciles(np.array([], dtype=np.int64), "words").size == 0


@given(st.lists(st.integers(0, 50), min_size=1, max_size=40))
def test_thirds_share_out_all_values_and_keep_equal_ones_together(values: list[int]) -> None:
    named = terciles(np.array(values), "words")
    assert len(set(named)) <= 3 and None not in set(named)
    assert all(len({named[n] for n, other in enumerate(values) if other == value}) == 1 for value in values)


def test_rows_without_a_value_come_last_whichever_way() -> None:
    rows = pd.DataFrame({"prompt_id": list("abcd"), "x": [2.0, np.nan, 1.0, 2.0]})
    assert in_order(rows, "x", False)["prompt_id"].tolist() == ["c", "a", "d", "b"]
    assert in_order(rows, "x", True)["prompt_id"].tolist() == ["a", "d", "c", "b"]


def test_phrases_are_compared_once_for_each_set_of_prompts(studio: Studio) -> None:
    run = studio.add_run()
    path = run / "completions" / "tuned.jsonl"
    path.write_text(path.read_text().replace('"text": "', '"text": "Of course. '))
    compared = compare_pair(list_entries(read_settings())[0], "base", "tuned")
    everything = np.ones(12, dtype=bool)
    report = phrase_report(compared, everything)
    assert phrase_report(compared, everything.copy()) is report
    assert drawn(report)[0].text == "of course" and drawn(report)[0].after == 12
    text = phrases_csv(compared, report)
    assert text.startswith("baseline,contender,prompts,text,before,after,") and "of course" in text
    assert phrase_report(compared, np.arange(12) < 3).tested == 0
    assert set(CONTENDERS) >= {compared.baseline, compared.contender}
