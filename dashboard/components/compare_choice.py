"""What the Compare page looks at: which two contenders, whose votes, which prompts. Owns keys `compare-…`, kept in the address."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.services import wording
from dashboard.services.addresses import pair_label
from dashboard.services.catalogue import RunEntry
from dashboard.services.comparing import SCORE, Comparison, Measure, compare_pair, pairs_of
from dashboard.services.pair_votes import PairVotes, votes_on_pair
from dashboard.services.prompt_table import AGAINST, NO_CATEGORY, Filters, Mask, keep, prompt_table
from dashboard.services.settings import Settings
from rlhf_core.evaluation.prompt_votes import SPLIT
from rlhf_core.report.words import outcome_name, sentence_case

URL = "query-params"
ANY = "Any"


@dataclass(frozen=True)
class Browsed:
    """Two contenders of a run over the prompts that the filters leave.

    Attributes:
        votes: the source of votes, None without any; `criterion` that of `table`'s columns.
        table: every prompt, with what people said of it; `kept` flags those the filters leave.
    """

    compared: Comparison
    votes: PairVotes | None
    criterion: str
    table: pd.DataFrame
    filters: Filters
    kept: Mask

    @property
    def names(self) -> tuple[str, str]:
        """Baseline and contender in prose."""
        return wording.contender_name(self.compared.baseline), wording.contender_name(self.compared.contender)

    @property
    def judged(self) -> pd.DataFrame:
        """The votes on the chosen criterion; empty without any."""
        return self.votes.on(self.criterion) if self.votes else pd.DataFrame()


def choose(settings: Settings, entry: RunEntry) -> tuple[Comparison, PairVotes | None, str]:
    """Ask which contenders, whose votes and on which criterion; a choice only where there are several."""
    pairs = {pair_label(*pair): pair for pair in pairs_of(entry)}
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        chosen = st.selectbox("Contenders", list(pairs), key="compare-pair", bind=URL, width=330)
        compared = compare_pair(entry, *pairs.get(chosen, next(iter(pairs.values()))))
        sources = {source.label: source for source in votes_on_pair(settings, entry, compared)}
        if not sources:
            return compared, None, ""
        votes = next(iter(sources.values()))
        if len(sources) > 1:
            label = st.selectbox("Votes of", list(sources), key="compare-votes-of", bind=URL, width=260)
            votes = sources.get(label, votes)
        criterion = votes.criteria[0]
        if len(votes.criteria) > 1:
            asked = st.selectbox("Criterion", votes.criteria, key="compare-criterion", bind=URL, width=200)
            criterion = asked if asked in votes.criteria else criterion
        if votes.simulated:
            st.badge("made by a rule, no person judged", icon=":material/smart_toy:", color="gray")
    return compared, votes, criterion


def browse(compared: Comparison, votes: PairVotes | None, criterion: str) -> Browsed:
    """Ask for filters and return what they leave."""
    table = prompt_table(compared, votes, criterion)
    filters = _filters(compared, table, votes)
    return Browsed(compared, votes, criterion, table, filters, keep(table, filters, compared))


def clear_filters() -> None:
    """Take every filter off."""
    everything = {"category": [], "find": "", "phrase": "", "votes": ANY, "against": ANY}
    st.session_state.update({f"compare-{name}": value for name, value in everything.items()})
    st.session_state.update(st.session_state.get("compare-bounds", {}))


def _filters(compared: Comparison, table: pd.DataFrame, votes: PairVotes | None) -> Filters:
    found = sorted({name or NO_CATEGORY for name in table["category"]})
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        categories = (
            st.multiselect("Category", found, key="compare-category", bind=URL, width=190, placeholder="All")
            if len(found) > 1
            else []
        )
        text = st.text_input("Find in prompts and answers", key="compare-find", bind=URL, width=190)
        phrase = st.text_input(
            "Phrase in an answer",
            key="compare-phrase",
            bind=URL,
            width=160,
            help="Whole words in a row, in either answer",
        )
        judged = _choice("Votes", _outcomes(compared), "votes") if votes else ""
        against = _choice("Votes and reward model", AGAINST, "against") if votes and SCORE in compared.measures else ""
    return Filters(tuple(categories), text, phrase, _ranges(compared, table), judged, against)


def _outcomes(compared: Comparison) -> dict[str, str]:
    """The choices of people that can be filtered by, in words."""
    outcomes = {
        name: outcome_name(name, compared.baseline, compared.contender) for name in ("contender", "baseline", "tie")
    }
    outcomes |= {"both_bad": "both bad", SPLIT: "split"}
    return {"judged": "judged", "unjudged": "not judged"} | outcomes


def _choice(label: str, named: dict[str, str], key: str) -> str:
    options = {ANY: ""} | {sentence_case(words): name for name, words in named.items() if words}
    return options.get(st.selectbox(label, list(options), key=f"compare-{key}", bind=URL, width=170), "")


def _ranges(compared: Comparison, table: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Ask for ranges of the changes; one that spans everything is no filter."""
    sides: list[tuple[str, str, float, str]] = []
    for measure, step, key in ((SCORE, 0.1, "score"), (compared.toxicity, 0.01, "toxicity")):
        if isinstance(measure, Measure) and measure in compared.measures:
            sides.append((f"Change of {_in_a_sentence(measure)}", measure.column("change"), step, key))
    sides.append(("Change of length, words", "words", 1.0, "words"))
    found = {}
    with st.expander("Filter by change", key="compare-ranges", icon=":material/tune:", type="compact"):
        for place, (label, column, step, key) in zip(st.columns(len(sides), gap="medium"), sides, strict=True):
            with place:
                found[column] = _range(label, table[column].to_numpy(float), step, f"compare-by-{key}")
    return {column: ends for column, ends in found.items() if ends is not None}


def _in_a_sentence(measure: Measure) -> str:
    return wording.plain("the score" if measure == SCORE else f"{measure.measure.replace('_', ' ')} ({measure.scorer})")


def _range(label: str, values: np.ndarray, step: float, key: str) -> tuple[float, float] | None:
    known = values[np.isfinite(values)]
    low, high = (np.floor(known.min() / step) * step, np.ceil(known.max() / step) * step) if len(known) else (0.0, 0.0)
    if low >= high:
        return None
    low, high = round(float(low), 2), round(float(high), 2)
    _fit(key, (low, high))
    form = "%.0f" if step == 1 else "%.2f"
    ends = st.slider(label, low, high, (low, high), step, format=form, key=key, bind=URL)
    return None if ends == (low, high) else ends


def _fit(key: str, bounds: tuple[float, float]) -> None:
    """Keep a chosen range within the bounds of other contenders or another run; one that spanned everything goes on doing so."""
    before = st.session_state.setdefault("compare-bounds", {}).get(key)
    st.session_state["compare-bounds"][key] = bounds
    if key in st.session_state and before not in (None, bounds):
        low, high = (min(max(end, bounds[0]), bounds[1]) for end in st.session_state[key])
        st.session_state[key] = bounds if st.session_state[key] == before or low == high else (low, high)
