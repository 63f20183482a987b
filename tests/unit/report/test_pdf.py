"""The PDF: set by Typst without a warning, tagged, with a title and page numbers; what models wrote is never markup."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from rlhf_core.report import pdf
from rlhf_core.report.facts import build_facts
from rlhf_core.report.parts import Example, Facts
from rlhf_core.report.pdf import manuscript, printable, render_pages, render_pdf
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


def joined_lines(page: Any) -> str:
    """A page's text, white space as single spaces."""
    return " ".join(page.extract_text().split())


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


def test_no_warning(facts: Facts):
    compiler = pdf._compiler(pdf.manuscript(facts).content, pdf.TEMPLATES / "report.typ")
    _, warnings = compiler.compile_with_warnings(format="pdf", pdf_standards=[pdf.STANDARD])
    assert [str(warning) for warning in warnings] == []


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


SCRIPTS = (
    "这是什么意思？我们明天去北京。", "日本の首都はどこですか", "서울은 한국의 수도입니다",
    "ما هي عاصمة مصر", "מהי בירת ישראל", "ប្រទេសកម្ពុជា", "ประเทศไทยมีเมืองหลวงชื่อว่ากรุงเทพมหานคร",
    "भारत की राजधानी", "বাংলাদেশের রাজধানী", "தலைநகரம்", "მთავარი ქალაქი", "Как испечь хлеб",
    "🌧 ❤️ 👩\u200d👩\u200d👧 🇬🇧",
)  # fmt: skip


@pytest.mark.parametrize("text", SCRIPTS)
def test_a_text_of_any_script_has_no_codes(text: str):
    assert printable(text) == text  # and no place to break a line where Typst knows better ones


def test_people_of_all_scripts_read_their_prompt(facts: Facts):
    read = joined(pdf_text(render_pdf(with_texts(facts, list(SCRIPTS)))))
    assert "U+" not in read
    for text in SCRIPTS[:3]:  # scripts whose letters stay in their order in the file
        assert read.count(joined(text)) == 3, text  # the prompt and two answers


def test_what_no_typeface_holds_is_shown_as_its_code(facts: Facts):
    # U+12000 is cuneiform, which neither Libertinus nor the packages have.
    assert printable("a 🌧 中\x00 שלום Ελ \U00012000") == "a 🌧 中⟨U+2400⟩ שלום Ελ ⟨U+12000⟩"
    assert "⟨U+12000⟩x" in joined(pdf_text(render_pdf(with_texts(facts, ["\U00012000x"]))))


def test_a_mark_that_fits_no_letter_costs_other_texts_nothing(facts: Facts):
    # No typeface has a rare Han character, a hook above and an arrow above letters; Hindi needs its marks.
    odd, hindi = "魮\u0309\u20d1", "हिन्दी में"
    made = pdf._each(pdf._content(with_texts(facts, [odd, hindi])), pdf._readable)
    shown = [block["prompt"]["text"] for block in made["blocks"] if block["kind"] == "exchange"]
    assert shown[:2] == ["魮⟨U+0309⟩⟨U+20D1⟩", hindi]
    assert "魮⟨U+0309⟩⟨U+20D1⟩" in joined(pdf_text(render_pdf(with_texts(facts, [odd, hindi]))))


@pytest.mark.parametrize(
    ("text", "rtl", "language"),
    [
        ("ما هي", True, ""), ("123 מהי", True, ""), ("a ما", False, ""),
        ("東京です", False, "ja"), ("서울", False, "ko"), ("", False, ""),
    ],
)  # fmt: skip
def test_the_first_letter_says_from_where_a_text_runs(text: str, rtl: bool, language: str):
    assert pdf._written(text) == {"text": text, "rtl": rtl, "language": language}


def test_a_long_word_breaks_before_letters_and_not_before_their_marks():
    letter = "e\u0301"
    assert printable(letter * 24) == (letter * 6 + "\u200b") * 3 + letter * 6  # twelve characters are six letters
    assert printable("क्ष" * 10).replace("\u200b", "") == "क्ष" * 10 and "\u200b\u094d" not in printable("क्ष" * 10)


def test_pages_are_pictures_of_the_pdf_with_the_sections_that_begin_there(facts: Facts):
    read, pages = PdfReader(io.BytesIO(render_pdf(facts))), render_pages(manuscript(facts))
    assert len(pages) == len(read.pages) > 3
    for page, shown in zip(pages, read.pages, strict=True):
        assert page.image.startswith(b"\x89PNG") and all(title in joined_lines(shown) for title in page.sections)
    titles = [title for page in pages for title in page.sections]
    assert titles[:3] == ["Keep in mind", "What people say", "How far labellers agree"]


def test_an_empty_run_can_be_set(tmp_path: Path):
    (tmp_path / "new").mkdir()
    assert "There is no result yet" in pdf_text(render_pdf(build_facts(tmp_path / "new")))
