"""What votes say of one pair of contenders: outcomes, criteria, categories, the pull of length. Pure display."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import charts
from dashboard.components.look import current_palette, data_behind, show_figure
from dashboard.services import wording
from dashboard.services.results import Results, by_criterion
from rlhf_core.evaluation.statistics import Estimate
from rlhf_core.report.judged_words import length_sentence, share_of
from rlhf_core.report.parts import Votes
from rlhf_core.report.words import contender_name, outcome_name, sentence_case

ORDER = ("contender", "tie", "both_bad", "baseline")
LETTERS = 28
"""So many letters of a name fit beside its interval and its n."""


def outcomes(pair: Votes) -> None:
    """Show the shares of wins, ties, both bad and losses, each with its interval."""
    palette = current_palette()
    colours = palette.contenders((pair.baseline, pair.contender))
    wins = {"contender": colours[pair.contender], "baseline": colours[pair.baseline]}
    named = {name: outcome_name(name, pair.baseline, pair.contender) for name in ORDER}
    figure = charts.outcome_bar(pair.shares, named, wins, palette)
    show_figure(figure, "outcomes", f"Shares of votes: {', '.join(named.values())}")
    cells = [f"{name} {share_of(pair.shares[outcome])}" for outcome, name in named.items()]
    st.caption(wording.plain(" · ".join(cells)))


def criteria(results: Results, pair: Votes) -> None:
    """Show the pair's win rate on every criterion, where there are several."""
    if len(rates := by_criterion(results, pair)) > 1:
        _rates(f"Win rate of the {contender_name(pair.contender)} by criterion", rates, pair, "criteria")


def categories(pair: Votes) -> None:
    """Show the pair's win rate in every category, where there are several."""
    if len(pair.by_category) > 1:
        named = {name or "none": rate for name, rate in pair.by_category.items()}
        _rates(f"Win rate of the {contender_name(pair.contender)} by category", named, pair, "categories")


def length(pair: Votes) -> None:
    """Show what is left of the preference at equal length, beside the plain share of decided votes."""
    st.markdown("#### Better, or only longer?")
    st.markdown(wording.plain(length_sentence(pair)))
    if pair.equal_length.share is not None and pair.decided is not None:
        rates = {"as they are": pair.decided, "at equal length": pair.equal_length.share}
        _rates(f"{sentence_case(contender_name(pair.contender))}’s share of decided votes", rates, pair, "length")
        undecided, method = wording.percent(pair.equal_length.undecided), pair.equal_length.share.method
        st.caption(wording.plain(f"Ties and both bad, {undecided} of votes, are left out. {sentence_case(method)}."))


def numbers(results: Results, pair: Votes) -> None:
    """Offer every number of the pair's figures."""
    measured = {"win rate": pair.win_rate} | {
        outcome_name(k, pair.baseline, pair.contender): v for k, v in pair.shares.items()
    }
    measured |= {f"win rate, {name}": rate for name, rate in by_criterion(results, pair).items()}
    measured |= {f"win rate, category {name or 'none'}": rate for name, rate in pair.by_category.items()}
    measured |= {"share of decided votes": pair.decided, "the same at equal length": pair.equal_length.share}
    rows = [{"measure": name} | one.as_json() for name, one in measured.items() if one is not None]
    data_behind(pd.DataFrame(rows), "data-pair", "Data behind this comparison")


def _rates(title: str, rates: dict[str, Estimate], pair: Votes, key: str) -> None:
    palette = current_palette()
    st.markdown(f"**{wording.plain(title)}**")
    rows = [(one.value, one.low, one.high) for one in rates.values()]
    named = [f"{charts.cut(name, LETTERS)} (n = {one.n:,})" for name, one in rates.items()]
    colour = palette.contenders((pair.baseline, pair.contender))[pair.contender]
    figure = charts.intervals(
        named, rows, palette, reference=0.5, x_title="share, 95% interval", share=True, colours=[colour] * len(rows)
    )
    said = "; ".join(f"{name} {share_of(one)}" for name, one in rates.items())
    show_figure(figure, key, f"{title}: {said}")
