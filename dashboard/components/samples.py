"""What the policy answered to the same prompts at two steps of training. Owns the keys `steps`, `sample` and `samples`."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.components.look import current_palette, data_behind
from dashboard.components.states import empty_state
from dashboard.components.word_diff import show_marked
from dashboard.services import samples, wording
from dashboard.services.catalogue import RunEntry
from dashboard.services.word_diff import diff_words, only

URL = "query-params"
STEPS = "steps"


def samples_section(entry: RunEntry) -> None:
    """Show every held-out prompt's scores at two steps, and the texts of one of them word by word; an imported run has none."""
    if entry.reader.status().imported:
        return
    st.markdown("#### Completions through training")
    found = entry.reader.samples()
    steps = samples.steps_of(found)
    if not steps:
        empty_state("No completions yet", "PPO writes answers to held-out prompts at every evaluation.")
        return
    before, after = _choose_steps(steps)
    rows = samples.compare_steps(found, before, after)
    prompts = samples.prompts_of(found)
    chosen = st.selectbox("Held-out prompt", list(prompts), format_func=prompts.__getitem__, key="sample", bind=URL)
    _pair(samples.pair_at(found, chosen, before, after), before, after)
    _table(rows, before, after)
    own = found.loc[found["prompt_id"] == chosen, ["step", "score", "kl", "text"]].sort_values("step")
    data_behind(own, "data-sample", f"This prompt at {wording.count(len(own), 'step')}")


def show_step(step: int) -> None:
    """Have the completions of a step shown, against the earlier of the two that were."""
    first = min(st.session_state.get(STEPS, (0, step)))
    st.session_state[STEPS] = (min(first, step), step)


def _choose_steps(steps: list[int]) -> tuple[int, int]:
    if len(steps) == 1:
        return steps[0], steps[0]
    if (kept := st.session_state.get(STEPS)) and not {*kept} <= {*steps}:
        del st.session_state[STEPS]  # of another run
    before, after = st.select_slider(
        *("Steps to compare", steps),
        value=(steps[0], steps[-1]),
        key=STEPS,
        bind=URL,
        help="A dot in the charts above brings its step here too.",
    )
    return before, after


def _pair(pair: samples.Pair, before: int, after: int) -> None:
    segments, palette = diff_words(pair.before or "", pair.after or ""), current_palette()
    sides = ((f"Step {before}", only(segments, "removed")), (f"Step {after}", only(segments, "added")))
    with st.container(border=True):
        st.text(pair.prompt)
        for column, (title, side) in zip(st.columns(2, gap="medium"), sides, strict=True):
            with column:
                st.markdown(f"**{title}**")
                show_marked(side, palette.base, palette.tuned, struck=False)
        st.caption(f"Dotted: at step {before} only. Underlined: at step {after} only.")


def _table(rows: pd.DataFrame, before: int, after: int) -> None:
    """One row a prompt; choosing one shows its texts above."""
    number = st.column_config.NumberColumn
    config = {
        "prompt_id": None,
        "prompt": st.column_config.TextColumn("Prompt", width="medium"),
        "score_before": number(
            f"Score, step {before}", format="%.2f", width="small", help="Reward model, reference SD"
        ),
        "score": number(f"Step {after}", format="%.2f", width="small", help="Score: reward model, reference SD"),
        "change": number("Change", format="%+.2f", width="small"),
        "kl": number("KL, nats", format="%.1f", width="small", help=f"Of the whole response at step {after}"),
        "text": st.column_config.TextColumn(f"Completion, step {after}", width="large"),
    }
    order = rows["prompt_id"].tolist()
    st.dataframe(
        rows,
        hide_index=True,
        column_config=config,
        key="samples",
        on_select=lambda: _choose(order),
        selection_mode="single-row",
    )


def _choose(order: list[str]) -> None:
    if rows := st.session_state["samples"]["selection"]["rows"]:
        st.session_state["sample"] = order[rows[0]]
