"""Contenders in the order of their names: the verdict goes along, and a third contender is refused."""

from __future__ import annotations

import pytest

from rlhf_core.data.exchange.sides import by_name, two_contenders
from rlhf_core.data.records import PairVote
from rlhf_core.errors import DataError
from tests.exchange_rows import ROWS

BASE, TUNED = ({"contender": name, "text": text} for name, text in (("base", "Fire."), ("tuned", "Water.")))


def vote(verdict: str, a: dict[str, str], b: dict[str, str]) -> PairVote:
    return PairVote.model_validate(ROWS["studio-votes"][0] | {"verdict": verdict, "a": a, "b": b})


@pytest.mark.parametrize(("said", "means"), [("a", "b"), ("b", "a"), ("tie", "tie"), ("both_bad", "both_bad")])
def test_a_verdict_goes_along_with_its_sides(said: str, means: str) -> None:
    assert by_name(vote(said, TUNED, BASE)) == vote(means, BASE, TUNED)
    assert by_name(vote(said, BASE, TUNED)) == vote(said, BASE, TUNED)


def test_two_contenders_are_named_in_order_and_others_refused() -> None:
    votes = [vote("a", TUNED, BASE), vote("a", BASE, TUNED)]
    assert two_contenders(votes, "A tool") == ["base", "tuned"]
    with pytest.raises(DataError, match=r"A tool compares two models \(found \['base', 'sft', 'tuned'\]\)"):
        two_contenders([*votes, vote("a", BASE, {"contender": "sft", "text": "Ice."})], "A tool")
