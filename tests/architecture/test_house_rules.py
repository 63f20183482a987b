"""Every module says what it is; functions stay short; docs/algorithms.md names functions and tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(p for folder in ("rlhf_core", "dashboard") for p in (ROOT / folder).rglob("*.py"))
ROWS = [
    line.split("|")
    for line in (ROOT / "docs" / "algorithms.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and "`" in line
]


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
    tests = re.findall(r"`([\w/]+\.py)::(\w+)`", row[4])
    assert tests and re.search(r"\.py::", row[2])
    for file, name in tests:
        assert name in {f.name for f in functions(ROOT / "tests" / file)}, (file, name)
