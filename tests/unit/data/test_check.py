"""`rlhf data check`: which kind a file is, and what stands out in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlhf_core.data.check import check_files, kind_of, longer_wins
from rlhf_core.data.io import write_jsonl
from rlhf_core.data.records import Demonstration, Message, Prompt, Ranking
from rlhf_core.errors import DataError


def make_ranking(*texts: str, groups: list[list[str]] | None = None) -> Ranking:
    """Rank texts best first; their ids are a, b, c …"""
    ids = "abcdefghi"[: len(texts)]
    completions = [{"id": i, "text": t} for i, t in zip(ids, texts, strict=True)]
    return Ranking.model_validate(
        {"id": "r", "prompt": "A question to rank", "completions": completions, "ranking": groups or [[i] for i in ids]}
    )


ROWS = {
    "prompts": [
        Prompt(id="p", prompt="A question held out", split="eval"),
        Prompt(id="q", prompt="Entirely different one"),
    ],
    "demonstrations": [Demonstration(id="d", prompt="Something else to show", response="So.", category="honest")],
    "rankings": [make_ranking("long text", "short")],
}


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    for name, rows in ROWS.items():
        write_jsonl(tmp_path / f"{name}.jsonl", rows)
    return [tmp_path / f"{name}.jsonl" for name in ROWS]


def test_each_file_is_described_in_a_line(files: list[Path]) -> None:
    prompts, demonstrations, rankings = files
    assert check_files(files) == [
        f"{prompts}: 2 prompts; categories none 2; train 1, eval 1",
        f"{demonstrations}: 1 demonstrations; categories honest 1",
        f"{rankings}: 1 rankings; categories none 1; 1 pairs, the longer text is chosen in 100%",
    ]


def test_kinds_are_told_by_their_fields(files: list[Path]) -> None:
    assert [kind_of(path) for path in files] == [Prompt, Demonstration, Ranking]


def test_blank_lines_before_the_first_row_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b'\n\n{"prompt": "Why?", "id": "p"}\n')
    assert kind_of(tmp_path / "x.jsonl") is Prompt


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            b'\n{"text": "hi"}\n',
            "x.jsonl:2: neither a prompt, a demonstration, a preference nor a ranking (found {'text': 'hi'})",
        ),
        (b"[1]\n", "x.jsonl:1: expected a JSON object, found list"),
        (b"not json\n", "x.jsonl:1: not JSON: Expecting value at column 1"),
        ('"é"'.encode("latin-1"), "x.jsonl:1: byte 2 is not UTF-8"),
        (b"", "x.jsonl: holds no rows"),
        (b"\n \n", "x.jsonl: holds no rows"),
    ],
)
def test_a_file_of_no_kind_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "x.jsonl").write_bytes(content)
    with pytest.raises(DataError) as caught:
        kind_of(tmp_path / "x.jsonl")
    assert expected in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.jsonl: no such file"):
        check_files([tmp_path / "gone.jsonl"])


def test_a_held_out_prompt_in_another_file_is_refused(files: list[Path]) -> None:
    write_jsonl(files[1], [Demonstration(id="d", prompt="a question, held out", response="So.")])
    with pytest.raises(
        DataError, match=r"(?s)demonstrations\.jsonl: 1 held-out prompts are also training prompts.*p = d"
    ):
        check_files(files)


def test_a_near_repeat_is_reported_not_refused(files: list[Path]) -> None:
    # "A question held out" has two triples; both are in the longer prompt: 100%.
    write_jsonl(files[1], [Demonstration(id="d", prompt="Is this a question held out or not?", response="So.")])
    line = check_files(files)[-1]
    assert line == f"{files[1]}: d nearly repeats held-out p (100% of its word triples)"


def test_longer_wins_counts_untied_pairs_of_unlike_length() -> None:
    # aaa > b > cc: pairs aaa>b long, aaa>cc long, b>cc short: 2 of 3. The second ranking adds an equal-length pair, which
    # says nothing, and a tie, which is no pair.
    rows = [make_ranking("aaa", "b", "cc"), make_ranking("xy", "ab"), make_ranking("x", "abc", groups=[["a", "b"]])]
    assert longer_wins(rows) == pytest.approx(2 / 3)
    # In words, "a b" is longer than "cccc".
    assert longer_wins([make_ranking("a b", "cccc")], lambda text: len(text.split())) == 1.0


def test_rankings_that_tell_nothing_of_length_have_no_share(tmp_path: Path) -> None:
    rows = [make_ranking("xy", "ab"), make_ranking("x", "abc", groups=[["a", "b"]])]
    assert longer_wins(rows) is None
    write_jsonl(tmp_path / "r.jsonl", rows)
    assert check_files([tmp_path / "r.jsonl"])[0].endswith("1 pairs, no pair differs in length")


def test_conversations_are_counted(tmp_path: Path) -> None:
    history = [Message(role="user", content="Hi."), Message(role="assistant", content="Ho.")]
    write_jsonl(tmp_path / "p.jsonl", [Prompt(id="p", prompt="Why?", history=history), Prompt(id="q", prompt="How?")])
    line = check_files([tmp_path / "p.jsonl"])[0]
    assert line.endswith("2 prompts; categories none 2; 1 go on a conversation; train 2, eval 0")
