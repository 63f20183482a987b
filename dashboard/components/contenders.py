"""More than two contenders: how strong each is, who beats whom, and the pair to look at. Owns keys `pair-…`."""

from __future__ import annotations

from math import isfinite

import pandas as pd
import streamlit as st

from dashboard import charts
from dashboard.components.look import current_palette, data_behind, show_figure
from dashboard.result_charts import matrix, with_names
from dashboard.services import wording
from dashboard.services.addresses import pair_label
from dashboard.services.results import Results, names, win_matrix
from rlhf_core.evaluation.statistics import Ranking
from rlhf_core.report.judged_words import share_of
from rlhf_core.report.parts import Votes
from rlhf_core.report.words import contender_name, sentence_case

MODEL = "Bradley–Terry with ties (Davidson 1970); both bad prefers nobody and does not count."


def standings(results: Results, criterion: str) -> None:
    """Show strengths with their intervals beside the matrix of win rates; nothing for two contenders."""
    ranking, pairs = results.rankings.get(criterion), results.of(criterion)
    if ranking is None:
        return
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Strength** :small[:gray[log odds against the mean; further right is stronger]]")
        _strengths(ranking, names(pairs))
    with right:
        st.markdown("**Who beats whom** :small[:gray[win rate of the row against the column]]")
        table = win_matrix(pairs)
        named = with_names(table, {name: contender_name(name) for name in table})
        figure = matrix(named, current_palette())
        said = "; ".join(f"{p.contender} against {p.baseline} {share_of(p.win_rate)}" for p in pairs)
        show_figure(figure, "matrix", f"Win rates of the row against the column: {said}")
    data_behind(_table(ranking, pairs), "data-contenders", "Data behind the contenders")


def choose_pair(results: Results, criterion: str) -> Votes:
    """Return the pair to show in detail, at first the two strongest; a choice only where there are several."""
    pairs, lead = results.of(criterion), results.lead(criterion)
    if len(pairs) == 1:
        return lead
    labels = {pair_label(pair.baseline, pair.contender): pair for pair in pairs}
    first = pairs.index(lead)
    chosen = st.selectbox(
        "Comparison", list(labels), index=first, key=f"pair-{criterion}", bind="query-params", width=420
    )
    return labels.get(chosen, lead)


def _strengths(ranking: Ranking, everyone: list[str]) -> None:
    palette = current_palette()
    if ranking.strengths:
        colours = palette.contenders(everyone)
        rows = [
            (s.value, *((s.low, s.high) if isfinite(s.high) else (s.value, s.value)))
            for s in ranking.strengths.values()
        ]
        named = [contender_name(name) for name in ranking.strengths]
        figure = charts.intervals(
            named, rows, palette, reference=0.0, x_title="strength, 95% interval",
            colours=[colours[name] for name in ranking.strengths],
        )  # fmt: skip
        show_figure(figure, "strengths", f"Strength of each contender, strongest first: {', '.join(named)}")
        method = next(iter(ranking.strengths.values())).method
        st.caption(wording.plain(f"{MODEL} Interval: {method}."))
    for name, why in ranking.unplaced.items():
        st.markdown(
            f"- **{wording.plain(sentence_case(contender_name(name)))}** has no strength: {wording.plain(why)}."
        )


def _table(ranking: Ranking, pairs: list[Votes]) -> pd.DataFrame:
    rows = [
        {
            "what": "strength",
            "contender": name,
            "against": "",
            "value": s.value,
            "low": s.low,
            "high": s.high,
            "votes": s.n,
        }
        for name, s in ranking.strengths.items()
    ]
    rows += [
        {"what": "win rate", "contender": p.contender, "against": p.baseline}
        | {"value": p.win_rate.value, "low": p.win_rate.low, "high": p.win_rate.high, "votes": p.n}
        for p in pairs
    ]
    rows += [
        {"what": "both bad", "contender": name, "against": "", "value": share}
        for name, share in ranking.both_bad.items()
    ]
    return pd.DataFrame(rows)
