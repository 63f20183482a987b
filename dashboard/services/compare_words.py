"""What the Compare page says in sentences, each with its n."""

from __future__ import annotations

import pandas as pd

from dashboard.services import wording
from dashboard.services.comparing import SCORE, Comparison
from dashboard.services.prompt_table import Mask
from rlhf_core.evaluation.phrases import FEWEST, RATE, PhraseReport
from rlhf_core.evaluation.prompt_votes import AGREE, DISAGREE
from rlhf_core.report.judged_words import the
from rlhf_core.report.words import sentence_case

PHRASE_HOW = (
    "A response counts once however often it says a phrase; phrases have one to three words, those that the very same responses "
    f"contain are shown once, the longest. McNemar’s exact test over prompts, of phrases on which {FEWEST} or more prompts differ; "
    f"found: at most {RATE:.0%} of them false on average (Benjamini–Hochberg, q). Log odds: Monroe, Colaresi & Quinn 2008, with "
    "the prior of ten prompts. Each interval is a 95% one by itself."
)
CHOSEN_BY_OUTCOME = (
    "The filters choose prompts by what came out: averages, intervals and tests below describe these prompts and would not hold "
    "for others."
)


def headline(compared: Comparison, table: pd.DataFrame, kept: Mask) -> str:
    """Say on how many of the kept prompts the contender scores higher and lower."""
    ours, theirs = the(compared.contender), the(compared.baseline)
    if SCORE not in compared.measures:
        return f"{sentence_case(ours)} against {theirs}, prompt by prompt; no scores yet."
    change = table.loc[kept, SCORE.column("change")].dropna()
    if change.empty:
        return f"No scored prompt of {ours} against {theirs} is left."
    up, down = int((change > 0).sum()), int((change < 0).sum())
    prompts = wording.count(len(change), "prompt")
    return f"{sentence_case(ours)} scores higher than {theirs} on {up:,} of {prompts}, lower on {down:,}."


def against_sentence(table: pd.DataFrame, kept: Mask, simulated: bool) -> str:
    """Say how often people, or the rule, and the reward model disagree where both chose a side; empty without votes."""
    said = table.loc[kept, "against"]
    both, wrong = int(said.isin([AGREE, DISAGREE]).sum()), int((said == DISAGREE).sum())
    if not both:
        return ""
    who = "The rule that made the votes" if simulated else "People"
    return f"{who} and the reward model disagree on {wrong:,} of {wording.count(both, 'prompt')} on which both chose a side."


def phrases_sentence(report: PhraseReport, compared: Comparison) -> str:
    """Say how many phrases one says more often than the other."""
    over = f"over {wording.count(report.prompts, 'prompt')}"
    if not report.tested:
        return f"No phrase can be compared {over}: on each, fewer than {FEWEST} prompts differ."
    tested = wording.count(report.tested, "phrase")
    if not report.found:
        return f"No phrase is said more often by one than by the other, of {tested} tested {over}."
    sides = f"{sentence_case(the(compared.contender))} and {the(compared.baseline)}"
    return f"{sides} differ in how often they say {report.found:,} of {tested} tested {over}."


def length_of_scores_sentence(table: pd.DataFrame, kept: Mask) -> str:
    """Say how often the score rises with longer answers and with shorter ones."""
    part = table.loc[kept, ["words", SCORE.column("change")]].dropna()
    parts = []
    for word, mine in (("longer", part["words"] > 0), ("shorter", part["words"] < 0)):
        rose = int((part.loc[mine, SCORE.column("change")] > 0).sum())
        parts.append(f"{rose:,} of {wording.count(int(mine.sum()), f'{word} answer')}")
    return f"The score rose on {parts[0]} and on {parts[1]}."
