"""The PDF: set by Typst without a warning, tagged, with a title and page numbers; what models wrote is never markup."""

from __future__ import annotations

import io
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typst
from pypdf import PdfReader

from rlhf_core.report import pdf
from rlhf_core.report.facts import build_facts
from rlhf_core.report.parts import Example, Facts
from rlhf_core.report.pdf import printable, render_pdf
from tests.hostile import HUGE, hostile_texts
from tests.report_reader import pdf_text
from tests.run_factory import vote_frame, write_run

TYPST = (
    '#import "@preview/x:0.1.0": *', "#panic(1)", "#read(\"/etc/passwd\")", "$ x^2 $", "*bold* _it_ `raw`", "@label <label>",
    "= Heading", "- item\n+ item", "\\ \\u{1F600} // comment /* open", "#sys.inputs", "https://example.com", 
    "~ -- --- ...", "#]#[", '"quoted"',
)  # fmt: skip


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """The facts of a complete run."""
    return build_facts(
        write_run(tmp_path_factory.mktemp("runs") / "demo", votes="simulated", refusals=True), vote_frame()
    )


def with_texts(facts: Facts, texts: list[str]) -> Facts:
    """The facts with texts as prompts and answers of the examples."""
    first = facts.best[0]
    examples = [
        Example(replace(first.answer, prompt=text, texts={"base": text, "tuned": text}), "base", "tuned", 1.0)
        for text in texts
    ]
    return replace(facts, best=tuple(examples))


def joined(text: str) -> str:
    """A text as it is compared: without white space, for lines break anywhere."""
    return "".join(text.split()).replace("\u200b", "")


def test_it_is_accessible_and_says_what_it_is(facts: Facts):
    read = PdfReader(io.BytesIO(render_pdf(facts)))
    root: Any = read.trailer["/Root"]
    assert root["/Lang"] == "en-GB" and root["/MarkInfo"]["/Marked"] and root["/StructTreeRoot"]
    assert "pdfuaid:part" in root["/Metadata"].get_object().get_data().decode()
    assert read.metadata and read.metadata.title == "demo: RLHF Studio report"
    pages = [page.extract_text() for page in read.pages]
    assert all(f"{n} of {len(pages)}" in text for n, text in enumerate(pages, 1))
    assert not any(page.get("/Annots") for page in read.pages)  # nothing to press, nothing that opens


def test_pictures_are_vectors(facts: Facts):
    read = PdfReader(io.BytesIO(render_pdf(facts)))
    assert not [image for page in read.pages for image in page.images]


def test_no_warning_and_no_font_but_those_inside_typst(facts: Facts):
    import json

    data = json.dumps(pdf._content(facts), ensure_ascii=False)
    compiler = typst.Compiler(
        pdf.TEMPLATES / "report.typ", root=pdf.TEMPLATES, font_paths=pdf._fonts(), ignore_system_fonts=True
    )
    _, warnings = compiler.compile_with_warnings(
        format="pdf", sys_inputs={"report": data}, pdf_standards=[pdf.STANDARD]
    )
    assert [str(warning) for warning in warnings] == []
    assert {font.path for font in pdf._fonts().fonts()} == {None}


def test_tables_that_break_repeat_their_header(facts: Facts):
    many = tuple(replace(facts.measures[0], name=f"figure_{n}") for n in range(150))
    pages = [page.extract_text() for page in PdfReader(io.BytesIO(render_pdf(replace(facts, measures=many)))).pages]
    shown = [text for text in pages if "figure_" in text]
    assert len(shown) >= 3 and all("What it is" in text for text in shown)


@pytest.mark.parametrize("text", TYPST)
def test_what_typst_would_read_stays_text(facts: Facts, text: str):
    read = joined(pdf_text(render_pdf(with_texts(facts, [text]))))
    assert read.count(joined(text)) >= 3


def test_a_hundred_hostile_texts_are_set(facts: Facts):
    texts = [one.text for one in hostile_texts()][:110]
    read = joined(pdf_text(render_pdf(with_texts(facts, texts))))
    plain = [text for text in texts if text.isascii() and text.replace("\n", " ").isprintable()]
    assert len(plain) > 50 and [text for text in plain if joined(text) not in read] == []
    assert "⟨U+202E⟩" in read and "␛" not in read and "⟨U+241B⟩" in read


def test_huge_texts_take_seconds_and_a_few_pages(facts: Facts):
    made = render_pdf(with_texts(facts, [make() for make in HUGE.values()]))
    assert len(PdfReader(io.BytesIO(made)).pages) < 60
    assert "more characters" in pdf_text(made)


def test_long_words_stay_inside_the_page(facts: Facts):
    word = "w" * 600
    for page in PdfReader(io.BytesIO(render_pdf(with_texts(facts, [word])))).pages:
        assert max((len(line) for line in page.extract_text().replace("\u200b", "").split("\n")), default=0) < 200
    assert printable("a" * 25) == "a" * 12 + "\u200b" + "a" * 12 + "\u200b" + "a"
    assert printable("a" * 23) == "a" * 23 and printable("0f" * 32) == "0f" * 32  # a hash can be copied


def test_what_no_typeface_holds_is_shown_as_its_code(facts: Facts):
    assert printable("a 🌧 中\x00 שלום Ελ") == "a ⟨U+1F327⟩ ⟨U+4E2D⟩⟨U+2400⟩ שלום Ελ"
    assert "⟨U+1F327⟩⟨U+4E2D⟩" in joined(pdf_text(render_pdf(with_texts(facts, ["🌧 中"]))))


def test_the_list_of_characters_holds_of_the_typst_that_is_installed():
    """Every character on it is set without a gap: PDF/UA refuses a page with one."""
    lines = (pdf.TEMPLATES / "typeface.txt").read_text().split()
    codes = [c for line in lines for a, b in [line.split("-")] for c in range(int(a, 16), int(b, 16) + 1)]
    assert len(codes) > 7000 and not [c for c in codes if unicodedata.category(chr(c)) in ("Cc", "Cs", "Cn")]
    head = b'#set document(title: "x")\n#set text(font: "Libertinus Serif", lang: "en")\n'
    source = head + b"#for c in sys.inputs.all.clusters() [#c ]"

    def make(text: str) -> None:
        compiler = typst.Compiler(source, font_paths=pdf._fonts(), ignore_system_fonts=True)
        compiler.compile(format="pdf", sys_inputs={"all": text}, pdf_standards=["ua-1"])

    make(" ".join(map(chr, codes)))
    with pytest.raises(typst.TypstError, match="could not be displayed"):
        make("中")


def test_an_empty_run_can_be_set(tmp_path: Path):
    (tmp_path / "new").mkdir()
    assert "There is no result yet" in pdf_text(render_pdf(build_facts(tmp_path / "new")))
