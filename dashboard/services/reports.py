"""The report of a run in every format: built by the code that `rlhf report` uses, once for the same files and votes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock

from dashboard.services.access import READ
from dashboard.services.catalogue import RunEntry
from dashboard.services.settings import Settings
from dashboard.services.voting import file_stamp, open_store, own_task_id, votes_of
from rlhf_core.report.exports import report_files
from rlhf_core.report.facts import build_facts
from rlhf_core.report.pdf import Manuscript, PreviewPage, manuscript, render_pages

READ_BY_REPORTS = (
    *("*.json", "*.yaml", "*.jsonl", "*.md", "completions/*.jsonl", "evaluation/*.json"),
    *("*/metrics.jsonl", "*/outcome.json", "ppo/samples.jsonl", "*/model/*"),
)
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The oldest time that a zip can hold: the archive of the same tables is the same."""
_BUILDING = Lock()
Stamps = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Report:
    """What is exported: the single files, a zip of the tables in each form, and what the PDF is set from."""

    html: str
    pdf: bytes
    markdown: str
    json: str
    card: str
    csv: bytes
    parquet: bytes
    manuscript: Manuscript


def report_of(settings: Settings, entry: RunEntry) -> Report:
    """Return a run's report with the votes people gave on its own task. Not for labellers.

    It is built once: again when a file of the run, the number of votes or the instructions have changed. All of its formats
    carry the date of that building.
    """
    settings.visitor.require(READ)
    task = own_task_id(settings, entry)
    versions = 0 if task is None else len(open_store(settings.votes).versions(task))
    size = 0 if task is None else open_store(settings.votes).log_size(task)
    with _BUILDING:
        return _built(entry.path, settings.votes, task, (size, versions), run_stamps(entry.path))


def pages_of(report: Report) -> list[PreviewPage]:
    """Return the pages of a report's PDF as pictures, drawn once for each report."""
    with _BUILDING:
        return _drawn(report.manuscript)


def run_stamps(path: Path) -> Stamps:
    """Return what tells whether a file that reports read has changed: name, time and size of each."""
    files = sorted({file for mask in READ_BY_REPORTS for file in path.glob(mask) if file.is_file()})
    return tuple((file.relative_to(path).as_posix(), *file_stamp(file)) for file in files)


@lru_cache(maxsize=4)
def _built(path: Path, url: str, task: int | None, size: tuple[int, int], stamps: Stamps) -> Report:
    del stamps  # part of the key only
    if task is None:
        facts = build_facts(path)
    else:
        votes = votes_of(url, task, size[0])
        facts = build_facts(path, votes, open_store(url).versions(task))
    files = report_files(facts)
    texts = {name: content.decode() for name, content in files.items() if name.endswith((".html", ".md", ".json"))}
    return Report(
        html=texts["report.html"],
        pdf=files["report.pdf"],
        markdown=texts["report.md"],
        json=texts["report.json"],
        card=texts["README.md"],
        csv=_zip(files, "csv/"),
        parquet=_zip(files, "parquet/"),
        manuscript=manuscript(facts),
    )


@lru_cache(maxsize=4)
def _drawn(report: Manuscript) -> list[PreviewPage]:
    return render_pages(report)


def _zip(files: Mapping[str, bytes], folder: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            if name.startswith(folder):
                archive.writestr(zipfile.ZipInfo(name.removeprefix(folder), EPOCH), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
