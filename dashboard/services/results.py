"""What the votes on one task say: every figure of the Results page, computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from rlhf_core.errors import DataError
from rlhf_core.evaluation.agreement import Agreement, agreement
from rlhf_core.evaluation.ballots import one_pair_each, pair_items
from rlhf_core.evaluation.labellers import labeller_quality
from rlhf_core.evaluation.statistics import Estimate, Ranking, bradley_terry
from rlhf_core.evaluation.statistics.checks import has_votes
from rlhf_core.report.judged import summarise
from rlhf_core.report.judged_words import preference_sentence
from rlhf_core.report.judges import judges_against_people
from rlhf_core.report.parts import Judge, Votes

MANY = ("criterion", "baseline", "contender")


@dataclass(frozen=True)
class Results:
    """One set of votes, either all of people or all simulated.

    Attributes:
        criteria: those voted on, in the order of the task.
        pairs: what is said of each pair of contenders, criterion by criterion.
        rankings: by criterion, strengths where there are more than two contenders.
        agreement: by criterion.
        labellers: `labeller_quality`; of a ranking one pair counts. Empty for simulated votes.
        votes: the votes on ordinary items.
    """

    simulated: bool
    criteria: tuple[str, ...]
    pairs: tuple[Votes, ...]
    rankings: dict[str, Ranking]
    agreement: dict[str, Agreement]
    judges: tuple[Judge, ...]
    labellers: pd.DataFrame
    votes: pd.DataFrame

    def of(self, criterion: str) -> list[Votes]:
        """Return the pairs of one criterion."""
        return [pair for pair in self.pairs if pair.criterion == criterion]

    def lead(self, criterion: str) -> Votes:
        """Return the pair that answers who is best: the two strongest, or where none are ranked the pair with most votes."""
        pairs, ranking = self.of(criterion), self.rankings.get(criterion)
        best = set(list(ranking.strengths)[:2]) if ranking else set()
        found = [pair for pair in pairs if {pair.baseline, pair.contender} == best]
        return (found or sorted(pairs, key=lambda pair: -pair.n))[0]

    def votes_of(self, pair: Votes) -> pd.DataFrame:
        """Return the votes on one pair and criterion."""
        wanted = {name: getattr(pair, name) for name in MANY}
        return self.votes.loc[(self.votes[list(MANY)] == pd.Series(wanted)).all(axis=1)]

    def sentence(self, criterion: str) -> str:
        """The verdict in one sentence, with its interval."""
        said = preference_sentence(self.lead(criterion))
        return f"Of {len(names(self.of(criterion)))} contenders, the two strongest: {said}" if self.rankings else said


def summarise_votes(
    votes: pd.DataFrame, overlap: int = 1, scores: pd.DataFrame | None = None, criteria: Sequence[str] = ()
) -> Results | None:
    """Summarise one set of votes, gold items and repeats among them; None where no ordinary item has one.

    `overlap` is the planned number of votes on an item; `scores` are those of the texts that were judged;
    `criteria` the order in which they were asked for.

    Raises:
        DataError: people's and simulated votes are mixed, or columns are missing.
    """
    items = votes.loc[votes["kind"] == "item"] if len(votes) else votes
    if items.empty:
        return None
    has_votes(items, pooled=MANY)
    simulated = bool(items["simulated"].iloc[0])
    people = None if simulated else votes
    found = items["criterion"].unique().tolist()
    return Results(
        simulated=simulated,
        criteria=tuple(name for name in (criteria or found) if name in found),
        pairs=summarise(items, simulated=simulated, overlap=overlap),
        rankings=_rankings(items),
        agreement=agreement(pair_items(items)),
        judges=judges_against_people(items, scores) if people is not None and scores is not None else (),
        labellers=pd.DataFrame() if people is None else labeller_quality(one_pair_each(people)),
        votes=items.reset_index(drop=True),
    )


def names(pairs: list[Votes]) -> list[str]:
    """Return the contenders of some pairs, in the order of the task."""
    return list(dict.fromkeys(name for pair in pairs for name in (pair.baseline, pair.contender)))


def by_criterion(results: Results, pair: Votes) -> dict[str, Estimate]:
    """Return a pair's win rate on every criterion."""
    same = (pair.baseline, pair.contender)
    return {other.criterion: other.win_rate for other in results.pairs if (other.baseline, other.contender) == same}


def win_matrix(pairs: list[Votes]) -> pd.DataFrame:
    """Return how often the row's contender wins against the column's, ties and both bad counting half; NaN where they never met."""
    found = names(pairs)
    table = pd.DataFrame(float("nan"), index=found, columns=found)
    for pair in pairs:
        table.loc[pair.contender, pair.baseline] = pair.win_rate.value
        table.loc[pair.baseline, pair.contender] = 1 - pair.win_rate.value
    return table


def _rankings(items: pd.DataFrame) -> dict[str, Ranking]:
    ranked = {}
    for criterion, votes in items.groupby("criterion", sort=True):
        found = sorted({*votes["baseline"].unique(), *votes["contender"].unique()})
        if len(found) > 2:
            ranked[str(criterion)] = _ranking(votes, found)
    return ranked


def _ranking(votes: pd.DataFrame, found: list[str]) -> Ranking:
    """Return the strengths; where the votes are too few to settle them, nobody's and why."""
    try:
        return bradley_terry(votes)
    except DataError as error:
        return Ranking({}, dict.fromkeys(found, str(error)), {}, 0.0)
