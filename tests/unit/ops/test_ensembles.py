"""Several reward models in one score, by hand."""

from __future__ import annotations

import torch

from rlhf_core.ops.ensembles import ensemble_disagreement, ensemble_mean, ensemble_penalised, ensemble_worst

SCORES = torch.tensor([[1.0, -2.0], [2.0, 0.0], [6.0, 2.0]])  # three members, two responses
# Means 3 and 0; variances over the three (4 + 1 + 9)/3 = 14/3 and (4 + 0 + 4)/3 = 8/3.


def test_mean_worst_and_penalised_by_hand():
    """Claim 15; Coste et al. 2023: the variance is that of the members themselves, divided by their number."""
    torch.testing.assert_close(ensemble_mean(SCORES), torch.tensor([3.0, 0.0]))
    torch.testing.assert_close(ensemble_worst(SCORES), torch.tensor([1.0, -2.0]))
    torch.testing.assert_close(ensemble_penalised(SCORES, 0.5), torch.tensor([3 - 7 / 3, -4 / 3]))


def test_without_a_penalty_the_penalised_score_is_the_mean():
    torch.testing.assert_close(ensemble_penalised(SCORES, 0.0), ensemble_mean(SCORES))


def test_disagreement_is_the_standard_deviation_between_members():
    torch.testing.assert_close(ensemble_disagreement(SCORES), torch.tensor([14 / 3, 8 / 3]).sqrt())


def test_one_member_agrees_with_itself():
    one = SCORES[:1]
    assert torch.equal(ensemble_worst(one), one[0]) and torch.equal(ensemble_penalised(one, 9.0), one[0])
    assert not ensemble_disagreement(one).any()
