"""The words of a text as a reader sees them: for differences between two texts and for phrases, not for models."""

from __future__ import annotations

import re

_MARKS = r"!-/:-@\[-`{-~¡-¿×÷‐-‧‰-⁞、-〿！-／：-＠［-｀｛-･"
_LONE = "぀-ヿ㐀-䶿一-鿿"
"""Scripts written without spaces, of which every character stands alone here."""
_LETTER = rf"[^\s{_MARKS}{_LONE}]"
WORD = re.compile(rf"{_LETTER}+(?:(?:['’_\-]|(?<=\d)[.,](?=\d)){_LETTER}+)*|[{_LONE}]")
"""A word: `can't`, `well-known` and `1,000` are one each; what is neither a mark nor a space is a letter, in any script."""
TOKEN = re.compile(rf"(\s*)({WORD.pattern}|\S|\Z)")
"""White space and the word or mark after it; the last token of a text is its end, with what white space stands before."""


def tokens(text: str) -> list[tuple[str, str]]:
    """Return (white space before, word or single mark) pairs that put together are the text; the last one's word is empty."""
    return [(found[1], found[2]) for found in TOKEN.finditer(text)]
