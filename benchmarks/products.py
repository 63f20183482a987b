"""The matrix products of the passes a piece of work makes, in floating-point operations.

No bound for an engine that needs fewer passes: one that kept the graph of PPO's judging pass for the first update on the
same rows would save a fifteenth of them when all weights learn.

A product of a vector with a layer's weights costs 2 operations a weight; its backward pass 2 for the input's gradient and 2
more for the weights' own. Attention, normalisation, sampling and the optimiser are not counted.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.work import Work

FORWARD, THROUGH, LEARN = 2, 4, 6
"""Operations a weight and token: forward; forward and the input's gradient; forward, input's gradient and the weight's."""


def layers_and_head(folder: str) -> tuple[int, int]:
    """Return the weights in the linear layers of a model, and in its output layer; its configuration says both."""
    config = _config(folder)
    width, inner = config["hidden_size"], config["intermediate_size"]
    if config["model_type"] == "bert":
        layer, head = 4 * width**2 + 2 * width * inner, 0
    else:
        keys = width * config["num_key_value_heads"] // config["num_attention_heads"]
        layer, head = 2 * width * (width + keys) + 3 * width * inner, width * config["vocab_size"]
    return config["num_hidden_layers"] * layer, head


def of_rollouts(work: Work) -> float:
    """Return the operations per new token: its own, and its share of the prompt's."""
    layers, head = layers_and_head(work.model)
    return FORWARD * (layers + head + layers * work.prompt / work.response)


def of_ppo_full(work: Work) -> float:
    """Return the operations per token, prompts included, when all weights learn.

    Value and reward model are as large as the policy.
    """
    layers, head = layers_and_head(work.model)
    answered = work.response / (work.prompt + work.response)
    sample = FORWARD * (layers + answered * head)
    judge = FORWARD * (4 * layers + 2 * answered * head)  # policy, reference, value and reward model
    learn = LEARN * (2 * layers + answered * head)  # policy and value model
    return sample + judge + work.epochs * learn


def of_ppo_default(work: Work, adapted_layers: int | None) -> float:
    """Return the operations per token with adapters in no more than the last `adapted_layers`, and an encoder for the reward.

    None adapts all. The layers below run once to judge; the adapters' own products, a few percent, are not counted.
    """
    layers, head = layers_and_head(work.model)
    depth = _config(work.model)["num_hidden_layers"]
    adapted = min(depth, adapted_layers or depth) / depth
    answered = work.response / (work.prompt + work.response)
    sample = FORWARD * (layers + answered * head)
    judge = FORWARD * (layers * (1 + adapted) + 2 * answered * head + layers_and_head(work.encoder)[0])
    learn = THROUGH * (adapted * layers + answered * head)
    return sample + judge + work.epochs * learn


def of_reward(work: Work) -> float:
    """Return the operations per pair of texts when all weights of the encoder learn."""
    return 2 * (work.prompt + work.response) * LEARN * layers_and_head(work.encoder)[0]


def _config(folder: str) -> dict[str, Any]:
    return json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
