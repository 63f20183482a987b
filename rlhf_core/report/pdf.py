"""Set a report as PDF with Typst: the blocks of the Markdown file, pictures as vectors, tagged; no network, no system fonts.

What people or models wrote travels as JSON and is never markup. A text is shown as the characters it consists of, in any
script that `typefaces.py` knows, and those that no typeface holds as their code, ⟨U+12000⟩.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from unicodedata import bidirectional, category

import typst

from rlhf_core.report import sections
from rlhf_core.report.blocks import Block, Bullets, Exchange, Gallery, Heading, Prose, Table, Verbatim, code_runs
from rlhf_core.report.document import document
from rlhf_core.report.parts import Facts
from rlhf_core.report.typefaces import CODE, families, fonts, language_of, unknown
from rlhf_core.visible import one_line, visible

TEMPLATES = Path(__file__).parent / "templates"
STANDARD = "ua-1"
LONGEST = 1200
"""So many letters of an answer are printed; examples are to be read, and the other files hold all of them."""
ANYWHERE = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ua4cf\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U0001f000-\U0003ffff"
)
"""South-East and East Asian scripts and emoji: Typst knows where their lines break, which is not at spaces."""
LONG_WORD = re.compile(rf"[^\s\u200b{ANYWHERE}]{{24,}}")
HASH = re.compile(r"[0-9a-f]{40,64}")
BREAK_EVERY = 12
JOINERS = "\u200c\u200d"
MOST = 20_000
"""So many letters of any one text are printed."""
PREVIEW_PPI = 110
SECTIONS = "query(heading.where(level: 1)).map(h => (h.location().page(), h.body.text))"
ALONE = b"""#let doc = json(bytes(sys.inputs.report))
#set document(title: "x")
#set text(font: doc.faces)
#doc.text

#set text(font: (doc.code, ..doc.faces))
#doc.text"""
"""A page that holds one text, in the typefaces of answers and in those of what is shown letter by letter."""
STYLE = """<style>
text { font-family: "Libertinus Serif"; font-size: 11px; fill: #566373; }
.grid { stroke: #d9dfe6; stroke-width: 0.7; } .axis { stroke: #566373; stroke-width: 0.8; }
.zero { stroke: #1b2430; stroke-width: 1; } .ideal { stroke: #0072b2; stroke-width: 1; stroke-dasharray: 4 3; fill: none; }
.up { fill: #0072b2; } .down { fill: #64748b; } .healthy { fill: #009e73; fill-opacity: 0.1; }
.line, .faint { fill: none; stroke-linejoin: round; stroke-linecap: round; stroke-width: 1.7; stroke: LINE; }
.faint { stroke-width: 0.9; stroke-opacity: 0.35; } .between { fill: LINE; fill-opacity: 0.14; }
.knot { fill: LINE; } .kept { fill: none; stroke: LINE; stroke-width: 1.6; } .mark { fill: #1b2430; fill-opacity: 0.6; }
</style>"""
COLOURS = {"ppo": "#0072b2", "sft": "#cc7a00"}


@dataclass(frozen=True)
class Manuscript:
    """All that the PDF of a report says, as JSON, and when the report was made, in seconds since 1970."""

    content: str
    made: int


@dataclass(frozen=True)
class PreviewPage:
    """A page of the PDF as a picture (PNG), with the titles of the sections that begin on it."""

    image: bytes
    sections: tuple[str, ...]


def render_pdf(facts: Facts) -> bytes:
    """Return the report as PDF, the same bytes for the same facts, which name the typefaces too."""
    return _set(manuscript(facts))[1]


def manuscript(facts: Facts) -> Manuscript:
    """Return what the PDF says: little beside the facts, which hold every vote and every step."""
    content = json.dumps(_content(facts), ensure_ascii=False)
    return Manuscript(content, int(datetime.fromisoformat(facts.provenance.made).timestamp()))


def render_pages(report: Manuscript) -> list[PreviewPage]:
    """Return the pages of the PDF as pictures."""
    compiler, _ = _set(report)
    asked: dict[str, Any] = {"format": "png", "ppi": PREVIEW_PPI}
    images: Any = compiler.compile(**asked)
    titles = json.loads(compiler.eval(SECTIONS))
    pages = enumerate(images if isinstance(images, list) else [images], 1)
    return [PreviewPage(image, tuple(title for page, title in titles if page == n)) for n, image in pages]


def _set(report: Manuscript) -> tuple[typst.Compiler, bytes]:
    """Return the compiler that holds the report, and its PDF.

    Typst refuses a page on which a letter and its marks have no typeface in common; then such texts show their marks as codes.
    """
    asked: dict[str, Any] = {"format": "pdf", "pdf_standards": [STANDARD], "timestamp": report.made}
    try:
        compiler = _compiler(report.content, TEMPLATES / "report.typ")
        return compiler, compiler.compile(**asked)  # pyright: ignore[reportReturnType]
    except typst.TypstError as error:
        if not _lacks_a_typeface(error):
            raise
    content = json.dumps(_each(json.loads(report.content), _readable), ensure_ascii=False)
    compiler = _compiler(content, TEMPLATES / "report.typ")
    return compiler, compiler.compile(**asked)  # pyright: ignore[reportReturnType]


def _compiler(content: str, source: Any) -> typst.Compiler:
    data = {"report": content}
    return typst.Compiler(source, root=TEMPLATES, font_paths=fonts(), ignore_system_fonts=True, sys_inputs=data)


def _lacks_a_typeface(error: typst.TypstError) -> bool:
    return "could not be displayed" in str(error)


def _each(value: Any, change: Callable[[str], str]) -> Any:
    """Return the content with every text changed."""
    if isinstance(value, dict):
        return {name: _each(part, change) for name, part in value.items()}
    if isinstance(value, list):
        return [_each(part, change) for part in value]
    return change(value) if isinstance(value, str) else value


def _readable(text: str) -> str:
    """Return a text as it is, or where Typst refuses it with every combining mark and joiner as its code."""
    apart = "".join(_code(c) if _joins(c) else c for c in text)
    if apart == text:
        return text
    try:
        content = {"text": text, "faces": families()[language_of(text)], "code": CODE}
        _compiler(json.dumps(content), ALONE).compile(format="pdf", pdf_standards=[STANDARD])
    except typst.TypstError as error:
        if not _lacks_a_typeface(error):
            raise
        return apart
    return text


def _joins(character: str) -> bool:
    return category(character)[0] == "M" or character in JOINERS


def _code(character: str) -> str:
    return f"⟨U+{ord(character):04X}⟩"


def printable(text: str) -> str:
    """Return text as the PDF shows it: `visible`, what no typeface holds as its code, and places to break in long words."""
    shown = visible(text if len(text) <= MOST else f"{text[:MOST]} … ({len(text) - MOST:,} more characters)")
    return LONG_WORD.sub(_breakable, unknown().sub(lambda found: _code(found[0]), shown))


def _breakable(found: re.Match[str]) -> str:
    """A hash stays in one piece, so that it can be copied; a letter keeps its marks."""
    word, pieces, start = found[0], [], 0
    if HASH.fullmatch(word):
        return word
    for n, character in enumerate(word):
        if n - start >= BREAK_EVERY and not _joins(character) and word[n - 1] not in JOINERS:
            pieces.append(word[start:n])
            start = n
    return "\u200b".join([*pieces, word[start:]])


def _written(text: str) -> dict[str, Any]:
    """Return what somebody wrote, with its language, as far as its script tells, and whether it runs from right to left."""
    first = next((side for side in map(bidirectional, text) if side in ("L", "R", "AL")), "L")
    return {"text": printable(text), "language": language_of(text), "rtl": first != "L"}


def _content(facts: Facts) -> dict[str, Any]:
    run = facts.run
    state = [
        run.state,
        *([run.kind] if run.kind else []),
        *([f"run of {run.started[:10]}"] if run.started else []),
    ]
    return {
        "title": _line(run.name),
        "state": _line(", ".join(state)),
        "made": facts.provenance.made[:10],
        "families": families(),
        "code": CODE,
        "verdict": _runs(facts.verdict),
        "figures": [{name: _line(value) for name, value in asdict(figure).items()} for figure in facts.figures],
        "blocks": [_block(block) for block in (*document(facts, LONGEST), *sections.making_blocks(facts))],
    }


def _block(block: Block) -> dict[str, Any]:
    match block:
        case Heading(text, level):
            return {"kind": "heading", "text": _line(text), "level": level}
        case Prose(text, style):
            return {"kind": "prose", "text": _runs(text), "style": style}
        case Bullets(items):
            return {"kind": "bullets", "items": [_runs(item) for item in items]}
        case Table():
            return _table(block)
        case Verbatim(text):
            return {
                "kind": "verbatim",
                "language": language_of(text),
                "lines": printable(text).expandtabs(4).split("\n"),
            }
        case Exchange(prompt, note, sides):
            shown = [{"contender": s.contender, "title": _line(s.title), "text": _written(s.text)} for s in sides]
            return {"kind": "exchange", "prompt": _written(prompt), "note": _line(note), "sides": shown}
        case Gallery(pictures):
            found = [
                {
                    "title": p.title,
                    "caption": _line(p.caption),
                    "svg": _drawing(p.svg),
                    "alt": _line(p.alt),
                    "wide": p.wide,
                }
                for p in pictures
            ]
            return {"kind": "gallery", "pictures": found}


def _table(table: Table) -> dict[str, Any]:
    return {
        "kind": "table",
        "header": [_line(name) for name in table.header],
        "rows": [[_line(cell) for cell in row] for row in table.rows],
        "right": table.right,
        "tracks": [asdict(track) for track in table.tracks],
        "widths": list(table.widths),
    }


def _drawing(svg: str) -> str:
    """Return a drawing that stands alone: in the colours of the light page, with its points' texts left out."""
    alone = re.sub(r' data-tips="[^"]*"', "", svg, count=1)
    colour = next((code for name, code in COLOURS.items() if alone.startswith(f'<svg class="plot {name}"')), "#1b2430")
    return alone.replace(">", f">{STYLE.replace('LINE', colour)}", 1)


def _line(text: str) -> str:
    return printable(one_line(text))


def _runs(text: str) -> list[dict[str, Any]]:
    return [{"code": code, "text": printable(piece)} for code, piece in code_runs(one_line(text))]
