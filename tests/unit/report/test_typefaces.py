"""The typefaces of the PDF: what they hold is what Typst finds in them, no system's among them, and a hash anyone can check."""

from __future__ import annotations

import hashlib
import json
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from unicodedata import category

import pytest
import typst

from rlhf_core.report import typefaces

CACHED = (typefaces.typesets, typefaces.fonts, typefaces.families, typefaces.unknown, typefaces._folders)
HEAD = b"""#set document(title: "x")
#set text(font: json(bytes(sys.inputs.faces)))
#for c in sys.inputs.all.clusters() [#c ]"""


@pytest.fixture
def no_packages(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As where only Typst is installed."""
    monkeypatch.setattr(typefaces, "PACKAGES", {"no-such-package": "no_such_module"})
    forget()
    yield
    monkeypatch.undo()
    forget()


def forget() -> None:
    """Find the typefaces anew."""
    for found in CACHED:
        found.cache_clear()


def set_all(text: str) -> None:
    """Set every character alone; PDF/UA refuses a page with a gap."""
    given = {"all": text, "faces": json.dumps(typefaces.families()[""])}
    compiler = typst.Compiler(HEAD, font_paths=typefaces.fonts(), ignore_system_fonts=True, sys_inputs=given)
    compiler.compile(format="pdf", pdf_standards=["ua-1"])


def inside() -> list[int]:
    """The codes that `typeface.txt` lists."""
    lines = typefaces.INSIDE.read_text().split()
    return [c for line in lines for a, b in [line.split("-")] for c in range(int(a, 16), int(b, 16) + 1)]


def test_the_list_of_characters_holds_of_the_typst_that_is_installed(no_packages: None):
    codes = inside()
    assert len(codes) > 7000 and not [c for c in codes if category(chr(c)) in ("Cc", "Cs", "Cn")]
    set_all(" ".join(map(chr, codes)))
    assert typefaces.unknown().sub("?", "a中") == "a?"
    with pytest.raises(typst.TypstError, match="could not be displayed"):
        set_all("中")


def test_what_is_read_from_the_packages_is_what_typst_finds():
    """A sample of the Han characters, which are many, and all others beyond those inside Typst."""
    held, known = typefaces.unknown(), set(inside())
    codes = [
        c
        for c in range(0x20, 0x32000)
        if c not in known and category(chr(c))[0] not in "CZM" and not held.match(chr(c))
    ]
    assert len(codes) > 45_000
    han = [c for c in codes if 0x3400 <= c <= 0x9FFF or 0xAC00 <= c <= 0xD7AF or c >= 0x20000]
    others = sorted(set(codes) - set(han))
    assert len(others) > 3000
    set_all(" ".join(map(chr, others + han[::97])))


def test_no_typeface_of_the_system_is_among_them():
    folders = {Path(font.path).parent.name for font in typefaces.fonts().fonts() if font.path}
    assert folders == set(typefaces.PACKAGES.values())


def test_each_language_has_its_own_han_characters_first_and_emoji_come_last():
    for language, form in (("", "SC"), ("ja", "JP"), ("ko", "KR")):
        names = typefaces.families()[language]
        assert names[0] == "Libertinus Serif" and names[-1] == "Noto Emoji" and len(names) == 28
        assert next(name for name in names if "CJK" in name) == f"Noto Sans CJK {form}"


def test_whoever_has_the_package_can_check_its_hash():
    typst_itself, scripts, han = typefaces.typesets()
    assert typst_itself.package.startswith("typst ") and typst_itself.sha256 == ""
    assert "Noto Sans Arabic" in scripts.typefaces and "Noto Sans CJK JP" in han.typefaces
    for found in (scripts, han):
        folder = typefaces._folders()[found.package.split()[0]]
        names = sorted(path.name for path in folder.glob("*.tt?"))
        said = subprocess.run(["sha256sum", *names], cwd=folder, check=True, capture_output=True, text=True).stdout
        lines = "".join(sorted(said.splitlines(keepends=True)))
        assert found.sha256 == hashlib.sha256(lines.encode()).hexdigest()


def test_without_the_packages_the_pdf_has_typst_s_own(no_packages: None):
    assert [one.package.split()[0] for one in typefaces.typesets()] == ["typst"]
    assert typefaces.families() == {language: ["Libertinus Serif"] for language in ("", "ja", "ko")}


def test_runs_of_characters_by_hand(tmp_path: Path):
    # A file with one table, a cmap of one encoding. Form 4: segments 0x41..0x43, 0x61..0x61, and the last one, 0xFFFF.
    # Form 12: groups 0x4E00..0x4E01 and 0x1F600..0x1F600, with the number of their first glyph.
    four = struct.pack(">HHHHHHH3HH3H", 4, 0, 0, 6, 0, 0, 0, 0x43, 0x61, 0xFFFF, 0, 0x41, 0x61, 0xFFFF)
    twelve = struct.pack(">HHIII6I", 12, 0, 0, 0, 2, 0x4E00, 0x4E01, 5, 0x1F600, 0x1F600, 9)
    for name, table, runs in (
        ("four.ttf", four, [(0x41, 0x43), (0x61, 0x61)]),
        ("twelve.ttf", twelve, [(0x4E00, 0x4E01), (0x1F600, 0x1F600)]),
    ):
        cmap = struct.pack(">HHHHI", 0, 1, 3, 1, 12) + table
        head = struct.pack(">4sHHHH4sIII", b"\x00\x01\x00\x00", 1, 0, 0, 0, b"cmap", 0, 28, len(cmap))
        (tmp_path / name).write_bytes(head + cmap)
        assert list(typefaces._held(tmp_path / name)) == runs
        (tmp_path / f"{name}.ttc").write_bytes(struct.pack(">4sIII", b"ttcf", 0x10000, 1, 16) + moved(head, 16) + cmap)
        assert list(typefaces._held(tmp_path / f"{name}.ttc")) == runs


def moved(head: bytes, by: int) -> bytes:
    """The table directory of a file that begins later: its one table's place is counted from the start of the collection."""
    return head[:20] + struct.pack(">I", 28 + by) + head[24:]
