"""Every module says what it is; functions stay short; docs/algorithms.md and docs/claims.md name what exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(p for folder in ("rlhf_core", "dashboard") for p in (ROOT / folder).rglob("*.py"))
BREAKS = {row["breaks"] for row in yaml.safe_load((ROOT / "tests" / "mutants.yaml").read_text(encoding="utf-8"))}


def rows(page: str) -> list[list[str]]:
    """The rows of a page's tables that name something, cell by cell."""
    lines = (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines()
    return [line.split("|") for line in lines if line.startswith("| ") and "`" in line]


ROWS, CLAIMS = rows("algorithms.md"), rows("claims.md")


def functions(path: Path) -> list[ast.FunctionDef]:
    """Every function of a file, methods included."""
    return [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_says_what_it_is_and_its_functions_are_short(path: Path):
    """A first line of documentation, at most 60 lines and 8 parameters a function, beside self."""
    text = path.read_text(encoding="utf-8")
    assert not text or ast.get_docstring(ast.parse(text)) or path.name == "__main__.py"
    for function in functions(path):
        arguments = [a.arg for a in function.args.posonlyargs + function.args.args + function.args.kwonlyargs]
        assert len([a for a in arguments if a != "self"]) <= 8, function.name
        assert (function.end_lineno or 0) - function.lineno < 60, function.name


def test_the_page_of_equations_has_its_rows():
    assert len(ROWS) > 25


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1].strip()[:40])
def test_every_row_names_a_function_and_a_test_that_exist(row: list[str]):
    """Columns: equation, `module.function`, source, `file::test`; every backticked `file::name` must be there."""
    for module, name in re.findall(r"`([\w/]+\.py)::(\w+)`", row[2]):
        path = ROOT / "rlhf_core" / module
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert name in {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)}, (module, name)
    assert re.search(r"\.py::", row[2])
    assert_tests_exist(row[4])


def assert_tests_exist(cell: str) -> None:
    """Some `file::name` stand in a cell, and each is a test."""
    tests = re.findall(r"`([\w/]+\.py)::(\w+)`", cell)
    assert tests
    for file, name in tests:
        assert name in {f.name for f in functions(ROOT / "tests" / file)}, (file, name)


def test_the_page_of_claims_has_all_of_them():
    assert [row[1].strip() for row in CLAIMS] == [*map(str, range(1, 32)), "drift"]


@pytest.mark.parametrize("row", CLAIMS, ids=lambda row: row[1].strip())
def test_every_claim_names_tests_and_breaks_that_exist(row: list[str]):
    """Columns: claim, what holds, tests, breaks; those are rows of tests/mutants.yaml, quoted by what they break."""
    assert_tests_exist(row[3])
    breaks = re.findall(r'"([^"]+)"', row[4])
    assert breaks and set(breaks) <= BREAKS, set(breaks) - BREAKS
