"""Write a report's files: HTML, Markdown, JSON, and one CSV per table, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from rlhf_core.data.io import write_text
from rlhf_core.errors import ConfigError
from rlhf_core.evaluation.agreement import Agreement
from rlhf_core.evaluation.statistics import Estimate
from rlhf_core.report.facts import build_facts
from rlhf_core.report.html import render_html
from rlhf_core.report.markdown import render_markdown
from rlhf_core.report.parts import Facts, Judge, Votes
from rlhf_core.report.rounds import against_votes_rows

FORMATS = ("html", "md", "json", "csv")
Row = dict[str, Any]
FORMULA = re.compile(r"[\s\x00-\x20'\u00ad\u200b-\u200f\u2060-\u2064\ufeff]*[=+\-@＝＋－＠]|'*[\t\r\n]")
"""A text that some spreadsheet might run: white space and what is invisible may stand before the sign, as may apostrophes."""


def write_report(
    run_path: str | Path,
    out_dir: str | Path,
    votes: pd.DataFrame | None = None,
    formats: Sequence[str] = FORMATS,
) -> list[Path]:
    """Write the report of a run into `out_dir`: report.html, report.md, report.json, and csv/<table>.csv.

    Raises:
        ConfigError: an unknown format.
        RunError, DataError: as `build_facts`.
    """
    if unknown := [name for name in formats if name not in FORMATS]:
        raise ConfigError("unknown report formats", value=unknown, remedy=f"Known: {', '.join(FORMATS)}")
    facts = build_facts(run_path, votes)
    files = {name: text for kind in dict.fromkeys(formats) for name, text in _files(kind, facts).items()}
    for name, text in files.items():
        write_text(Path(out_dir) / name, text)
    return [Path(out_dir) / name for name in files]


def render_json(facts: Facts) -> str:
    """Return all facts as JSON; numbers that are missing or unbounded are null."""
    return json.dumps(facts.as_json(), ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def csv_tables(facts: Facts) -> dict[str, str]:
    """Return every table of the report as CSV text by file name; tables without rows are left out."""
    tables = {
        "figures": [asdict(figure) for figure in facts.figures],
        "comparisons": [asdict(row) for row in facts.comparisons],
        "thresholds": [asdict(row) for row in facts.flagged],
        "refusals": [asdict(rate) for rate in facts.refusals.rows] if facts.refusals else [],
        "scores": facts.score_rows,
        "scorers": [asdict(scorer) for scorer in facts.scorers.values()],
        "completions": _completions(facts),
        "examples": _examples(facts),
        "votes": facts.vote_rows,
        "vote_summary": [row for v in (*facts.human_votes, *facts.simulated_votes) for row in _vote_summary(v)],
        "stop": [_stop_row(v, step) for v in facts.human_votes for step in v.stop.path],
        "agreement": [_agreement_row(found) for found in facts.agreement],
        "judges": [_judge_row(judge) for judge in facts.judges],
        "reward_model": _reward_model(facts),
        "reward_against_votes": against_votes_rows(facts.against_votes) if facts.against_votes else [],
        "lineage": [asdict(facts.lineage)] if facts.lineage else [],
        "stages": [asdict(stage) for stage in facts.run.stages],
        **{f"metrics_{stage}": rows for stage, rows in facts.metrics.items()},
    }
    return {f"{name}.csv": to_csv(rows) for name, rows in tables.items() if rows}


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as CSV (RFC 4180, UTF-8 text), the columns in order of first appearance; None is an empty cell."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow([safe_cell(name) for name in columns])
    writer.writerows([safe_cell(row.get(name)) for name in columns] for row in rows)
    return buffer.getvalue()


def safe_cell(value: Any) -> Any:
    """Return a cell that no spreadsheet runs as a formula: text that starts like one gets an apostrophe in front.

    Numbers stay numbers, negative ones too. The signs are those of the OWASP page on CSV injection. Text that starts like
    a formula behind apostrophes gets one more, so nothing is lost: who reads the file takes one apostrophe away from
    cells where the rest matches `FORMULA`.
    """
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def _files(kind: str, facts: Facts) -> dict[str, str]:
    if kind == "csv":
        return {f"csv/{name}": text for name, text in csv_tables(facts).items()}
    renderers: dict[str, Callable[[Facts], str]] = {"html": render_html, "md": render_markdown, "json": render_json}
    return {f"report.{kind}": renderers[kind](facts)}


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
