"""Show any text as the characters it consists of: nothing in it acts on the terminal, page or sentence around it."""

from __future__ import annotations

import re

MARKS = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
MOST_MARKS = 8
"""So many combining marks on one letter are shown; no language needs more, and a tower of them covers its neighbours."""

_SPACED_BY_ZERO_WIDTH = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Myanmar, Khmer: it separates their words
_ACTS = re.compile(
    r"\r\n"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"  # controls of C0 and C1, but for tab and line feed
    r"|[\u202a-\u202e\u2066-\u206f]"  # direction: embeddings, overrides, isolates
    rf"|(?<![{_SPACED_BY_ZERO_WIDTH}])\u200b"
    r"|(?<=[\u061c\u200c-\u200f])[\u061c\u200c-\u200f]"  # a joiner or mark after another one does nothing but hide
    r"|[\u180e\u2028\u2029\u2060-\u2065\ufeff\ufff9-\ufffb]"  # invisible, or line ends that only some programs know
    r"|[\ud800-\udfff\U000e0000-\U000e007f]"  # halves of pairs; tags, which repeat ASCII invisibly
    rf"|(?<=[{MARKS}]{{{MOST_MARKS}}})[{MARKS}]+"
)


def visible(text: str) -> str:
    """Return the text with every character that acts instead of showing replaced by one that shows it.

    C0 controls become their pictures (ESC is `␛`, NUL `␀`), other characters their code, `⟨U+202E⟩`; beyond
    `MOST_MARKS` combining marks in a row their number, `⟨+992 marks⟩`. Line feeds and tabs stay, CR LF becomes a line
    feed. Joiners and left-to-right and right-to-left marks stay: scripts need them, and one alone reaches
    no further than its neighbours. What it returns is for reading; exports keep the text itself.
    """
    return _ACTS.sub(_shown, text)


def one_line(text: str) -> str:
    """Return `visible` text in one line, for names and table cells: line feeds and tabs are shown too."""
    return visible(text).replace("\n", "␊").replace("\t", "␉")


def check_name(name: str) -> str:
    """Return a name that is one line in which nothing acts, as it is.

    Raises:
        ValueError: says which characters do.
    """
    if name.isascii() and name.isprintable():
        return name
    if (shown := one_line(name)) != name:
        raise ValueError(f"holds characters that do not show; expected a name in one line, found {shown}")
    return name


def _shown(found: re.Match[str]) -> str:
    characters = found[0]
    if characters == "\r\n":
        return "\n"
    code = ord(characters[0])
    if re.match(f"[{MARKS}]", characters):
        return f"⟨+{len(characters)} marks⟩"
    if code == 0x7F:
        return "␡"
    return chr(0x2400 + code) if code < 0x20 else f"⟨U+{code:04X}⟩"
