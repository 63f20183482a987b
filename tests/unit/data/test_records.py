"""Records: what a ranking may look like, and the pairs it stands for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rlhf_core.data.exchange.format import turn_into
from rlhf_core.data.io import read_jsonl, write_jsonl
from rlhf_core.data.records import ContenderCompletion, GivenAnswer, Message, Prompt, Ranking
from rlhf_core.errors import DataError


def ranking(groups: list[list[str]], ids: str = "abc", **changes: Any) -> dict[str, Any]:
    completions = [{"id": i, "text": f"text {i}"} for i in ids]
    return {"id": "r1", "prompt": "Why?", "completions": completions, "ranking": groups} | changes


def message(row: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        Ranking.model_validate(row)
    return str(caught.value)


def test_pairs_of_a_strict_ranking_are_all_ordered_pairs() -> None:
    # c > a > b by hand: three pairs, the better text first.
    row = Ranking.model_validate(ranking([["c"], ["a"], ["b"]]))
    assert set(row.pairs()) == {("text c", "text a"), ("text c", "text b"), ("text a", "text b")}


def test_ties_form_no_pair() -> None:
    row = Ranking.model_validate(ranking([["b"], ["a", "c"]]))
    assert set(row.pairs()) == {("text b", "text a"), ("text b", "text c")}
    assert Ranking.model_validate(ranking([["a", "b", "c"]])).pairs() == []


@given(st.permutations("abcdefg"), st.lists(st.booleans(), min_size=6, max_size=6))
def test_every_pair_of_unequal_rank_appears_once_the_right_way_round(order: list[str], cuts: list[bool]) -> None:
    groups = [[order[0]]]
    for name, cut in zip(order[1:], cuts, strict=True):
        groups.append([name]) if cut else groups[-1].append(name)
    row = Ranking.model_validate(ranking(groups, "abcdefg"))
    slow = [
        (f"text {better}", f"text {worse}")
        for n, group in enumerate(groups)
        for better in group
        for later in groups[n + 1 :]
        for worse in later
    ]
    assert sorted(row.pairs()) == sorted(slow)


def test_unknown_completion_ids_are_named() -> None:
    assert "ranking: unknown completion ids ['x']; expected ids out of ['a', 'b', 'c']" in message(
        ranking([["a"], ["x"], ["b"], ["c"]])
    )


def test_a_completion_left_out_or_ranked_twice_is_refused() -> None:
    expected = "ranking: expected every completion id exactly once"
    assert expected in message(ranking([["a"], ["b"]]))
    assert expected in message(ranking([["a"], ["b", "a"], ["c"]]))


def test_repeated_completion_ids_are_refused() -> None:
    assert "completions: ids repeat; expected each once, found ['a', 'a']" in message(ranking([["a"]], "aa"))


def test_one_completion_is_no_ranking() -> None:
    assert "List should have at least 2 items after validation, not 1" in message(ranking([["a"]], "a"))


def test_more_than_nine_completions_are_refused() -> None:
    assert "List should have at most 9 items after validation, not 10" in message(
        ranking([list("abcdefghij")], "abcdefghij")
    )


def test_an_empty_completion_is_named_in_the_file(tmp_path) -> None:
    row = ranking([["a"], ["b"]], "ab")
    row["completions"][1]["text"] = " \n"
    write_jsonl(tmp_path / "r.jsonl", [row])
    with pytest.raises(DataError, match=r"r\.jsonl:1: completions\.1\.text: is empty; expected some text"):
        read_jsonl(tmp_path / "r.jsonl", Ranking)


def test_one_completion_and_unknown_ids_are_named_in_the_file(tmp_path) -> None:
    write_jsonl(tmp_path / "r.jsonl", [ranking([["a"]], "a"), ranking([["z"], ["a"], ["b"], ["c"]])])
    with pytest.raises(DataError) as caught:
        read_jsonl(tmp_path / "r.jsonl", Ranking)
    first, second, *_ = str(caught.value).splitlines()
    assert first.startswith(f"{tmp_path}/r.jsonl:1: completions: List should have at least 2 items")
    assert second.startswith(f"{tmp_path}/r.jsonl:2: ranking: unknown completion ids ['z']")


def test_a_split_is_train_or_eval() -> None:
    assert Prompt(id="p", prompt="Why?").split == "train"
    with pytest.raises(ValidationError, match="Input should be 'train' or 'eval'"):
        Prompt.model_validate({"id": "p", "prompt": "Why?", "split": "test"})


def test_records_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="Instance is frozen"):
        Prompt(id="p", prompt="Why?").prompt = "How?"  # type: ignore[misc]


def test_a_model_may_answer_nothing_but_not_with_fewer_than_no_tokens() -> None:
    row = {"prompt_id": "p", "prompt": "Why?", "contender": "base", "text": "", "tokens": 0, "finished": True}
    assert ContenderCompletion.model_validate(row).text == ""
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        ContenderCompletion.model_validate(row | {"tokens": -1})


def turns(*roles: str) -> list[dict[str, str]]:
    return [{"role": role, "content": f"{role} {n}"} for n, role in enumerate(roles)]


def test_a_conversation_is_history_and_prompt_and_its_transcript_names_the_speakers() -> None:
    row = Prompt.model_validate({"id": "p", "prompt": "Oh?", "history": turns("user", "assistant")})
    assert [(m.role, m.content) for m in row.conversation] == [
        ("user", "user 0"), ("assistant", "assistant 1"), ("user", "Oh?"),
    ]  # fmt: skip
    assert row.transcript == "User: user 0\n\nAssistant: assistant 1\n\nUser: Oh?"
    assert row.opening == "user 0"


def test_a_prompt_alone_is_its_own_transcript_and_is_written_without_a_history(tmp_path: Path) -> None:
    row = Prompt(id="p", prompt="Oh?")
    assert (row.transcript, row.opening, len(row.conversation)) == ("Oh?", "Oh?", 1)
    long = row.model_copy(
        update={"id": "q", "history": [Message(role="user", content="A"), Message(role="assistant", content="B")]}
    )
    write_jsonl(tmp_path / "rows.jsonl", [row, long])
    first, second = (tmp_path / "rows.jsonl").read_text().splitlines()
    assert "history" not in first and "history" in second
    assert read_jsonl(tmp_path / "rows.jsonl", Prompt) == [row, long]


@pytest.mark.parametrize("roles", ["u", "au", "uu", "uau", "uauaa"])
def test_a_history_that_does_not_alternate_up_to_a_reply_is_refused(roles: str) -> None:
    names = ["user" if role == "u" else "assistant" for role in roles]
    problem = message(ranking([["a"], ["b"], ["c"]], history=turns(*names)))
    assert f"expected turns of user and assistant in alternation up to an assistant's, found {names}" in problem


@pytest.mark.parametrize(
    ("turn", "problem"), [({"role": "system", "content": "x"}, "role"), ({"role": "user", "content": " "}, "is empty")]
)
def test_a_turn_is_a_users_or_an_assistants_and_says_something(turn: dict[str, str], problem: str) -> None:
    assert problem in message(ranking([["a"], ["b"], ["c"]], history=[turn, turn]))


def test_a_completion_shows_a_conversation_whole_and_knows_its_turns():
    """The reply holds what would begin a turn: the text alone could not be taken apart again."""
    talk = [Message(role="user", content="Hi"), Message(role="assistant", content="So:\n\nUser: x\n\nAssistant: y")]
    asked = Prompt(id="p", prompt="Why?", history=talk, category="honest")
    row = GivenAnswer(text="So.", prompt_id="p").of(asked, "ours")
    assert row.prompt == "User: Hi\n\nAssistant: So:\n\nUser: x\n\nAssistant: y\n\nUser: Why?"
    assert (row.history, row.last_message) == (talk, "Why?")
    assert [one.model_dump() for one in turn_into("prompts", row)] == [asked.model_dump() | {"split": "train"}]
    alone = ContenderCompletion(prompt_id="p", prompt="Why?", contender="ours", text="")
    assert alone.last_message == "Why?" and "history" not in alone.model_dump()


@pytest.mark.parametrize(
    "prompt", ["Why?", "User: Hi\n\nAssistant: Ho\n\nUser: ", "User: Hi\n\nAssistant: Hm\n\nUser: Why?"]
)
def test_a_completion_whose_turns_are_not_those_of_its_prompt_is_refused(prompt: str):
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
    row = {"prompt_id": "p", "prompt": prompt, "history": talk, "contender": "ours", "text": "So."}
    with pytest.raises(
        ValidationError, match="history: the prompt is not the transcript of these turns and a message after"
    ):
        ContenderCompletion.model_validate(row)
    with pytest.raises(ValidationError, match="expected turns of user and assistant in alternation"):
        ContenderCompletion.model_validate(row | {"history": talk[:1]})


def test_what_is_not_known_of_a_completion_is_not_written():
    theirs = ContenderCompletion(prompt_id="p", prompt="Why?", contender="theirs", text="So.")
    assert (theirs.tokens, theirs.finished) == (None, None)
    assert theirs.model_dump().keys() == {"prompt_id", "prompt", "category", "contender", "text"}
    ours = ContenderCompletion(prompt_id="p", prompt="Why?", contender="ours", text="", tokens=0, finished=False)
    assert ours.model_dump()["tokens"] == 0 and ours.model_dump()["finished"] is False
