"""The names of contenders, their order, and the bound on how far best-of-n moves."""

from __future__ import annotations

import math

import pytest
import torch

from rlhf_core.data.contenders import BestOf, best_of_kl_bound, in_order, parse_best_of, parse_round, round_name, sides


@pytest.mark.parametrize(
    ("best", "name"),
    [
        (BestOf(8), "best-of-8"),
        (BestOf(16, "tuned"), "best-of-16-from-tuned"),
        (BestOf(2, "base"), "best-of-2-from-base"),
    ],
)
def test_the_name_says_all(best: BestOf, name: str):
    assert best.name == name and parse_best_of(name) == best


@pytest.mark.parametrize("name", ["base", "tuned", "best-of-", "best-of-x", "my-best-of-8"])
def test_other_contenders_are_not_best_of_n(name: str):
    assert parse_best_of(name) is None


def test_earlier_rounds_stand_between_what_they_began_with_and_what_is_new():
    names = ["tuned", "round-10", "best-of-4", "base", "round-2", "rounded"]
    assert in_order(names) == ["base", "round-2", "round-10", "best-of-4", "tuned", "rounded"]
    assert parse_round(round_name(3)) == 3
    assert [parse_round(name) for name in ("tuned", "round-", "round-x", "my-round-1")] == [None] * 4


@pytest.mark.parametrize(
    ("names", "pair"),
    [
        (["tuned", "base", "sft"], ("base", "tuned")),
        (["tuned", "base", "round-1", "round-2"], ("round-2", "tuned")),
        (["sft", "base"], ("base", "sft")),
    ],
)
def test_the_latest_round_before_is_what_has_to_be_beaten(names: list[str], pair: tuple[str, str]):
    assert sides(names) == pair


def test_baselines_stand_before_what_has_to_beat_them():
    names = ["tuned", "expert", "best-of-16", "base", "best-of-4", "sft", "another"]
    assert in_order(names) == ["base", "sft", "best-of-4", "best-of-16", "tuned", "another", "expert"]


def test_the_bound_is_the_kl_of_the_best_of_many_different_answers():
    """With m equally likely answers of different scores, P(best is the k-th) = (k/m)^n − ((k−1)/m)^n.

    The KL to the uniform distribution is Σ P·log(P·m): below the bound, and equal to it as m grows. One answer of one is
    no move.
    """
    for n in (2, 8):
        edges = (torch.arange(20_001, dtype=torch.float64) / 20_000).pow(n)
        p = edges.diff()
        kl = (p * (p * 20_000).log()).sum().item()
        assert kl < best_of_kl_bound(n) and kl == pytest.approx(best_of_kl_bound(n), abs=1e-3)
    assert best_of_kl_bound(1) == 0.0 and best_of_kl_bound(8) == pytest.approx(math.log(8) - 0.875)


@pytest.mark.parametrize(
    ("names", "pair"),
    [
        (["tuned", "base", "sft", "expert"], ("base", "tuned")),
        (["tuned", "round-1", "base", "expert"], ("round-1", "tuned")),
        (["base", "expert"], ("base", "expert")),
        (["human", "expert"], ("expert", "human")),
    ],
)
def test_a_contender_from_elsewhere_is_not_what_a_run_is_about(names: list[str], pair: tuple[str, str]):
    assert sides(names) == pair
