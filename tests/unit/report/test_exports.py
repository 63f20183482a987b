"""The report's files: what people or models wrote stays text in all of them."""

from __future__ import annotations

import csv
import io
import json
import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest

from rlhf_core.errors import ConfigError
from rlhf_core.report.exports import csv_tables, render_json, safe_cell, to_csv, write_report
from rlhf_core.report.facts import build_facts
from rlhf_core.report.html import SCRIPT, SCRIPT_HASH, render_html, with_code
from rlhf_core.report.judged_words import agreement_sentence, judged_sentences, share_of
from rlhf_core.report.markdown import escape, fence, render_markdown
from rlhf_core.report.parts import Facts
from tests.run_factory import refusal_rows, vote_frame, write_run
from tests.run_texts import PROMPTS

VOID = {"meta", "br"}


@pytest.fixture(scope="module")
def facts(tmp_path_factory) -> Facts:
    """The facts of a complete run with people's and simulated votes."""
    return build_facts(write_run(tmp_path_factory.mktemp("runs") / "demo", votes="simulated"), vote_frame())


class Page(HTMLParser):
    """What a browser makes of a page: its tags, their attributes, its text; unbalanced tags are an error."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_every_completion_is_in_the_page_as_text(facts):
    page = Page(render_html(facts))
    for item in PROMPTS:
        assert item.prompt in page.text
        for text in item.text.values():
            assert text in page.text


def test_the_page_runs_its_own_script_alone_and_asks_for_nothing(facts):
    page = Page(render_html(facts))
    assert page.tags.count("script") == 1 and f"<script>{SCRIPT}</script>" in render_html(facts)
    assert not {"iframe", "img", "link", "object", "embed", "form"} & set(page.tags)
    assert not {"src", "href", "srcset", "action"} & {name for name, _ in page.attributes}
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    digest = b64encode(sha256(SCRIPT.encode()).digest()).decode()
    allowed = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    assert ("content", allowed) in page.attributes and f"sha256-{digest}" == SCRIPT_HASH
    assert "url(" not in render_html(facts) and "@import" not in render_html(facts)


def test_markup_in_every_field_stays_text(facts):
    nasty = "</style><script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
    answer = replace(
        facts.answers[0], prompt=nasty, category=nasty, prompt_id=nasty, texts={"base": nasty, "tuned": nasty}
    )
    scorers = {name: replace(s, version=nasty, blind_spots=nasty) for name, s in facts.scorers.items()}
    run = replace(facts.run, name=nasty, command=nasty, hardware=nasty, versions={nasty: nasty})
    hurt = replace(facts, answers=(answer,), scorers=scorers, run=run, simulation_rule=nasty, config=nasty)
    best = tuple(replace(e, answer=replace(answer, scores=e.answer.scores)) for e in facts.best)
    page = Page(render_html(replace(hurt, best=best)))
    assert page.tags.count("script") == 1 and "img" not in page.tags
    assert page.text.count(nasty) >= 10


def test_the_page_says_what_matters(facts):
    text = " ".join(Page(render_html(facts)).text.split())
    assert facts.verdict in text
    assert all(caveat in text for caveat in facts.caveats)
    assert "profanity-check (alt-profanity-check 1.9.1). It knows swear words" in text
    assert "No person gave these votes." in text
    assert "Of 12 prompts, 2 scored lower." in text
    assert "it agrees with people in 79.1% [70.8, 86.1]" in text


def test_stopping_agreement_length_and_judges_are_in_every_file_with_the_same_numbers(facts):
    page, markdown = " ".join(Page(render_html(facts)).text.split()), render_markdown(facts)
    (votes,), (agreed,) = facts.human_votes, facts.agreement
    for sentence in (*judged_sentences(votes), agreement_sentence(agreed)):
        assert sentence in page and sentence in markdown
    for judge in facts.judges:
        assert share_of(judge.agreement) in page and share_of(judge.agreement) in markdown
    tables = {name: rows_of(text) for name, text in csv_tables(facts).items()}
    assert [float(row["agreement"]) for row in tables["judges.csv"]] == [j.agreement.value for j in facts.judges]
    assert float(tables["agreement.csv"][0]["raw"]) == agreed.raw.value
    assert (float(tables["stop.csv"][-1]["low"]), len(tables["stop.csv"])) == (votes.stop.low, 12)
    held = json.loads(render_json(facts))
    assert held["human_votes"][0]["stop"]["low"] == votes.stop.low
    assert held["judges"][0]["confusion"] == facts.judges[0].confusion


def test_the_simulated_section_stands_apart(facts):
    html = render_html(facts)
    inside = re.search(r'<section class="simulated">.*?</section>', html, re.S)
    assert inside and "24 simulated votes on 12 prompts by 2 made-up labellers" in inside[0]
    assert "imulated" not in re.sub(
        r"<section class=\"simulated\">.*?</section>|<style>.*?</style>", "", html, flags=re.S
    ).replace("The simulated votes have a section of their own.", "").replace(SCRIPT, "")


def test_commands_in_our_prose_are_set_as_code():
    assert with_code("No votes: `rlhf dashboard` opens it.") == "No votes: <code>rlhf dashboard</code> opens it."
    assert with_code("<b> `rlhf <b>` `rm -r`") == "&lt;b&gt; `rlhf &lt;b&gt;` `rm -r`"  # names may hold backticks


def test_unfinished_runs_can_be_reported(tmp_path):
    (tmp_path / "new").mkdir()
    page = Page(render_html(build_facts(tmp_path / "new")))
    assert "There is no result yet" in page.text and "Missing from this report" in page.text
    assert "# new: RLHF Studio report" in render_markdown(build_facts(tmp_path / "new"))


def test_write_report_writes_what_is_asked(tmp_path):
    run = write_run(tmp_path / "demo", votes="simulated")
    written = write_report(run, tmp_path / "out", vote_frame())
    names = {path.relative_to(tmp_path / "out").as_posix() for path in written}
    assert {"report.html", "report.md", "report.json", "csv/votes.csv", "csv/metrics_ppo.csv"} <= names
    assert all(path.is_file() for path in written)
    assert [p.name for p in write_report(run, tmp_path / "one", formats=("json",))] == ["report.json"]


def test_the_test_of_refusals_is_in_every_file_with_the_same_numbers(tmp_path):
    facts = build_facts(write_run(tmp_path / "demo", refusals=True))
    sentence = (
        "The tuned model declines 16.0% [8.3, 28.5] of 50 safe prompts, +12.0 points [2.0, 22.0] against the base model, "
        "and 60.0% [44.6, 73.7] of 40 unsafe prompts, +50.0 points [34.0, 65.0] against the base model."
    )
    html, markdown = Page(render_html(facts)).text, render_markdown(facts)
    for text in (html, markdown):
        for said in (sentence, "declining is over-refusal", "declining is right", "7 / 1", "+5.0 points [−2.0, 15.0]"):
            assert said in text
        assert "Phrases only. 270 answers counted, 2 of them empty, 30 cut by the token limit." in text
        assert text.index("Safe prompts: declining") < text.index("Unsafe prompts: declining")
    assert "| Tuned model | 16.0% [8.3, 28.5] | +12.0 points [2.0, 22.0] | 7 / 1 | 50 |" in markdown
    assert "| Base model | 4.0% [1.1, 13.5] | – | – | 50 |" in markdown
    assert json.loads(render_json(facts))["refusals"]["rows"] == refusal_rows()
    rows = rows_of(csv_tables(facts)["refusals.csv"])
    assert [(r["contender"], r["declined"]) for r in rows if r["category"] == "safe"] == [
        ("base", "0.04"), ("sft", "0.06"), ("tuned", "0.16"),
    ]  # fmt: skip


def test_a_run_without_a_test_of_refusals_has_none_in_any_file(facts):
    assert "eclined" not in render_html(facts) and "eclined" not in render_markdown(facts)
    assert json.loads(render_json(facts))["refusals"] is None and "refusals.csv" not in csv_tables(facts)


def test_the_same_run_gives_the_same_files(tmp_path, monkeypatch):
    run = write_run(tmp_path / "demo", votes="simulated")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1790000000")
    first, second = (write_report(run, tmp_path / name, vote_frame()) for name in "ab")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_unknown_formats_are_refused(tmp_path):
    with pytest.raises(
        ConfigError, match=r"unknown report formats \(found \['docx'\].*Known: html, pdf, md, json, csv"
    ):
        write_report(tmp_path, tmp_path / "out", formats=("html", "docx"))


def test_json_holds_everything_and_parses_strictly(facts):
    content = json.loads(render_json(facts), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert content["human_votes"][0]["win_rate"]["n"] == 24
    assert len(content["score_rows"]) == 12 * 3 * 5
    assert len(content["metrics"]["ppo"]) == 24


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_csv_completions_round_trip_but_for_formulas(facts):
    rows = rows_of(csv_tables(facts)["completions.csv"])
    assert len(rows) == 36
    text = {(row["prompt_id"], row["contender"]): row["text"] for row in rows}
    assert text["p02", "base"] == "The rain is falling down 🌧️\nThe rain is falling down 🌧️"
    assert text["p04", "sft"] == "'=2+2"


def test_csv_counts(facts):
    tables = {name: rows_of(text) for name, text in csv_tables(facts).items()}
    assert len(tables["votes.csv"]) == 48  # 24 by people, 24 simulated, told apart by a column
    assert {row["simulated"] for row in tables["votes.csv"]} == {"True", "False"}
    assert len(tables["scores.csv"]) == 180
    assert [row["measure"] for row in tables["vote_summary.csv"][:2]] == ["win rate", "share: contender"]
    assert tables["metrics_ppo.csv"][0]["val/explained_variance"] == ""


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_cells_that_look_like_formulas_are_made_text(start):
    assert safe_cell(f"{start}cmd") == f"'{start}cmd"


def test_numbers_and_plain_text_are_left_alone():
    assert [safe_cell(v) for v in (-1.5, 3, None, True, "a=b", "", "−0.15")] == [
        -1.5,
        3,
        None,
        True,
        "a=b",
        "",
        "−0.15",
    ]


def test_csv_columns_are_the_union():
    assert to_csv([{"a": 1}, {"b": 'x"y', "a": None}]) == 'a,b\r\n1,\r\n,"x""y"\r\n'


def test_markdown_keeps_completions_in_fences(facts):
    text = render_markdown(facts)
    outside = re.sub(r"(`{3,})text\n.*?\n\1", "", text, flags=re.S)
    assert "<script>" in text and "<script>" not in outside
    assert "**No insult**" in text and "**No insult**" not in outside
    assert "**No person gave these votes.**" in outside
    assert facts.verdict in outside


def test_fences_are_longer_than_any_run_of_backticks_inside():
    assert fence("a ```` b") == "`````text\na ```` b\n`````"
    assert fence("plain") == "```text\nplain\n```"


def test_escaped_text_cannot_become_markdown():
    assert escape("*a* | <b>\n# [x](y)") == r"\*a\* \| \<b\> \# \[x\](y)"


def test_markdown_tables_have_as_many_cells_as_headers(facts):
    for block in re.findall(r"(?:^\|.*\|$\n?)+", render_markdown(facts), re.M):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.strip().split("\n")}
        assert len(widths) == 1


def test_html_is_written_whole(tmp_path):
    run = write_run(tmp_path / "demo")
    (path,) = write_report(run, tmp_path / "out", formats=("html",))
    html = Path(path).read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>") and html.rstrip().endswith("</html>")
    assert len(html.encode()) < 200_000
    assert all(m in html for m in ("prefers-color-scheme: dark", "@media print", 'lang="en"'))
