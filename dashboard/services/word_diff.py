"""What differs between two texts, word by word: segments to draw, nothing of how they look."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from rlhf_core.data.words import tokens

Kind = Literal["same", "removed", "added"]
Token = tuple[str, str]
CAREFUL = 2000
"""Up to so many words every word may anchor the comparison; beyond, common ones do not, or two long texts would take minutes."""


@dataclass(frozen=True)
class Segment:
    """A stretch of text: in both texts, only in the first (`removed`), or only in the second (`added`)."""

    kind: Kind
    text: str


@dataclass
class _Block:
    """Tokens old[i:j] against new[k:l], alike or not."""

    same: bool
    i: int
    j: int
    k: int
    l: int  # noqa: E741


def diff_words(before: str, after: str) -> tuple[Segment, ...]:
    """Return the segments of two texts in reading order, what was removed before what stands in its place.

    Those that are same or removed, put together, are `before`, letter by letter; same or added ones are `after`. A stretch
    that both share is shown as such only where it is longer than what differs on one side of it: two answers that have
    nothing but "the" and commas in common are one removed and one added.
    """
    old, new = tokens(before), tokens(after)
    found = _Segments()
    for block in _readable(_blocks(old, new), old, new):
        if block.same:
            for (gap, word), (new_gap, _) in zip(old[block.i : block.j], new[block.k : block.l], strict=True):
                found.gap(gap, new_gap)
                found.same(word)
        else:
            found.change(old[block.i : block.j], new[block.k : block.l])
    return found.done()


def only(segments: tuple[Segment, ...], kind: Literal["removed", "added"]) -> tuple[Segment, ...]:
    """Return one text's side: what both share, and what it alone has."""
    return tuple(segment for segment in segments if segment.kind in ("same", kind))


def _blocks(old: list[Token], new: list[Token]) -> list[_Block]:
    words = [[word for _, word in side] for side in (old, new)]
    matcher = SequenceMatcher(None, *words, autojunk=max(map(len, words)) > CAREFUL)
    return [_Block(tag == "equal", *places) for tag, *places in matcher.get_opcodes()]


def _readable(blocks: list[_Block], old: list[Token], new: list[Token]) -> list[_Block]:
    """Put changes together where what stands between them is no longer than either, in letters."""
    kept: list[_Block] = []
    for block in blocks:
        kept.append(block)
        while len(kept) >= 3 and not kept[-1].same and kept[-2].same and not kept[-3].same:
            first, between, last = kept[-3:]
            if _letters(between, old, new) > min(_letters(first, old, new), _letters(last, old, new)):
                break
            kept[-3:] = [_Block(False, first.i, last.j, first.k, last.l)]
    return kept


def _letters(block: _Block, old: list[Token], new: list[Token]) -> int:
    """Return the letters of a block's longer side."""
    return max(
        sum(len(word) for _, word in old[block.i : block.j]), sum(len(word) for _, word in new[block.k : block.l])
    )


class _Segments:
    """Segments under construction: neighbours of a kind are one, and what was removed comes first."""

    def __init__(self) -> None:
        self._found: list[Segment] = []
        self._texts: dict[Kind, list[str]] = {"same": [], "removed": [], "added": []}

    def same(self, text: str) -> None:
        if text and (self._texts["removed"] or self._texts["added"]):
            self._flush()
        if text:
            self._texts["same"].append(text)

    def change(self, old: list[Token], new: list[Token]) -> None:
        """Add what stands on either side alone; white space that both begin with is shared."""
        shared = old[0][0] if old and new and old[0][0] == new[0][0] else ""
        self.same(shared)
        self._add("removed", "".join(gap + word for gap, word in old)[len(shared) :])
        self._add("added", "".join(gap + word for gap, word in new)[len(shared) :])

    def gap(self, old: str, new: str) -> None:
        """Add the white space before a shared word."""
        if old == new:
            self.same(old)
        else:
            self._add("removed", old)
            self._add("added", new)

    def done(self) -> tuple[Segment, ...]:
        self._flush()
        return tuple(self._found)

    def _add(self, kind: Kind, text: str) -> None:
        if text and self._texts["same"]:
            self._flush()
        if text:
            self._texts[kind].append(text)

    def _flush(self) -> None:
        kinds: tuple[Kind, ...] = ("same", "removed", "added")
        self._found += [Segment(kind, "".join(self._texts[kind])) for kind in kinds if self._texts[kind]]
        self._texts = {kind: [] for kind in kinds}
