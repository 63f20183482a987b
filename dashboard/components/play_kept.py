"""The pairs kept in the playground, and the task that people judge them in. Owns keys `play-task-…`."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.components.links import link_to
from dashboard.components.look import data_behind
from dashboard.services import playground
from dashboard.services.catalogue import RunEntry
from dashboard.services.settings import Settings
from dashboard.services.tasks import DRAFT, OPEN
from dashboard.services.wording import count, listed, moment, plain
from rlhf_core.errors import RlhfError
from rlhf_core.feedback.records import TaskInfo
from rlhf_core.playground.kept import KeptPair

MADE = "play-task-made"


def kept_pairs(settings: Settings, entry: RunEntry) -> None:
    """Show how many pairs are kept, of whom, and make tasks of them; nothing before the first."""
    found = playground.kept(settings, entry)
    if not found:
        return
    st.markdown("#### Kept as judging items")
    for pair, rows in found.items():
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            st.markdown(f"{_counted(rows)} of {plain(listed(pair))}", width="content")
            them = "it" if len(rows) == 1 else "them"
            st.button(
                f"Make a task of {them}", key=f"play-task-{'-'.join(pair)}", icon=":material/assignment_add:",
                on_click=_make, args=(settings, entry, pair, len(rows)),
            )  # fmt: skip
    _made(entry, {pair: len(rows) for pair, rows in found.items()})
    st.caption(
        "Whoever kept them saw the names and chose: votes on them compare these answers, not the models in general. "
        "Labellers see no names, and the sides are counterbalanced as in every task."
    )
    data_behind(_table([one for rows in found.values() for one in rows]), "play-kept", "The kept pairs")


def _make(settings: Settings, entry: RunEntry, pair: tuple[str, str], size: int) -> None:
    try:
        became: tuple[TaskInfo, bool] | str = playground.make_task(settings, entry, pair)
    except RlhfError as error:
        became = str(error)
    st.session_state[MADE] = entry.path, pair, size, became


def _made(entry: RunEntry, sizes: dict[tuple[str, str], int]) -> None:
    """The way to the task that was made last, as long as it holds all that is kept of its two contenders."""
    run, pair, size, became = st.session_state.get(MADE, (None, ("", ""), 0, ""))
    if run != entry.path or sizes.get(pair) != size:
        return
    if isinstance(became, str):
        st.error(plain(became), icon=":material/error:")
        return
    task, new = became
    said = f"Task {task.id} {'holds these pairs' if new else 'held these pairs already'}"
    if task.state == DRAFT:
        said += " and is a draft: some answers give their author away"
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.markdown(f"{said}.", width="content")
        link_to("Tasks", "Look closer", task=str(task.id))
        if task.state == OPEN:
            link_to("Judge", "Judge it", task=str(task.id))


def _counted(rows: list[KeptPair]) -> str:
    """`3 pairs`, and of how many prompts where some are of the same."""
    prompts = len({pair.asked for pair in rows})
    return count(len(rows), "pair") + ("" if prompts == len(rows) else f" on {count(prompts, 'prompt')}")


def _table(pairs: list[KeptPair]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Prompt": pair.transcript,
            "First": pair.completions[0].contender,
            "First answer": pair.completions[0].text,
            "Second": pair.completions[1].contender,
            "Second answer": pair.completions[1].text,
            "Temperature": pair.temperature,
            "Top p": pair.top_p,
            "Seed": pair.seed,
            "Kept (UTC)": moment(pair.kept_at),
        }
        for pair in pairs
    )
