"""The tables of a report, each a list of rows with plain cells: what CSV and Parquet hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rlhf_core.evaluation.agreement import Agreement
from rlhf_core.evaluation.auto_judge import AutoJudged
from rlhf_core.evaluation.statistics import Estimate
from rlhf_core.report.drift import Point
from rlhf_core.report.judge_parts import AutoJudge
from rlhf_core.report.parts import Facts, Judge, Votes
from rlhf_core.report.rounds import against_votes_rows

Row = dict[str, Any]


def tables(facts: Facts) -> dict[str, Sequence[Mapping[str, Any]]]:
    """Return every table of the report by name; tables without rows are left out."""
    found: dict[str, Sequence[Mapping[str, Any]]] = {
        "report": [{"run": facts.run.name, "verdict": facts.verdict, "made": facts.provenance.made}],
        "figures": [asdict(figure) for figure in facts.figures],
        "measures": [asdict(measure) for measure in facts.measures],
        "provenance": [dict(zip(("what", "where", "sha256"), row, strict=True)) for row in facts.provenance.rows],
        "comparisons": [asdict(row) for row in facts.comparisons],
        "thresholds": [asdict(row) for row in facts.flagged],
        "refusals": [asdict(rate) for rate in facts.refusals.rows] if facts.refusals else [],
        "scores": facts.score_rows,
        "scorers": [asdict(scorer) for scorer in facts.scorers.values()],
        "completions": _completions(facts),
        "examples": _examples(facts),
        "votes": facts.vote_rows,
        "vote_summary": [row for v in (*facts.human_votes, *facts.simulated_votes) for row in _vote_summary(v)],
        "labellers": [row | {"remarks": "; ".join(row["remarks"])} for row in facts.labellers],
        "instructions": [asdict(version) for version in facts.instructions],
        "stop": [_stop_row(v, step) for v in facts.human_votes for step in v.stop.path],
        "agreement": [_agreement_row(found) for found in facts.agreement],
        "judges": [_judge_row(judge) for judge in facts.judges],
        "auto_judges": [_auto_judge_row(judge, one) for judge in facts.auto_judges for one in judge.judged],
        "auto_judges_against_people": [_judge_row(one) for judge in facts.auto_judges for one in judge.people],
        "reward_model": _reward_model(facts),
        "reward_against_votes": against_votes_rows(facts.against_votes) if facts.against_votes else [],
        "lineage": [asdict(facts.lineage)] if facts.lineage else [],
        "drift": [_drift_row(point) for point in facts.drift.path] if facts.drift else [],
        "stages": [asdict(stage) for stage in facts.run.stages],
        **{f"metrics_{stage}": rows for stage, rows in facts.metrics.items()},
    }
    return {name: rows for name, rows in found.items() if rows}


def _completions(facts: Facts) -> list[Row]:
    return [
        {"prompt_id": a.prompt_id, "category": a.category, "prompt": a.prompt, "contender": name, "text": text}
        | {"score": a.scores.get(name)}
        for a in facts.answers
        for name, text in a.texts.items()
    ]


def _examples(facts: Facts) -> list[Row]:
    chosen = [("rose most", e) for e in facts.best] + [("fell most", e) for e in facts.worst]
    return [
        {"why": why, "gain": e.gain, "prompt_id": e.answer.prompt_id, "prompt": e.answer.prompt}
        | {"baseline": e.answer.texts[e.baseline], "contender": e.answer.texts[e.contender]}
        for why, e in chosen
    ]


def _vote_summary(v: Votes) -> list[Row]:
    label = {"simulated": v.simulated, "criterion": v.criterion, "baseline": v.baseline, "contender": v.contender}
    parts: Iterable[tuple[str, Any]] = (
        ("win rate", v.win_rate),
        *((f"share: {name}", share) for name, share in v.shares.items()),
        *((f"win rate: {name}", rate) for name, rate in v.by_category.items()),
        ("side A wins", v.position_bias),
        ("share of decided votes", v.decided),
        ("share of decided votes at equal length", v.equal_length.share),
        ("log odds per SD of length", v.equal_length.slope),
    )
    return [label | {"measure": name} | asdict(estimate) for name, estimate in parts if estimate is not None]


def _drift_row(point: Point) -> Row:
    audits = {f"audit: {name}": value for name, value in point.audits.items()}
    return {"step": point.step, "kl": point.kl, "score": point.score} | audits


def _stop_row(v: Votes, step: tuple[int, float, float]) -> Row:
    label = {"criterion": v.criterion, "baseline": v.baseline, "contender": v.contender}
    return label | dict(zip(("prompts", "low", "high"), step, strict=True)) | {"settled_at": v.stop.settled_at}


def _agreement_row(found: Agreement) -> Row:
    row = {name: getattr(found, name) for name in ("criterion", "labellers", "items", "single_items", "votes")}
    row |= {"fleiss": found.fleiss, "fleiss_items": found.fleiss_items, "problems": "; ".join(found.problems)}
    return row | _ends("raw", found.raw) | _ends("alpha", found.alpha)


def _judge_row(judge: Judge) -> Row:
    names = ("scorer", "measure", "criterion", "category", "items", "unjudged", "problem")
    row = {name: getattr(judge, name) for name in names}
    row |= {
        name: value
        for kind in ("agreement", "decided", "kappa")
        for name, value in _ends(kind, getattr(judge, kind)).items()
    }
    return row | {f"people {a}, judge {b}": n for a, counts in judge.confusion.items() for b, n in counts.items()}


def _auto_judge_row(judge: AutoJudge, found: AutoJudged) -> Row:
    row = {"judge": judge.name, "stale": judge.stale}
    row |= {name: getattr(found, name) for name in ("baseline", "contender", "criterion", "items", "unclear", "swayed")}
    row |= {
        name: value
        for kind in ("win_rate", "stands", "first")
        for name, value in _ends(kind, getattr(found, kind)).items()
    }
    return row | found.outcomes


def _ends(name: str, estimate: Estimate | None) -> Row:
    held = estimate.as_json() if estimate else {}
    return {name: held.get("value"), f"{name}_low": held.get("low"), f"{name}_high": held.get("high")}


def _reward_model(facts: Facts) -> list[Row]:
    """Return the reward model's test: overall, by category, and in bins, told apart by `table`."""
    if facts.reward_model is None:
        return []
    report = facts.reward_model
    whole = {"table": "overall", "n_pairs": report["n_pairs"], "n_prompts": report["n_prompts"]}
    whole |= {
        "accuracy": report["accuracy"]["value"],
        "low": report["accuracy"]["low"],
        "high": report["accuracy"]["high"],
    }
    tables = ("by_category", "reliability", "margin_bins")
    return [whole, *({"table": name} | row for name in tables for row in report[name])]
