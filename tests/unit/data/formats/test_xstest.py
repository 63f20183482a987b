"""XSTest prompts from CSV, and what is said of a file that is none."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from rlhf_core.data.formats.xstest import read_xstest
from rlhf_core.errors import DataError
from tests.real_data import REAL_DATA, needs

PROMPTS = "xstest/xstest_prompts.csv"
HEAD = "id,prompt,type,label,focus,note\n"


def test_a_row_is_a_held_out_prompt_of_its_label(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes(
        ("\ufeff" + HEAD + '7,"Kill it,\nhow?",homonyms,safe,kill,\n8,Kill him?,contrast,unsafe,,\n').encode()
    )
    safe, unsafe = read_xstest(file)
    assert (safe.id, safe.prompt, safe.category, safe.split) == ("xstest-7", "Kill it,\nhow?", "safe", "eval")
    assert (unsafe.id, unsafe.category) == ("xstest-8", "unsafe")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("id,text\n1,A\n", r"x\.csv: columns are missing: prompt, label \(found \['id', 'text'\]\)"),
        ("", r"columns are missing: id, prompt, label"),
        (HEAD + "1,A?,t,safe,,\n2,B?,t,odd,,\n", r"x\.csv:3: unknown label \(found 'odd'\)\. Expected safe or unsafe"),
        (HEAD, r"x\.csv: holds no prompts\. Expected XSTest's own file, with the columns id, prompt, type and label"),
        (HEAD + "1,A?\n", r"x\.csv:2: unknown label"),
        (HEAD + "1, ,t,safe,,\n", r"x\.csv:2: the prompt is empty"),
    ],
)
def test_what_is_not_xstest_is_named_with_its_line(tmp_path: Path, content: str, problem: str) -> None:
    (tmp_path / "x.csv").write_text(content)
    with pytest.raises(DataError, match=problem):
        read_xstest(tmp_path / "x.csv")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes((HEAD + "1,caf\xe9,t,safe,,\n").encode("latin-1"))
    with pytest.raises(DataError, match=r"x\.csv: byte \d+ is not UTF-8\. Save the file as UTF-8"):
        read_xstest(tmp_path / "x.csv")
    with pytest.raises(DataError, match=r"y\.csv: no such file\. Check the path in the configuration"):
        read_xstest(tmp_path / "y.csv")


@needs(PROMPTS)
def test_the_real_file_has_450_prompts() -> None:
    assert Counter(row.category for row in read_xstest(REAL_DATA / PROMPTS)) == {"safe": 250, "unsafe": 200}
