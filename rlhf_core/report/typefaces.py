"""The typefaces of the PDF: those inside Typst, then Noto's for all other scripts, from two packages that hold nothing else.

No typeface of the system is used, so that the same packages set the same bytes on every machine. What they hold is read from
the files themselves (the `cmap` table of OpenType 1.9); for those inside Typst `typeface.txt` lists it.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

import typst

PACKAGES = {"manimgx-fonts": "manimgx_fonts", "manimgx-fonts-cjk": "manimgx_fonts_cjk"}
"""The packages of typefaces by name, with the module each is. One that is not installed is done without."""
TEXT, CODE = "Libertinus Serif", "DejaVu Sans Mono"
INSIDE = Path(__file__).parent / "templates" / "typeface.txt"
HAN = {"": "SC", "ja": "JP", "ko": "KR"}
"""By the language of a text, the forms in which its Han characters are drawn first."""
KANA, HANGUL = re.compile("[\u3040-\u30ff]"), re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]")


@dataclass(frozen=True)
class Typeset:
    """What the PDF is set with: a package and its version; of typefaces their names and a hash.

    `sha256` is that of what `sha256sum *` writes beside the package's files, its lines sorted; empty for Typst, whose typefaces
    are inside it.
    """

    package: str
    typefaces: tuple[str, ...]
    sha256: str


@cache
def typesets() -> tuple[Typeset, ...]:
    """Return Typst and every package of typefaces that is installed."""
    return (Typeset(f"typst {version('typst')}", (TEXT, CODE), ""), *map(_typeset, _folders()))


@cache
def fonts() -> typst.Fonts:
    """Return the typefaces inside Typst and those of the packages."""
    return typst.Fonts(include_system_fonts=False, font_paths=[str(folder) for folder in _folders().values()])


@cache
def families() -> dict[str, list[str]]:
    """Return by language ("" for any) the names of the typefaces in the order in which a character is looked for in them.

    The text's own, Noto's by name, the Han ones, then emoji, so that no digit is drawn as one.
    """
    named = sorted({font.family for font in fonts().fonts() if font.path})
    return {language: [TEXT, *sorted(named, key=lambda name: _rank(name, form))] for language, form in HAN.items()}


def language_of(text: str) -> str:
    """Return "ja" for a text with kana, "ko" for one with Hangul, else ""."""
    return "ja" if KANA.search(text) else "ko" if HANGUL.search(text) else ""


@cache
def unknown() -> re.Pattern[str]:
    """What matches a character that no typeface holds."""
    lines = INSIDE.read_text(encoding="ascii").split()
    inside = (tuple(int(end, 16) for end in line.split("-")) for line in lines)
    held = [*inside, *(ends for folder in _folders().values() for file in _files(folder) for ends in _held(file))]
    return re.compile("[^\n\t" + "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in _joined(held)) + "]")


def _rank(name: str, form: str) -> tuple[bool, bool, bool, str]:
    return "Emoji" in name, "CJK" in name, not name.endswith(f"CJK {form}"), name


@cache
def _folders() -> dict[str, Path]:
    specs = {package: find_spec(module) for package, module in PACKAGES.items()}
    return {package: Path(spec.origin).parent for package, spec in specs.items() if spec and spec.origin}


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in (".ttf", ".otf", ".ttc"))


def _typeset(package: str) -> Typeset:
    folder, lines = _folders()[package], []
    for path in _files(folder):
        with path.open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}\n")
    names = {font.family for font in fonts().fonts() if font.path and Path(font.path).parent == folder}
    digest = hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
    return Typeset(f"{package} {version(package)}", tuple(sorted(names)), digest)


def _held(path: Path) -> Iterator[tuple[int, int]]:
    """Yield first and last of the runs of characters that a file of typefaces holds; of a collection its first one's."""
    with path.open("rb") as file:
        (start,) = _read(file, 12, ">I") if file.read(4) == b"ttcf" else (0,)
        (tables,) = _read(file, start + 4, ">H")
        places = {tag: at for tag, _, at, _ in (_read(file, start + 12 + 16 * n, ">4sIII") for n in range(tables))}
        cmap = places[b"cmap"]
        (encodings,) = _read(file, cmap + 2, ">H")
        at = [cmap + _read(file, cmap + 4 + 8 * n, ">HHI")[2] for n in range(encodings)]
        by_form = {_read(file, place, ">H")[0]: place for place in at}
        yield from _of_form_12(file, by_form[12]) if 12 in by_form else _of_form_4(file, by_form[4])


def _of_form_12(file: BinaryIO, at: int) -> Iterator[tuple[int, int]]:
    (groups,) = _read(file, at + 12, ">I")
    numbers = _read(file, at + 16, f">{3 * groups}I")
    return zip(numbers[0::3], numbers[1::3], strict=True)


def _of_form_4(file: BinaryIO, at: int) -> Iterator[tuple[int, int]]:
    """The last segment ends the table and holds nothing."""
    segments = _read(file, at + 6, ">H")[0] // 2
    last, first = (_read(file, place, f">{segments}H") for place in (at + 14, at + 16 + 2 * segments))
    return zip(first[:-1], last[:-1], strict=True)


def _read(file: BinaryIO, at: int, form: str) -> tuple:
    file.seek(at)
    return struct.unpack(form, file.read(struct.calcsize(form)))


def _joined(runs: list[tuple[int, ...]]) -> Iterator[tuple[int, int]]:
    """Yield runs in their order, those that touch as one."""
    first, last = -1, -2
    for low, high in sorted(runs):
        if low > last + 1:
            if last >= first:
                yield first, last
            first, last = low, high
        last = max(last, high)
    yield first, last
