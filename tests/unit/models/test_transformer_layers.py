"""Which parameters lie below the last layers of a model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rlhf_core.errors import ModelError
from rlhf_core.models.rewards import RewardModel, new_reward_model
from rlhf_core.models.transformer_layers import parameters_below
from tests.engine import reward_config, write_bert


@pytest.fixture(params=["decoder", "encoder"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> RewardModel:
    source = "tiny" if request.param == "decoder" else str(write_bert(tmp_path / "bert"))
    return new_reward_model(reward_config(model=source), torch.Generator().manual_seed(0))


def names_below(model: RewardModel, layers: int) -> set[str]:
    below = {id(parameter) for parameter in parameters_below(model.classifier, layers)}
    return {name for name, parameter in model.classifier.named_parameters() if id(parameter) in below}


def test_embeddings_and_the_first_of_two_layers_are_below_the_last(model: RewardModel):
    below = names_below(model, 1)
    assert any(".0." in name for name in below) and any("embed" in name for name in below)
    above = {name for name, _ in model.classifier.named_parameters()} - below
    assert any(".1." in name for name in above) and any(name.startswith(("score", "classifier")) for name in above)
    assert not any(".1." in name for name in below) and not any(".0." in name or "embed" in name for name in above)


def test_below_all_layers_are_the_embeddings(model: RewardModel):
    below = names_below(model, 2)
    assert below and all("embed" in name for name in below)


def test_more_layers_than_there_are_is_an_error(model: RewardModel):
    with pytest.raises(ModelError, match=r"too few layers.*found 3.*Set layers to 2 or less"):
        parameters_below(model.classifier, 3)
