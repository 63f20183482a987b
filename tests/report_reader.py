"""Read the figures of a report back from each of its formats, as whoever receives the file would."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser

import pyarrow.parquet as pq
import yaml
from pypdf import PdfReader

from rlhf_core.report.measures import NAMES

SPACES = re.compile(r"\s+")


class Cells(HTMLParser):
    """The rows of a page's tables, each a list of its cells' text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._inside = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self._inside = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._inside = False

    def handle_data(self, data):
        if self._inside:
            self.rows[-1][-1] += data


def pdf_text(pdf: bytes) -> str:
    """Return the text of all pages, white space as single spaces, places to break in long words left out."""
    text = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)
    return SPACES.sub(" ", text.replace("\u200b", ""))


def shown_figures(name: str, content: bytes) -> dict[str, str]:
    """Return the figures in words from report.html, report.md, README.md or report.pdf."""
    if name.endswith(".pdf"):
        return _from_pdf(pdf_text(content))
    text = content.decode()
    if name.endswith(".html"):
        rows = Cells(text).rows
    else:
        rows = [
            [cell.strip().replace("\\", "") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in text.split("\n")
        ]
    return {row[0]: row[1] for row in rows if row and row[0] in NAMES}


def _from_pdf(text: str) -> dict[str, str]:
    """Of each name the text between it and what it means."""
    found = {}
    for name, what in NAMES.items():
        match = re.search(rf"(?<![\w_]){name} ([^a-zα]*?(?: points)?[^a-zα]*?) {re.escape(what)}", text)
        if match:
            found[name] = match[1].strip()
    return found


def exact_figures(name: str, content: bytes) -> dict[str, tuple[float, float | None, float | None]]:
    """Return the figures as numbers from report.json, a table of measures, or the card's metadata."""
    if name == "report.json":
        rows = json.loads(content)["measures"]
    elif name.endswith(".csv"):
        rows = list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    elif name.endswith(".parquet"):
        rows = pq.read_table(io.BytesIO(content)).to_pylist()
    else:
        return _from_card(content.decode())
    return {row["name"]: (float(row["value"]), _number(row["low"]), _number(row["high"])) for row in rows}


def _number(cell: str | float | None) -> float | None:
    return None if cell in ("", None) else float(cell)


def _from_card(text: str) -> dict[str, tuple[float, float | None, float | None]]:
    head = yaml.safe_load(text.split("---\n")[1])
    known = {m["type"]: m["value"] for m in head["model-index"][0]["results"][0]["metrics"]}
    return {name: (known[name], known.get(f"{name}_low"), known.get(f"{name}_high")) for name in NAMES if name in known}
