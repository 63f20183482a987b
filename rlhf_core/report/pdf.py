"""Set a report as PDF with Typst: the blocks of the Markdown file, pictures as vectors, tagged; no network, no system fonts.

What people or models wrote travels as JSON and is never markup. A text is shown as the characters it consists of, and those
that the typefaces lack as their code, ⟨U+4E2D⟩.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from unicodedata import category

import typst

from rlhf_core.report import sections
from rlhf_core.report.blocks import Block, Bullets, Exchange, Gallery, Heading, Prose, Table, Verbatim, code_runs
from rlhf_core.report.document import document
from rlhf_core.report.parts import Facts
from rlhf_core.visible import one_line, visible

TEMPLATES = Path(__file__).parent / "templates"
STANDARD = "ua-1"
LONGEST = 1200
"""So many letters of an answer are printed; examples are to be read, and the other files hold all of them."""
LONG_WORD = re.compile(r"[^\s\u200b]{24,}")
HASH = re.compile(r"[0-9a-f]{40,64}")
BREAK_EVERY = 12
JOINERS = "\u200c\u200d"
MOST = 20_000
"""So many letters of any one text are printed."""
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


def render_pdf(facts: Facts) -> bytes:
    """Return the report as PDF, the same bytes for the same facts.

    Typst refuses a page on which a letter and its marks have no typeface in common; then all marks are shown as their codes.
    """
    content = _content(facts)
    try:
        return _compiled(content, facts.provenance.made)
    except typst.TypstError as error:
        if "could not be displayed" not in str(error):
            raise
        return _compiled(_apart(content), facts.provenance.made)


def _compiled(content: dict[str, Any], made: str) -> bytes:
    data = json.dumps(content, ensure_ascii=False)
    compiler = typst.Compiler(TEMPLATES / "report.typ", root=TEMPLATES, font_paths=_fonts(), ignore_system_fonts=True)
    asked: dict[str, Any] = {"format": "pdf", "sys_inputs": {"report": data}, "pdf_standards": [STANDARD]}
    return compiler.compile(**asked, timestamp=int(datetime.fromisoformat(made).timestamp()))  # pyright: ignore[reportReturnType]


def _apart(value: Any) -> Any:
    """Return the content with every combining mark and joiner shown as its code."""
    if isinstance(value, dict):
        return {name: _apart(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_apart(part) for part in value]
    if not isinstance(value, str):
        return value
    return "".join(_code(c) if category(c)[0] == "M" or c in JOINERS else c for c in value)


def _code(character: str) -> str:
    return f"⟨U+{ord(character):04X}⟩"


def printable(text: str) -> str:
    """Return text as the PDF shows it: `visible`, what no typeface holds as its code, and places to break in long words."""
    shown = visible(text if len(text) <= MOST else f"{text[:MOST]} … ({len(text) - MOST:,} more characters)")
    return LONG_WORD.sub(_breakable, _unknown().sub(lambda found: _code(found[0]), shown))


def _breakable(found: re.Match[str]) -> str:
    """A hash stays in one piece, so that it can be copied."""
    word = found[0]
    if HASH.fullmatch(word):
        return word
    return "\u200b".join(word[n : n + BREAK_EVERY] for n in range(0, len(word), BREAK_EVERY))


@cache
def _unknown() -> re.Pattern[str]:
    """What matches a character that none of the typefaces inside Typst holds; `typeface.txt` lists the ranges they do."""
    lines = (TEMPLATES / "typeface.txt").read_text(encoding="ascii").split()
    ends = [tuple(int(end, 16) for end in line.split("-")) for line in lines]
    return re.compile("[^\n\t" + "".join(f"{re.escape(chr(a))}-{re.escape(chr(b))}" for a, b in ends) + "]")


@cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(include_system_fonts=False)


def _content(facts: Facts) -> dict[str, Any]:
    run = facts.run
    state = [
        run.state,
        *(["recorded run"] if run.recorded else []),
        *([f"run of {run.started[:10]}"] if run.started else []),
    ]
    return {
        "title": _line(run.name),
        "state": _line(", ".join(state)),
        "made": facts.provenance.made[:10],
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
            return {"kind": "verbatim", "lines": printable(text).expandtabs(4).split("\n")}
        case Exchange(prompt, note, sides):
            shown = [{"contender": s.contender, "title": _line(s.title), "text": printable(s.text)} for s in sides]
            return {"kind": "exchange", "prompt": printable(prompt), "note": _line(note), "sides": shown}
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
