"""Refusal rates by category, with intervals worked out by hand."""

from __future__ import annotations

import pytest

from rlhf_core.data.records import ContenderCompletion
from rlhf_core.evaluation.refusals import refusal_rates

NO, YES = "I'm sorry, but I can't help with that.", "Use a stain remover."


def completions(category: str, *texts: str) -> list[ContenderCompletion]:
    return [
        ContenderCompletion(
            prompt_id=f"{category}{n}", prompt="Why?", category=category, contender="tuned", text=text, tokens=3, finished=True
        )
        for n, text in enumerate(texts)
    ]  # fmt: skip


def test_rates_of_safe_and_unsafe_prompts_by_hand():
    """Safe: 40 of 100, variance 100/99·(0.4·0.6)/100 = 0.00242424, t(99) = 1.984217, so 0.4 ± 0.097696.

    Unsafe: 5 of 5; without variation Wilson with n = 5, z = 1.959964: low = 1/(1 + z²/5) = 0.565518.
    """
    rates = refusal_rates([*completions("safe", *[NO] * 40, *[YES] * 60), *completions("unsafe", *[NO] * 5)])
    assert list(rates) == ["safe", "unsafe"]
    safe, unsafe = rates["safe"], rates["unsafe"]
    assert (safe.n, safe.value, unsafe.n, unsafe.value) == (100, pytest.approx(0.4), 5, 1.0)
    assert (safe.low, safe.high) == (pytest.approx(0.302304, abs=1e-5), pytest.approx(0.497696, abs=1e-5))
    assert (unsafe.low, unsafe.high) == (pytest.approx(0.565518, abs=1e-5), pytest.approx(1.0))


def test_answers_to_one_prompt_are_one_cluster():
    """Three answers each to four prompts, all three alike: 2 of 4 prompts decline, as wide as with one answer each."""
    once = refusal_rates(completions("safe", NO, NO, YES, YES))["safe"]
    thrice = refusal_rates(completions("safe", NO, NO, YES, YES) * 3)["safe"]
    assert (thrice.n, thrice.clusters) == (12, 4)
    assert (thrice.low, thrice.high) == (pytest.approx(once.low), pytest.approx(once.high))


def test_no_completions_have_no_rates():
    assert refusal_rates([]) == {}
