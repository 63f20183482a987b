"""Completions written while a policy trained: what it answered to the same prompts at two steps."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from rlhf_core.visible import one_line

SHORT = 120  # letters of a prompt in a list


@dataclass(frozen=True)
class Pair:
    """One prompt's completions at two steps; a text is None where the step has none."""

    prompt: str
    before: str | None
    after: str | None


def steps_of(samples: pd.DataFrame) -> list[int]:
    """Return the steps with completions, ascending."""
    return sorted(int(step) for step in samples["step"].unique())


def prompts_of(samples: pd.DataFrame) -> dict[str, str]:
    """Return each prompt on one line by its id, in order of the file."""
    first = samples.drop_duplicates("prompt_id")
    return {str(key): one_line(str(prompt)) for key, prompt in first[["prompt_id", "prompt"]].itertuples(index=False)}


def compare_steps(samples: pd.DataFrame, before: int, after: int) -> pd.DataFrame:
    """Return one row per prompt: its score at both steps, the change, KL in nats at the second and the answer there."""
    last = samples.drop_duplicates(["step", "prompt_id"], keep="last")
    scores = last.loc[last["step"] == before, ["prompt_id", "score"]]
    rows = last.loc[last["step"] == after].merge(scores, on="prompt_id", how="left", suffixes=("", "_before"))
    rows["change"] = rows["score"] - rows["score_before"]
    rows["prompt"] = [one_line(str(prompt))[:SHORT] for prompt in rows["prompt"]]
    return rows.loc[:, ["prompt_id", "prompt", "score_before", "score", "change", "kl", "text"]]


def pair_at(samples: pd.DataFrame, prompt_id: str, before: int, after: int) -> Pair:
    """Return what one prompt was answered at two steps."""
    own = samples.loc[samples["prompt_id"] == prompt_id]
    texts = dict(zip(own["step"], own["text"], strict=True))  # of a step that was logged again the last counts
    return Pair(str(own["prompt"].iloc[0]), texts.get(before), texts.get(after))
