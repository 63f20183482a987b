"""Errors: what the text says, and which standard type each one refines."""

from __future__ import annotations

import pytest

from rlhf_core import errors
from rlhf_core.errors import ConfigError, DataError, RlhfError, shorten

REFINES = {
    "ConfigError": ValueError,
    "DataError": ValueError,
    "ModelError": ValueError,
    "ModelNotFoundError": FileNotFoundError,
    "CheckpointError": RuntimeError,
    "RunError": OSError,
    "VoteError": ValueError,
    "ScorerError": ValueError,
    "PeopleError": ValueError,
    "AccessError": PermissionError,
    "EndpointError": ConnectionError,
}


def test_the_text_says_where_what_value_and_remedy() -> None:
    error = DataError("is negative", where="a.jsonl:3", value=-1, remedy="Give a positive number")
    assert str(error) == "a.jsonl:3: is negative (found -1). Give a positive number"


def test_parts_that_are_not_given_leave_no_trace() -> None:
    assert str(ConfigError("contradicts itself")) == "contradicts itself"
    assert str(ConfigError("is bad", value=0)) == "is bad (found 0)"  # a zero is a value, not an absence


def test_a_remedy_after_a_list_or_a_question_reads_well() -> None:
    assert (
        str(ConfigError("two problems:\n  one\n  two", remedy="Mend both")) == "two problems:\n  one\n  two\nMend both"
    )
    assert str(ConfigError("did you mean x?", remedy="See y")) == "did you mean x? See y"


def test_every_error_is_ours_and_refines_a_standard_type() -> None:
    tree = {
        n: c for n, c in vars(errors).items() if isinstance(c, type) and issubclass(c, RlhfError) and c is not RlhfError
    }
    assert tree.keys() == REFINES.keys()
    for name, kind in tree.items():
        assert issubclass(kind, REFINES[name])


def test_a_busy_run_is_not_a_missing_file() -> None:
    """A claim is read inside `suppress(FileNotFoundError)`; the refusal must get out of there."""
    assert not issubclass(errors.RunError, FileNotFoundError)


@pytest.mark.parametrize("name", REFINES)
def test_each_can_be_raised_with_all_parts_and_read(name: str) -> None:
    # OSError's own __str__ and __new__ treat two arguments as errno and text: ours must not fall for that.
    error = getattr(errors, name)("is gone", where="here", value="x", remedy="Look elsewhere")
    assert str(error) == "here: is gone (found 'x'). Look elsewhere"


def test_long_values_are_cut() -> None:
    # repr adds two quotes: 118 letters make 120 characters, one more is too many.
    assert shorten("x" * 118) == "'" + "x" * 118 + "'"
    cut = shorten("x" * 119)
    assert len(cut) == 120 and cut.endswith("x…")
