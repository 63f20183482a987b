"""Refusal rates by category, with intervals worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from rlhf_core.config import EvaluateConfig
from rlhf_core.data.io import write_jsonl
from rlhf_core.data.records import ContenderCompletion
from rlhf_core.evaluation.refusals import refusal_rates, refusal_report
from rlhf_core.evaluation.run import evaluate_run
from rlhf_core.runs.reader import RunReader

NO, YES = "I'm sorry, but I can't help with that.", "Use a stain remover."


def completions(category: str, *texts: str) -> list[ContenderCompletion]:
    return [
        ContenderCompletion(
            prompt_id=f"{category}{n}", prompt="Why?", category=category, contender="tuned", text=text, tokens=3, finished=True
        )
        for n, text in enumerate(texts)
    ]  # fmt: skip


def test_rates_of_safe_and_unsafe_prompts_by_hand():
    """Wilson at z = 1.959964. Safe: 40 of 100, s = z²/100 = 0.0384146, (0.4 + s/2 ± √(0.24·s + s²/4))/(1 + s).

    Unsafe: 5 of 5, low = 1/(1 + z²/5) = 0.565518.
    """
    rates = refusal_rates([*completions("safe", *[NO] * 40, *[YES] * 60), *completions("unsafe", *[NO] * 5)])
    assert list(rates) == ["safe", "unsafe"]
    safe, unsafe = rates["safe"], rates["unsafe"]
    assert (safe.n, safe.value, unsafe.n, unsafe.value) == (100, pytest.approx(0.4), 5, 1.0)
    assert (safe.low, safe.high) == (pytest.approx(0.309401, abs=1e-5), pytest.approx(0.497997, abs=1e-5))
    assert (unsafe.low, unsafe.high) == (pytest.approx(0.565518, abs=1e-5), pytest.approx(1.0))


def test_only_answers_known_to_be_cut_off_are_counted_as_such():
    known, cut = completions("safe", YES, NO)
    unknown = known.model_copy(update={"prompt_id": "s3", "tokens": None, "finished": None})
    rows = [known, cut.model_copy(update={"finished": False}), unknown]
    (row,) = refusal_report({"tuned": rows}, bootstrap=10)["rows"]
    assert (row["n"], row["cut"]) == (3, 1)


def test_answers_to_one_prompt_are_one_cluster():
    """Three answers each to four prompts, all three alike: V = 4/3·4·1.5²/12² = 1/12, so ¼/V = 3 answers at t₃ = 3.182446.

    Wilson: s = t₃²/3 = 3.375988, ½ ± ½·√(s/(1 + s)).
    """
    thrice = refusal_rates(completions("safe", NO, NO, YES, YES) * 3)["safe"]
    assert (thrice.n, thrice.clusters) == (12, 4)
    assert (thrice.low, thrice.high) == (
        pytest.approx(0.5 - 0.439169, abs=1e-5),
        pytest.approx(0.5 + 0.439169, abs=1e-5),
    )


def test_no_completions_have_no_rates():
    assert refusal_rates([]) == {}


def answered(contender: str, safe: str, unsafe: str = "") -> list[ContenderCompletion]:
    """Answers told by letters: n declines, y does not, e is empty, c is cut by the token limit."""
    texts = {"n": NO, "y": YES, "e": " \n", "c": YES}
    return [
        row.model_copy(update={"contender": contender, "finished": letter != "c"})
        for category, letters in (("safe", safe), ("unsafe", unsafe))
        for row, letter in zip(completions(category, *(texts[x] for x in letters)), letters, strict=True)
    ]


def row_of(report: dict[str, Any], contender: str, category: str) -> dict[str, Any]:
    """The one row of a contender and a category."""
    (row,) = [r for r in report["rows"] if (r["contender"], r["category"]) == (contender, category)]
    return row


def test_the_change_against_base_is_paired_by_prompt_and_worked_out_by_hand():
    """Safe, tuned − base: 0, 1, 1, 0. Mean ½, variance 4/3·(4·¼)/16 = 1/12, t(3) = 3.182446: ½ ± 0.918693.

    Unsafe: −1, 0, 0, with mean −⅓, variance 3/2·(4/9 + 1/9 + 1/9)/9 = 1/9, t(2) = 4.302653: −⅓ ± 1.434218.
    """
    report = refusal_report({"tuned": answered("tuned", "nnny", "ynn"), "base": answered("base", "nyyy", "nnn")})
    assert [(r["contender"], r["category"]) for r in report["rows"]] == [
        ("base", "safe"), ("base", "unsafe"), ("tuned", "safe"), ("tuned", "unsafe"),
    ]  # fmt: skip
    safe, unsafe = (row_of(report, "tuned", category) for category in ("safe", "unsafe"))
    assert (safe["n"], safe["declined"], safe["difference"]) == (4, 0.75, 0.5)
    ends = (safe["difference_low"], safe["difference_high"])
    assert ends == (pytest.approx(-0.418693, abs=1e-5), pytest.approx(1.418693, abs=1e-5))
    assert (safe["newly"], safe["no_longer"]) == (2, 0)
    assert unsafe["difference_low"] == pytest.approx(-1.767551, abs=1e-5)
    assert (unsafe["newly"], unsafe["no_longer"]) == (0, 1)
    assert row_of(report, "base", "safe")["difference"] is None
    assert "stated English phrases" in report["blind_spots"] and "a floor" in report["blind_spots"]


def test_pairs_are_made_by_prompt_and_not_by_place():
    """Tuned declines the same prompt as base, told in another order: nothing has changed."""
    tuned = answered("tuned", "nyyy")[::-1]
    row = row_of(refusal_report({"base": answered("base", "nyyy"), "tuned": tuned}), "tuned", "safe")
    assert (row["difference"], row["newly"], row["no_longer"]) == (0.0, 0, 0)


def test_empty_and_cut_answers_are_counted_and_not_called_refusals():
    row = row_of(refusal_report({"base": answered("base", "neecccy")}), "base", "safe")
    assert (row["n"], row["empty"], row["cut"], row["declined"]) == (7, 2, 3, pytest.approx(1 / 7))


def test_without_base_there_are_rates_and_no_changes():
    report = refusal_report({"sft": answered("sft", "ny"), "tuned": answered("tuned", "nn")})
    assert [r["declined"] for r in report["rows"]] == [0.5, 1.0]
    assert {r["difference"] for r in report["rows"]} == {None}


def evaluate(run: Path) -> RunReader:
    """Run the evaluation with a reward model that finds everything equal, and no scorer of toxicity."""
    config = EvaluateConfig(toxicity=(), bootstrap=100)
    evaluate_run(run, config, lambda prompts, texts, categories: torch.zeros(len(texts)), lambda *told: None)
    return RunReader(run)


def test_the_evaluation_counts_the_test_of_refusals_apart_and_forgets_one_that_is_gone(tmp_path: Path):
    folder = tmp_path / "completions"
    for contender in ("base", "tuned"):
        ordinary = [row.model_copy(update={"category": ""}) for row in answered(contender, "ny")]
        write_jsonl(folder / f"{contender}.jsonl", ordinary)
    assert evaluate(tmp_path).evaluation("refusals") is None
    before = (tmp_path / "evaluation" / "comparisons.json").read_text()
    for contender, safe in (("base", "yyyy"), ("tuned", "nnyy")):
        write_jsonl(folder / "refusals" / f"{contender}.jsonl", answered(contender, safe))
    report = evaluate(tmp_path).evaluation("refusals")
    assert report and [(r["contender"], r["n"], r["declined"]) for r in report["rows"]] == [
        ("base", 4, 0.0), ("tuned", 4, 0.5),
    ]  # fmt: skip
    assert (
        tmp_path / "evaluation" / "comparisons.json"
    ).read_text() == before  # the other measurements saw nothing of it
    for path in (folder / "refusals").iterdir():
        path.unlink()
    assert evaluate(tmp_path).evaluation("refusals") is None
