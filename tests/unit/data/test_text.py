"""Text files as documents: what a document is, what is refused, and which documents are held out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rlhf_core.data.io import write_jsonl
from rlhf_core.data.text import Corpus, held_out_documents, refuse_held_out_prompts
from rlhf_core.errors import DataError


def write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def texts(corpus: Corpus) -> list[str]:
    return [document.text for document in corpus.documents()]


def refusal(corpus: Corpus) -> str:
    with pytest.raises(DataError) as caught:
        texts(corpus)
    return str(caught.value)


def test_an_empty_line_ends_a_document_of_a_text_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "\ufeffOne\ntwo\n\n\n \nThree\u2028still three\r\n")
    assert texts(Corpus([path])) == ["One\ntwo", "Three\u2028still three"]
    assert [d.where for d in Corpus([path]).documents()] == [f"{path}:1", f"{path}:6"]


def test_another_line_may_separate_documents(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "One\n\ntwo\n<|end|>\nthree")
    assert texts(Corpus([path], separator="<|end|>")) == ["One\n\ntwo", "three"]


def test_a_row_is_a_document_of_the_fields_it_has(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"prompt": "Why?", "response": "So."},
        {"prompt": "How?", "completions": [{"id": "a", "text": "Thus."}, {"id": "b", "text": "Like this."}]},
        {"prompt": " ", "response": ""},
    ]
    write_jsonl(tmp_path / "a.jsonl", rows)
    found = list(Corpus([tmp_path / "a.jsonl"], ("prompt", "response", "completions.text")).documents())
    assert [d.text for d in found] == ["Why?\nSo.", "How?\nThus.\nLike this."]
    assert [d.key for d in found] == ["Why?", "How?"]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.txt", "", "a.txt: holds no text"),
        ("a.txt", " \n\n", "a.txt: holds no text"),
        ("a.txt", b"caf\xe9 au lait", "a.txt: not UTF-8: invalid continuation byte. Save the file as UTF-8"),
        ("a.jsonl", '{"text": "x"}\n{"text": 3}\n', "a.jsonl:2: text: is not text (found 3)"),
        ("a.jsonl", '{"txt": "x"}\n', "a.jsonl:1: has none of the fields text (found {'txt': 'x'}). Set `fields`"),
        ("a.jsonl", '{"text": "x"}\n\nnot json\n', "a.jsonl:3: not JSON: "),
        ("a.jsonl", "[1]\n", "a.jsonl:1: expected a JSON object, found list"),
        (
            "a.jsonl",
            '{"text": "a \\ud800"}\n',
            "a.jsonl:1: holds half of a surrogate pair, '\\ud800', which is no text",
        ),
    ],
)
def test_what_is_no_text_is_named_with_its_place(tmp_path: Path, name: str, content: Any, expected: str) -> None:
    assert expected in refusal(Corpus([write(tmp_path / name, content)]))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert (
        refusal(Corpus([tmp_path / "no.txt"])) == f"{tmp_path}/no.txt: no such file. Check `text` in the configuration"
    )


def test_documents_of_one_key_are_held_out_together(tmp_path: Path) -> None:
    """20 questions with two answers each, a fifth held out: 4 questions, 8 documents, and the same ones for the same seed."""
    rows = [{"prompt": f"Question {n}?", "response": f"answer {k}"} for k in range(2) for n in range(20)]
    write_jsonl(tmp_path / "a.jsonl", rows)
    corpus = Corpus([tmp_path / "a.jsonl"], ("prompt", "response"))
    sides = held_out_documents(corpus, 0.2, seed=3)
    assert sides[:20].tolist() == sides[20:].tolist() and sides.sum() == 8
    assert held_out_documents(corpus, 0.2, seed=3).tolist() == sides.tolist()
    assert held_out_documents(corpus, 0.2, seed=4).tolist() != sides.tolist()


def test_a_single_document_cannot_be_split(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "All in one.")
    with pytest.raises(DataError, match=r"is a single document, and one has to be held out.* set `separator`"):
        held_out_documents(Corpus([path]), 0.05, seed=0)


def test_text_that_holds_a_prompt_of_the_evaluation_is_refused(tmp_path: Path) -> None:
    """Claim 31: by normalised text and by whole words; prompts of the training side may be there."""
    prompts = [("e", "Why is tea hot?", "eval"), ("t", "Who made it?", "train"), ("s", "art", "eval")]
    write_jsonl(tmp_path / "p.jsonl", [{"id": i, "prompt": p, "split": s} for i, p, s in prompts])
    path = write(tmp_path / "a.txt", "Start: who made it?\n\nShe asked: WHY is tea,\nhot - and left.\n")
    with pytest.raises(DataError) as caught:
        refuse_held_out_prompts(Corpus([path]), tmp_path / "p.jsonl")
    assert f"1 held-out prompts are in the text:\n  {path}:3 = e: why is tea hot" in str(caught.value)
    refuse_held_out_prompts(Corpus([write(tmp_path / "b.txt", "Tea is hot.")]), tmp_path / "p.jsonl")


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", b"\xef\xbb\xbf" + json.dumps({"text": "x"}).encode())
    assert texts(Corpus([path])) == ["x"]
