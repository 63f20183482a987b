"""Write a report's files: HTML, PDF, Markdown, JSON, a model card; every table as CSV, safe in spreadsheets, and as Parquet."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from rlhf_core.data.io import write_bytes
from rlhf_core.errors import ConfigError
from rlhf_core.feedback.records import InstructionVersion
from rlhf_core.report.card import render_card
from rlhf_core.report.facts import build_facts
from rlhf_core.report.html import render_html
from rlhf_core.report.markdown import render_markdown
from rlhf_core.report.parquet import to_parquet
from rlhf_core.report.parts import Facts
from rlhf_core.report.pdf import render_pdf
from rlhf_core.report.tables import tables

FORMATS = ("html", "pdf", "md", "json", "csv", "parquet", "card")
FORMULA = re.compile(r"[\s\x00-\x20'\u00ad\u200b-\u200f\u2060-\u2064\ufeff]*[=+\-@＝＋－＠]|'*[\t\r\n]")
"""A text that some spreadsheet might run: white space and what is invisible may stand before the sign, as may apostrophes."""


def write_report(
    run_path: str | Path,
    out_dir: str | Path,
    votes: pd.DataFrame | None = None,
    formats: Sequence[str] = FORMATS,
    instructions: Sequence[InstructionVersion] = (),
) -> list[Path]:
    """Write the report of a run into `out_dir`; see `report_files` for the names.

    Raises:
        ConfigError: an unknown format.
        RunError, DataError: as `build_facts`.
    """
    check_formats(formats)
    return write_files(report_files(build_facts(run_path, votes, instructions), formats), out_dir)


def write_files(files: Mapping[str, bytes], out_dir: str | Path) -> list[Path]:
    """Write files into a folder, each whole or not at all, and return their paths."""
    for name, content in files.items():
        write_bytes(Path(out_dir) / name, content)
    return [Path(out_dir) / name for name in files]


def report_files(facts: Facts, formats: Sequence[str] = FORMATS) -> dict[str, bytes]:
    """Return the files of a report by name, the same bytes for the same facts.

    report.html, report.pdf, report.md, report.json, csv/TABLE.csv, parquet/TABLE.parquet, and as card README.md.
    """
    check_formats(formats)
    return {name: content for kind in dict.fromkeys(formats) for name, content in _files(kind, facts).items()}


def check_formats(formats: Sequence[str]) -> None:
    """Raise ConfigError for a format that is not known."""
    if unknown := [name for name in formats if name not in FORMATS]:
        raise ConfigError("unknown report formats", value=unknown, remedy=f"Known: {', '.join(FORMATS)}")


def render_json(facts: Facts) -> str:
    """Return all facts as JSON; numbers that are missing or unbounded are null."""
    return json.dumps(facts.as_json(), ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def csv_tables(facts: Facts) -> dict[str, str]:
    """Return every table of the report as CSV text by file name; tables without rows are left out."""
    return {f"{name}.csv": to_csv(rows) for name, rows in tables(facts).items()}


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


def _files(kind: str, facts: Facts) -> dict[str, bytes]:
    if kind == "csv":
        return {f"csv/{name}": text.encode() for name, text in csv_tables(facts).items()}
    if kind == "parquet":
        return {f"parquet/{name}.parquet": to_parquet(rows) for name, rows in tables(facts).items()}
    if kind == "pdf":
        return {"report.pdf": render_pdf(facts)}
    if kind == "card":
        return {"README.md": render_card(facts).encode()}
    written: dict[str, Callable[[Facts], str]] = {"html": render_html, "md": render_markdown, "json": render_json}
    return {f"report.{kind}": written[kind](facts).encode()}
