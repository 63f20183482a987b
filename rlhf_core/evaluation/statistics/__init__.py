"""The statistics of judging: win rates and their intervals, when to stop, how many votes, who is how strong."""

from rlhf_core.evaluation.statistics.betting import confidence_sequence
from rlhf_core.evaluation.statistics.changes import McNemar, mcnemar_exact, paired_difference
from rlhf_core.evaluation.statistics.checks import OUTCOMES, VOTE_COLUMNS
from rlhf_core.evaluation.statistics.estimates import LEVEL, Estimate, accuracy_interval, side_of_zero
from rlhf_core.evaluation.statistics.length import AtEqualLength, length_controlled
from rlhf_core.evaluation.statistics.planning import Expected, Plan, more_votes, votes_needed, votes_until_settled
from rlhf_core.evaluation.statistics.sequential import Stopping, may_i_stop
from rlhf_core.evaluation.statistics.strengths import Ranking, bradley_terry
from rlhf_core.evaluation.statistics.toxicity import WorstOf, worst_of
from rlhf_core.evaluation.statistics.votes import outcome_shares, position_bias, win_rate, win_rate_by

__all__ = [
    "LEVEL",
    "OUTCOMES",
    "VOTE_COLUMNS",
    "AtEqualLength",
    "Estimate",
    "Expected",
    "McNemar",
    "Plan",
    "Ranking",
    "Stopping",
    "WorstOf",
    "accuracy_interval",
    "bradley_terry",
    "confidence_sequence",
    "length_controlled",
    "may_i_stop",
    "mcnemar_exact",
    "more_votes",
    "outcome_shares",
    "paired_difference",
    "position_bias",
    "side_of_zero",
    "votes_needed",
    "votes_until_settled",
    "win_rate",
    "win_rate_by",
    "worst_of",
]
