"""The report of a run: a preview and its files, built by the same code that `rlhf report` uses."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from dashboard.services.catalogue import RunEntry
from rlhf_core.report.exports import write_report

FORMATS = ("html", "md", "json", "csv")


@dataclass(frozen=True)
class Report:
    """What is exported. `tables` is a zip of the CSV files."""

    html: str
    markdown: str
    json: str
    tables: bytes


def build_report(entry: RunEntry, votes: pd.DataFrame) -> Report:
    """Build every format of a run's report; `votes` are the human votes, maybe none."""
    with TemporaryDirectory() as folder:
        files = write_report(entry.path, Path(folder), votes=votes if len(votes) else None, formats=FORMATS)
        texts = {path.suffix: path.read_text(encoding="utf-8") for path in files if path.suffix != ".csv"}
        return Report(texts[".html"], texts[".md"], texts[".json"], _zip([p for p in files if p.suffix == ".csv"]))


def _zip(files: list[Path]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            archive.write(path, path.name)
    return buffer.getvalue()
