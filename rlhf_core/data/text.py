"""Plain text as documents, read anew from its files each time, so that no more than one document is in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlhf_core.data.io import iterate_jsonl, read_jsonl
from rlhf_core.data.records import Prompt
from rlhf_core.data.splits import normalise, refuse_found, split_by_prompt
from rlhf_core.errors import DataError


@dataclass(frozen=True)
class Document:
    """One text. Documents with the same `key` belong on the same side of a split; `where` is file:line."""

    text: str
    key: str
    where: str


@dataclass(frozen=True)
class Corpus:
    """The documents of some .txt and .jsonl files.

    Attributes:
        fields: of a .jsonl row, those it has make one document, a line each; the first of them is its key.
        separator: the line that ends a document of a .txt file, without the white space around it.
    """

    files: Sequence[Path]
    fields: Sequence[str] = ("text",)
    separator: str = ""

    def documents(self) -> Iterator[Document]:
        """Yield every document that is not blank, in the order of the files.

        Raises:
            DataError: a file is missing, not UTF-8, holds no text, or a row has none of the fields or no text in one.
        """
        for path in self.files:
            if not path.is_file():
                raise DataError("no such file", where=path, remedy="Check `text` in the configuration")
            found = False
            for document in self._rows(path) if path.suffix == ".jsonl" else self._parts(path):
                found = True
                yield document
            if not found:
                raise DataError("holds no text", where=path)

    def _rows(self, path: Path) -> Iterator[Document]:
        for number, row in iterate_jsonl(path):
            where = f"{path}:{number}"
            texts = [text for name in self.fields for text in _texts_at(row, name.split("."), f"{where}: {name}")]
            if not texts:
                names = ", ".join(self.fields)
                raise DataError(f"has none of the fields {names}", where=where, value=row, remedy="Set `fields`")
            if text := "\n".join(texts).strip():
                yield Document(text, texts[0], where)

    def _parts(self, path: Path) -> Iterator[Document]:
        lines: list[str] = []
        first = 1
        try:
            with path.open(encoding="utf-8-sig") as file:
                for number, line in enumerate(file, 1):
                    if line.strip() != self.separator:
                        lines.append(line)
                        continue
                    yield from _document(lines, f"{path}:{first}")
                    lines, first = [], number + 1
        except UnicodeDecodeError as error:
            raise DataError(f"not UTF-8: {error.reason}", where=path, remedy="Save the file as UTF-8") from error
        yield from _document(lines, f"{path}:{first}")


def held_out_documents(corpus: Corpus, eval_fraction: float, seed: int) -> NDArray[np.bool_]:
    """Draw the documents that are held out, as (document,) True; all documents of one key fall on the same side.

    Raises:
        DataError: with this the training side would be empty.
    """
    keys = [hashlib.sha256(normalise(d.key).encode()).hexdigest() for d in corpus.documents()]
    train, held_out = split_by_prompt(range(len(keys)), keys, eval_fraction, seed)
    if not train:
        raise DataError(
            "is a single document, and one has to be held out",
            where=", ".join(map(str, corpus.files)),
            remedy="Separate the documents by empty lines, or set `separator` to the line that separates them",
        )
    sides = np.zeros(len(keys), dtype=np.bool_)
    sides[held_out] = True
    return sides


def refuse_held_out_prompts(corpus: Corpus, prompts: Path) -> None:
    """Raise when a document holds, word for word, a prompt that models are to be judged on.

    Raises:
        DataError: lists the documents with the prompts they hold.
    """
    judged = {row.id: f" {normalise(row.prompt)} " for row in read_jsonl(prompts, Prompt) if row.split == "eval"}
    found: list[str] = []
    for document in corpus.documents():
        text = f" {normalise(document.text)} "
        found += [f"{document.where} = {name}:{prompt}" for name, prompt in judged.items() if prompt in text]
    refuse_found(found, "are in the text", prompts)


def _document(lines: Sequence[str], where: str) -> Iterator[Document]:
    text = "".join(lines).strip()
    if text:
        yield Document(text, text, where)


def _texts_at(value: Any, keys: Sequence[str], where: str) -> Iterator[str]:
    """The texts at a dotted place of a row, through lists; nothing where the place is missing."""
    if isinstance(value, list):
        for item in value:
            yield from _texts_at(item, keys, where)
    elif keys:
        if isinstance(value, dict) and keys[0] in value:
            yield from _texts_at(value[keys[0]], keys[1:], where)
    elif not isinstance(value, str):
        raise DataError("is not text", where=where, value=value)
    else:
        yield value
