"""Results: what people prefer, with its interval; whether that is settled; who judged, how well; and the votes themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from dashboard.components import pair_results
from dashboard.components.auto_judges import auto_judge_section
from dashboard.components.contenders import choose_pair, standings
from dashboard.components.gate import current_settings
from dashboard.components.imported import curves_alone
from dashboard.components.judges import judges_section
from dashboard.components.links import link_to
from dashboard.components.look import page_heading
from dashboard.components.next_round import next_round_section
from dashboard.components.refusals import refusal_section
from dashboard.components.runs import live, refreshing
from dashboard.components.states import empty_state, guarded
from dashboard.components.stopping import may_stop
from dashboard.components.tasks import pick_results
from dashboard.components.trust import trust, who_judged
from dashboard.components.vote_rows import vote_rows
from dashboard.services import wording
from dashboard.services.auto_judges import auto_judges_of_run, auto_judges_of_task
from dashboard.services.catalogue import RunEntry, imported_from
from dashboard.services.judged import Judged, addresses, results_of_run, results_of_task
from dashboard.services.results import Results
from dashboard.services.settings import Settings
from dashboard.services.voting import simulation_rule
from rlhf_core.report.judged_words import preference_sentence, stop_sentence
from rlhf_core.report.parts import Votes

SKELETON = 420
"""Pixels: the strengths and the first figures."""
HUMAN, SIMULATED = "Human votes", "Simulated votes"
NO_VOTES = "The Judge page shows answers blind, side by side. The win rate appears here with the first vote."
NOT_PEOPLE = """**Simulated votes.** A rule made them, no person judged: they show how this page works and say nothing
about quality."""


def show() -> None:
    """Draw the page."""
    settings = current_settings()
    chosen = pick_results(settings)
    if isinstance(chosen, RunEntry):
        entry = chosen
        live(lambda: _of_run(settings, entry), settings, entry)
    elif chosen is not None:
        task = chosen.id
        refreshing(lambda: _of_task(settings, task))


def _of_run(settings: Settings, entry: RunEntry) -> None:
    _guarded_votes(settings, lambda: results_of_run(settings, entry), entry)
    with guarded("The automatic judges"):
        auto_judge_section(auto_judges_of_run(settings, entry))
    with guarded("The next round"):
        next_round_section(settings, entry)
    with guarded("The test of refusals"):
        refusal_section(entry)


def _of_task(settings: Settings, task: int) -> None:
    _guarded_votes(settings, lambda: results_of_task(settings, task), None)
    with guarded("The automatic judges"):
        auto_judge_section(auto_judges_of_task(settings, task))


def _guarded_votes(settings: Settings, read: Callable[[], Judged], entry: RunEntry | None) -> None:
    heading = st.container()
    with guarded("The votes"):
        with st.skeleton(height=SKELETON):
            judged = read()
        results = judged.simulated if _choose(judged) == SIMULATED else judged.human
        if results is None:
            with heading:
                page_heading("Results", f"Nobody has judged this {'run' if entry else 'task'} yet.")
            _no_votes(entry)
            return
        if results.simulated:
            _say_simulated(entry)
        pair = _evidence(heading, results)
        vote_rows(results.votes_of(pair), addresses(settings, judged, pair, st.context.url))


def _no_votes(entry: RunEntry | None) -> None:
    if entry and imported_from(entry):
        curves_alone("judge")
        return
    empty_state("No human votes yet", NO_VOTES)
    link_to("Judge", "Judge some pairs, blind")


def _choose(judged: Judged) -> str:
    """Return which votes to show; a choice only where there are simulated ones."""
    if judged.simulated is None:
        return HUMAN
    default = SIMULATED if judged.human is None else HUMAN
    chosen = st.segmented_control(
        "Votes", [HUMAN, SIMULATED], default=default, required=True, key="votes", bind="query-params"
    )
    return chosen or default


def _say_simulated(entry: RunEntry | None) -> None:
    st.warning(NOT_PEOPLE, icon=":material/smart_toy:")
    if entry and (rule := simulation_rule(entry)):
        with st.expander("The rule that made them", type="compact"):
            st.text(rule)


def _evidence(heading: Any, results: Results) -> Votes:
    """Show what the votes say; return the pair that was chosen."""
    criterion = results.criteria[0]
    if len(results.criteria) > 1:
        criterion = st.segmented_control(
            "Criterion", results.criteria, default=criterion, required=True, key="criterion", bind="query-params"
        )
    with heading:
        page_heading("Results", results.sentence(criterion), stop_sentence(results.lead(criterion).stop))
    standings(results, criterion)
    pair = choose_pair(results, criterion)
    if len(results.of(criterion)) > 1:
        st.markdown(wording.plain(preference_sentence(pair)))
    pair_results.outcomes(pair)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        pair_results.criteria(results, pair)
        pair_results.categories(pair)
        pair_results.numbers(results, pair)
        may_stop(pair)
    with right:
        trust(results, pair)
        pair_results.length(pair)
    judges_section(results, pair)
    who_judged(results, criterion)
    return pair
