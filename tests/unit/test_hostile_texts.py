"""A thousand hostile texts through files, commands and reports: read back as they were, shown as text, run nowhere."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt

from dashboard.charts import clip, intervals
from dashboard.palette import LIGHT
from dashboard.services.wording import plain, without_images
from rlhf_core.cli import _print_pair, main
from rlhf_core.config.files import read_config
from rlhf_core.config.task import TaskConfig
from rlhf_core.data.io import parse_json, read_jsonl, write_json, write_jsonl
from rlhf_core.data.records import ContenderCompletion, Ranking
from rlhf_core.errors import ConfigError, DataError, RunError
from rlhf_core.feedback.store import VoteStore
from rlhf_core.report.exports import FORMULA, csv_tables, render_json, safe_cell, to_csv
from rlhf_core.report.facts import build_facts
from rlhf_core.report.html import SCRIPT, render_html
from rlhf_core.report.markdown import render_markdown
from rlhf_core.report.parts import Facts
from rlhf_core.runs.reader import RunReader
from rlhf_core.runs.tail import JsonlTail
from rlhf_core.visible import visible
from tests.hostile import hostile_rows, hostile_texts
from tests.run_factory import CONTENDERS, write_run
from tests.vote_factory import completion

TEXTS = [one.text for one in hostile_texts()]
FEW = TEXTS[:110]
"""Ten of every family."""
NAMES = [text for text in dict.fromkeys(FEW) if visible(text) == text and "\n" not in text and "\t" not in text][:12]
"""What may be a name and tries to be more: HTML, Markdown, directives, templates, formulas, paths."""


def acting(text: str) -> set[str]:
    """Characters that act on a terminal."""
    return {c for c in text if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} or c in "\u202e\u2066"} - {
        "\n",
        "\t",
    }


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """The facts of a run in which every contender answers hostile prompts with hostile texts."""
    run = write_run(tmp_path_factory.mktemp("runs") / "demo")
    for shift, name in enumerate(CONTENDERS):
        answers = [*FEW[shift:], *FEW[:shift]]
        rows = [completion(f"p{n}", name, text, FEW[n]) for n, text in enumerate(answers)]
        write_jsonl(run / "completions" / f"{name}.jsonl", rows)
    scores = json.loads((run / "evaluation" / "scores.json").read_text())
    for scorer in scores["scorers"].values():
        scorer["blind_spots"] = "<img src=x onerror=alert(1)> ![x](http://192.0.2.1) \x1b[2J\u202e"
    write_json(run / "evaluation" / "scores.json", scores)
    return build_facts(run)


def test_jsonl_gives_every_text_back(tmp_path: Path):
    for escaped in (False, True):
        rows = [completion(f"p{n}", "base", text, text).model_dump() for n, text in enumerate(TEXTS)]
        lines = "".join(json.dumps(row, ensure_ascii=escaped) + "\n" for row in rows)
        (tmp_path / "base.jsonl").write_bytes(lines.encode())
        read = read_jsonl(tmp_path / "base.jsonl", ContenderCompletion)
        assert [row.text for row in read] == [row.prompt for row in read] == TEXTS


def test_half_of_a_pair_is_refused_by_name_of_the_line(tmp_path: Path):
    path = tmp_path / "base.jsonl"
    path.write_bytes(b"\n".join(hostile_rows()))
    with pytest.raises(DataError) as caught:
        read_jsonl(path, ContenderCompletion)
    for line in (1, 2, 3, 4):
        assert rf"base.jsonl:{line}: holds half of a surrogate pair, '\ud800', which is no text" in str(caught.value)
    assert parse_json(rb'"\ud83d\ude00 and \\ud800"') == "😀 and \\ud800"
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "scores.json").write_bytes(rb'{"rows": ["\udfff"]}')
    with pytest.raises(RunError, match=r"scores\.json: not JSON: holds half of a surrogate pair, '\\udfff'"):
        RunReader(tmp_path).evaluation("scores")
    (tmp_path / "metrics.jsonl").write_bytes(b'{"step": 1}\n{"step": 2, "text": "\\ud800"}\n')
    tail = JsonlTail(tmp_path / "metrics.jsonl")
    assert (tail.read(), tail.damaged) == ([{"step": 1}], 1)


@pytest.mark.parametrize("field", ["prompt_id", "category", "contender"])
def test_a_name_that_acts_is_refused_with_its_place(tmp_path: Path, field: str):
    row = completion("p0", "base", "text").model_dump() | {field: "tuned\x1b[31m"}
    write_jsonl(tmp_path / "x.jsonl", [row])
    with pytest.raises(DataError, match=rf"x\.jsonl:1: {field}: holds characters that do not show.*found tuned␛\[31m"):
        read_jsonl(tmp_path / "x.jsonl", ContenderCompletion)


def test_a_criterion_that_acts_is_refused(tmp_path: Path):
    (tmp_path / "task.yaml").write_text(yaml.safe_dump(task_of(tmp_path) | {"criteria": ["a\x1bb"]}))
    with pytest.raises(ConfigError, match=r"criteria: .*holds characters that do not show; .*found a␛b"):
        read_config(TaskConfig, tmp_path / "task.yaml", [])


def test_no_command_lets_a_stored_text_act_on_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """From making a task to its export; the completions name their author, so that `show` prints what they say."""
    config, votes, out = tmp_path / "task.yaml", str(tmp_path / "votes.db"), tmp_path / "out.jsonl"
    config.write_text(yaml.safe_dump(task_of(tmp_path)))
    said = run_commands(capsys, ["task", "create", str(config), "--votes", votes])
    assert "completions name their author" in said
    for command in ("show", "open"):
        said += run_commands(capsys, ["task", command, "1", "--votes", votes])
    with closing(VoteStore(votes)) as store:
        while item := store.next_item(1, NAMES[0]):
            store.vote(item.token, dict.fromkeys(item.criteria, "a"), reading_seconds=1, reason="\x1b[2J")
    arguments = (["list"], ["pause", "1"], ["close", "1"], ["export", "1", str(out)])
    said += run_commands(capsys, *(["task", *rest, "--votes", votes] for rest in arguments))
    assert not acting(said)
    texts = {row.text for ranking in read_jsonl(out, Ranking) for row in ranking.completions}
    assert {f"I am SmolLM. {text}" for text in FEW} <= texts


def test_commands_on_runs_let_nothing_act_on_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = write_run(tmp_path / "runs" / "demo", refusals=True).rename(tmp_path / "runs" / "\x1b]0;title\x07")
    content = json.loads((run / "evaluation" / "comparisons.json").read_text())
    for row in content["rows"]:
        row |= {"scorer": "\x1b[31mred", "unit": "\u202eunit", "category": "a\rb"}
    write_json(run / "evaluation" / "comparisons.json", content)
    said = run_commands(capsys, ["runs", "--run-root", str(run.parent)], ["compare", str(run)])
    assert "␛]0;title␇" in said and "␛[31mred" in said and "a␍b" in said and not acting(said)
    for text in TEXTS:
        _print_pair("base", text)
    assert not acting(capsys.readouterr().out)


def test_an_error_lets_nothing_act_on_the_terminal(tmp_path: Path):
    for name in ("\x1b]52;c;cm0=\x07.jsonl", "\u202egpj.jsonl"):
        with pytest.raises(SystemExit) as caught:
            main(["data", "check", str(tmp_path / name)])
        assert "no such file" in str(caught.value.code) and not acting(str(caught.value.code))


def test_the_html_report_shows_hostile_texts_as_text(facts: Facts):
    class Page(HTMLParser):
        """Its tags with their attributes' names, and its text."""

        def __init__(self) -> None:
            super().__init__()
            self.tags: set[str] = set()
            self.attributes: set[str] = set()
            self.text = ""

        def handle_starttag(self, tag, attrs):
            self.tags.add(tag)
            self.attributes |= {name for name, _ in attrs}

        def handle_data(self, data):
            self.text += data

    html = render_html(facts)
    page = Page()
    page.feed(html)
    assert html.count("<script") == 1 and f"<script>{SCRIPT}</script>" in html
    assert not page.tags & {"img", "iframe", "form", "input", "link", "base", "object", "a", "marquee"}
    assert not {name for name in page.attributes if name.startswith("on")}
    assert "default-src 'none'" in html and not acting(html)
    for text in FEW:
        assert visible(text).strip() in page.text, text[:80]


def test_the_markdown_report_shows_hostile_texts_as_text(facts: Facts):
    markdown = render_markdown(facts)
    tokens = [
        t
        for token in MarkdownIt("commonmark").enable("table").parse(markdown)
        for t in (token, *(token.children or []))
    ]
    assert not {t.type for t in tokens} & {"html_block", "html_inline", "image", "link_open"}
    shown = {t.content for t in tokens if t.type == "fence"}
    for text in FEW:
        assert re.sub(r"\r\n?", "\n", visible(text)) + "\n" in shown, text[:80]
    assert not acting(markdown)


def test_the_json_report_gives_every_text_back(facts: Facts):
    answers = json.loads(render_json(facts).encode())["answers"]
    assert [answer["texts"]["base"] for answer in answers] == FEW


def as_it_was(cell: str) -> str:
    """The rule that the documentation of `safe_cell` gives to readers."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell[1:]) else cell


def test_csv_gives_every_text_back_and_no_cell_is_a_formula(facts: Facts):
    limit = csv.field_size_limit(2_000_000)  # Python reads cells of 128 KiB at most unless it is told
    for name, table in csv_tables(facts).items():
        numbers = re.compile(r"-?[\d.]+(e-?\d+)?")
        for row in csv.reader(io.StringIO(table, newline="")):
            assert not [c for c in row if FORMULA.match(c) and not c.startswith("'") and not numbers.fullmatch(c)], name
    rows = list(csv.DictReader(io.StringIO(to_csv([{"text": text} for text in TEXTS]), newline="")))
    csv.field_size_limit(limit)
    assert [as_it_was(row["text"]) for row in rows] == TEXTS


@pytest.mark.parametrize(
    "text",
    [
        "=1",
        "+1",
        "-1",
        "@a",
        "\t=1",
        "\rx",
        "\nx",
        "＝1",
        " =1",
        "\ufeff=1",
        "\x00=1",
        "\u200b@a",
        "'=1",
        "''=1",
        "'\tx",
    ],
)
def test_what_a_spreadsheet_might_run_gets_an_apostrophe_that_can_be_taken_away(text: str):
    assert safe_cell(text) == f"'{text}" and as_it_was(safe_cell(text)) == text


@pytest.mark.parametrize("value", ["a=1", "'quoted'", "1-2", "", "'", "don't", -2, 1.5, None])
def test_what_is_no_formula_stays(value: object):
    assert safe_cell(value) == value
    assert not isinstance(value, str) or as_it_was(value) == value


def test_plain_text_marks_up_nothing():
    """By CommonMark; Streamlit's own directives and icons are looked at in the browser."""
    for text in TEXTS[:-4]:
        tokens = MarkdownIt("commonmark").enable("table").parse(plain(text))
        inner = [child for token in tokens for child in token.children or []]
        assert {t.type for t in tokens} <= {"paragraph_open", "inline", "paragraph_close"}, text[:80]
        assert {t.type for t in inner} <= {"text", "text_special", "hardbreak"}, text[:80]
        lines = [line.strip() for line in visible(text).split("\n")]
        assert "".join("\n" if t.type == "hardbreak" else t.content for t in inner).strip() == "\n".join(
            line for line in lines if line
        ), text[:80]


def test_images_in_instructions_are_not_fetched():
    shown = MarkdownIt("commonmark").render(
        without_images("![a](http://192.0.2.1/x.png) ![b][1]\n\n[1]: http://192.0.2.1")
    )
    assert "<img" not in shown and shown.count("<a href") == 2


def test_names_in_figures_are_text():
    figure = intervals(["<b>1</b>", "2", "%{x}\u202e"], [(0.5, 0.4, 0.6)] * 3, LIGHT, reference=0.5, x_title="x")
    names = ["&lt;b&gt;1&lt;/b&gt;", "2", "%\u200b{x}⟨U+202E⟩"]
    assert [figure.layout.yaxis.ticktext[trace.y[0]] for trace in figure.data] == names
    assert [trace.hovertemplate.partition(":")[0] for trace in figure.data] == names
    assert clip("x" * 99) == "x" * 59 + "…"


def task_of(folder: Path) -> dict[str, object]:
    """A task on hostile texts and names, as a configuration; every completion names its author."""
    for shift, name in enumerate(NAMES[:2]):
        answers = [*FEW[shift:], *FEW[:shift]]
        rows = [completion(f"p{n}", name, f"I am SmolLM. {text}", FEW[n]) for n, text in enumerate(answers)]
        write_jsonl(folder / f"{shift}.jsonl", rows)
    (folder / "guide.md").write_bytes("\n".join(FEW).encode())
    contenders = [str(folder / f"{shift}.jsonl") for shift in range(2)]
    return {
        "name": "trial",
        "contenders": contenders,
        "instructions": str(folder / "guide.md"),
        "criteria": NAMES[2:5],
    }


def run_commands(capsys: pytest.CaptureFixture[str], *commands: list[str]) -> str:
    """Everything that the commands print."""
    for command in commands:
        with pytest.raises(SystemExit) as caught:
            main(command)
        assert not caught.value.code, caught.value.code
    printed = capsys.readouterr()
    return printed.out + printed.err
