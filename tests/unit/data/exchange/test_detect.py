"""Which format a row is written in, and what is said when none fits, or several do."""

from __future__ import annotations

from typing import Any

import pytest

from rlhf_core.data.exchange.format import KINDS, ForeignRow, Format, Reading, turn_into
from rlhf_core.data.exchange.registry import FORMATS, detect, named
from rlhf_core.data.records import PairVote
from rlhf_core.errors import DataError
from tests.exchange_rows import ROWS

READABLE = [(name, kind) for name, form in FORMATS.items() for kind in KINDS if form.reads(kind)]


@pytest.mark.parametrize(("name", "kind"), READABLE)
def test_every_row_is_told_as_what_it_is(name: str, kind: str) -> None:
    for row in ROWS[name]:
        assert detect(row, named("auto"), kind, "x:1").name == name
        assert detect(row, named(name), kind, "x:1").name == name


def refusal(row: Any, kind: str, name: str = "auto") -> str:
    with pytest.raises(DataError) as caught:
        detect(row, named(name), kind, "x:1")
    return str(caught.value)


def test_what_is_no_object_is_refused() -> None:
    assert refusal(["a"], "prompts") == "x:1: expected a JSON object, found list"


def test_unknown_fields_are_shown_with_the_formats_looked_for() -> None:
    message = refusal({"question": "?", "answer": "!"}, "prompts")
    assert message.startswith(
        "x:1: no known format has the fields of this row: answer, question. Looked for studio-prompts, "
    )
    assert refusal({}, "prompts").startswith("x:1: no known format has the fields of this row: none")


def test_a_named_format_says_what_the_row_lacks() -> None:
    assert refusal({"candidate_0": "a"}, "preferences", "gcpc-preference") == (
        "x:1: gcpc-preference has candidate_1, choice; this row has: candidate_0"
    )
    assert refusal({"chosen": "a", "rejected": "b"}, "preferences", "hh-rlhf") == (
        "x:1: hh-rlhf has the shape it asks for; this row has: chosen, rejected"
    )


def test_a_field_of_another_kind_is_named() -> None:
    row = {"instruction": "a", "output": None}
    assert refusal(row, "demonstrations") == (
        "x:1: output: Input should be a valid string (found None); its fields are those of alpaca"
    )


def test_a_format_without_the_kind_says_what_it_holds() -> None:
    assert refusal(ROWS["xstest"][0], "votes") == "x:1: xstest holds no votes. Import it as prompts"


def test_a_text_alone_says_what_to_do_with_it() -> None:
    assert refusal({"text": "Once."}, "prompts") == (
        "x:1: trl-text holds no prompts. A text does not say where its prompt ends: `rlhf pretrain` learns from it as it is"
    )


def test_two_formats_that_fit_equally_well_are_named() -> None:
    row = {"instruction": "a", "output": "b", "prompt": "c", "completion": "d"}
    assert refusal(row, "demonstrations") == "x:1: reads as trl-completion and alpaca. Name one with --format"
    assert detect(row, named("alpaca"), "demonstrations", "x:1").name == "alpaca"


def test_a_wrong_value_does_not_hide_the_format() -> None:
    row = ROWS["gcpc-preference"][0] | {"choice": 7}
    assert detect(row, named("auto"), "preferences", "x:1").name == "gcpc-preference"


def test_a_family_is_named_by_what_its_shapes_begin_with() -> None:
    assert {form.name.split("-")[0] for form in named("trl")} == {"trl"}
    assert detect(ROWS["trl-implicit"][0], named("trl"), "preferences", "x:1").name == "trl-implicit"


@pytest.mark.parametrize(("name", "meant"), [("gcpc-promt", "gcpc-prompt"), ("arana", "arena")])
def test_a_misspelt_format_is_met_with_the_nearest(name: str, meant: str) -> None:
    with pytest.raises(DataError, match=rf"no such format \(found '{name}'\)\. Did you mean {meant}"):
        named(name)
    with pytest.raises(DataError, match=r"no such format .*\. `rlhf data formats` lists them"):
        named("zzzz")


def test_a_tie_is_a_prompt_still() -> None:
    vote = PairVote.model_validate(ROWS["studio-votes"][0] | {"verdict": "tie"})
    assert [prompt.id for prompt in turn_into("prompts", vote)] == ["p1"]


def test_a_pseudonym_is_the_same_for_the_same_name_and_key() -> None:
    mine, yours = Reading("x", b"key"), Reading("x", b"other")
    assert mine.pseudonym("ana") == mine.pseudonym("ana") == Reading("y", b"key").pseudonym("ana")
    assert len({mine.pseudonym("ana"), mine.pseudonym("ben"), yours.pseudonym("ana")}) == 3
    assert "ana" not in mine.pseudonym("ana")


def test_a_format_asks_for_the_fields_that_have_no_default() -> None:
    class Row(ForeignRow):
        a: str
        b: str = ""

    assert Format("x", "", Row).required == {"a"}
