"""The pages about formats: each format has one, its example does what it says, and what is lost stands on it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rlhf_core.data.exchange.format import KINDS
from rlhf_core.data.exchange.registry import FORMATS

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "docs" / "formats"
INDEX = (FOLDER / "README.md").read_text(encoding="utf-8")
APART = ("README", "curves")
"""The index; and curves, whose examples have a test of their own."""
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md") if path.stem not in APART}
ROWS = dict(re.findall(r"^\| \[`([^`]+)`\]\(([^)]+)\.md\) \|", INDEX, re.M))


def section(name: str) -> str:
    """Return what the page of a format says of it."""
    (found,) = re.findall(rf"^## `{name}`\n(.*?)(?=^## )", PAGES[ROWS[name]], re.M | re.S)
    return found


def test_every_format_has_a_page_and_every_page_a_format() -> None:
    assert ROWS.keys() == FORMATS.keys() and set(ROWS.values()) == PAGES.keys()


@pytest.mark.parametrize("name", FORMATS)
def test_a_page_says_what_a_format_holds_and_what_it_cannot(name: str) -> None:
    form, said = FORMATS[name], section(name)
    reads = ", ".join(kind for kind in KINDS if form.reads(kind))
    writes = ", ".join([*form.write, *form.join])
    assert (f"Read as {reads}." if reads else form.instead) in said
    assert (f"Written from {writes}." in said) == bool(writes)
    assert form.cannot_hold in said
    assert f"| [`{name}`]({ROWS[name]}.md) | {reads or '–'} | {writes or '–'} |" in INDEX


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which `rlhf` is this program."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "rlhf").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rlhf_core "$@"\n')
    (folder / "rlhf").chmod(0o755)
    return os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize("page", PAGES)
def test_the_example_of_a_page_prints_what_it_says(tmp_path: Path, shell: dict[str, str], page: str) -> None:
    (block,) = re.findall(r"^```sh\n(.*?)^```", PAGES[page], re.M | re.S)
    (printed,) = re.findall(r"^```text\n(.*?)^```", PAGES[page], re.M | re.S)
    done = subprocess.run(["bash", "-euc", block], cwd=tmp_path, env=shell, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.rstrip() == printed.rstrip()


def test_every_link_of_the_pages_leads_somewhere() -> None:
    for text in (INDEX, *PAGES.values()):
        links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not link.startswith("http")]
        assert [link for link in links if not (FOLDER / link).exists()] == []
