"""Write a report as Markdown; what models or people wrote is fenced or escaped, so that it stays text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rlhf_core.report import sections
from rlhf_core.report.blocks import Block, Bullets, Exchange, Gallery, Heading, Prose, Table, Verbatim, code_runs
from rlhf_core.report.document import document
from rlhf_core.report.parts import Facts
from rlhf_core.visible import one_line, visible

SPECIAL = re.compile(r"([\\`*_\[\]<>#|~$&])")
IN_PROSE = re.compile(r"([\\`*_<>|~$&]|\](?=[(\[:]))")


def render_markdown(facts: Facts) -> str:
    """Return the report as one Markdown document."""
    figures = [tuple(map(prose, (f.label, f.value, f.interval, f.source))) for f in facts.figures]
    blocks = [
        f"# {escape(facts.run.name)}: RLHF Studio report",
        _state(facts),
        f"**{prose(facts.verdict)}**",
        _table(("", "Value", "95% interval", "From"), figures),
        *write_blocks(document(facts)),
        *write_blocks(sections.answer_blocks(facts)),
        *write_blocks(sections.making_blocks(facts)),
    ]
    return "\n\n".join(blocks) + "\n"


def write_blocks(blocks: Iterable[Block], level: int = 2) -> list[str]:
    """Return blocks as Markdown; sections are headings of `level`. Pictures are left out: their numbers stand in tables."""
    return [text for block in blocks for text in _write(block, level)]


def escape(text: str) -> str:
    """Return text on one line that Markdown shows letter by letter."""
    return SPECIAL.sub(r"\\\1", visible(" ".join(text.split())))


def prose(text: str) -> str:
    """Return a sentence of the report as Markdown: brackets of intervals stay, names in it mark up and link nothing."""
    return "".join(f"`{part}`" if code else IN_PROSE.sub(r"\\\1", part) for code, part in code_runs(one_line(text)))


def fence(text: str) -> str:
    """Return text as a code block, fenced by more backticks than it holds in a row."""
    text = visible(text)
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    mark = "`" * max(3, longest + 1)
    return f"{mark}text\n{text}\n{mark}"


def _write(block: Block, level: int) -> list[str]:
    match block:
        case Heading(text, deeper):
            return [f"{'#' * (level + deeper - 1)} {prose(text)}"]
        case Prose(text, style):
            return [f"**{prose(text)}**" if style == "strong" else prose(text)]
        case Bullets(items):
            return ["\n".join(f"- {prose(item)}" for item in items)]
        case Table(header, rows):
            return [_table([prose(name) for name in header], [[prose(cell) for cell in row] for row in rows])]
        case Verbatim(text):
            return [fence(text)]
        case Exchange():
            return _exchange(block, level)
        case Gallery():
            return []


def _exchange(block: Exchange, level: int) -> list[str]:
    blocks = [f"{'#' * (level + 1)} {escape(block.prompt)} ({escape(block.note)})"]
    for side in block.sides:
        blocks += [prose(f"{side.title}:"), fence(side.text)]
    return blocks


def _state(facts: Facts) -> str:
    kind = f", {facts.run.kind}" if facts.run.kind else ""
    started = f", run of {facts.run.started[:10]}" if facts.run.started else ""
    return f"State: {escape(facts.run.state)}{kind}{started}."


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
