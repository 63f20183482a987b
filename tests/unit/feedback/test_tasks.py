"""Tasks: matching, what is left out, leaks, fingerprints, and the messages for input that cannot be judged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rlhf_core.data.records import Message
from rlhf_core.errors import DataError
from rlhf_core.feedback.leaks import find_leaks
from rlhf_core.feedback.tasks import build_task
from tests.vote_factory import INSTRUCTIONS, completion, make_spec


def test_pairs_are_matched_by_prompt_id_whatever_the_order():
    base = [completion("p1", "base", "old 1"), completion("p2", "base", "old 2")]
    tuned = [completion("p2", "tuned", "new 2"), completion("p1", "tuned", "new 1")]
    spec = build_task("demo", [base, tuned], INSTRUCTIONS, seed=3)
    assert [(i.prompt_id, i.completions) for i in spec.items] == [
        ("p1", (("base", "old 1"), ("tuned", "new 1"))),
        ("p2", (("base", "old 2"), ("tuned", "new 2"))),
    ]
    assert (spec.contenders, spec.identical, spec.unmatched) == (("base", "tuned"), 0, 0)


def test_identical_and_unmatched_prompts_are_left_out_and_counted():
    base = [completion("same", "base", "Yes."), completion("p", "base", "old"), completion("only base", "base", "x")]
    tuned = [completion("same", "tuned", "Yes.\n"), completion("p", "tuned", "new"), completion("other", "tuned", "y")]
    spec = build_task("demo", [base, tuned], INSTRUCTIONS, seed=0)
    assert [item.prompt_id for item in spec.items] == ["p"]
    assert spec.identical == 1  # "Yes." twice, but for a line end nobody sees
    assert spec.unmatched == 2  # "only base" and "other"


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("As SmolLM2, I can help.", "SmolLM2"),
        ("I was trained by Hugging Face.", "Hugging Face"),
        ("I was made by OpenAI", "made by OpenAI"),
        ("I’m ChatGPT and I know.", "I’m ChatGPT"),
        ("The tuned model says so", "tuned model"),
        ("My SFT taught me this", "SFT"),
    ],
)
def test_a_completion_that_names_its_author_is_a_leak(text: str, phrase: str):
    assert [leak.phrase for leak in find_leaks(completion("p", "tuned", text), ["sft", "tuned"])] == [phrase]


@pytest.mark.parametrize(
    "text", ["An acid meets a base.", "A llama from Peru.", "The soft sound of a well-tuned piano."]
)
def test_ordinary_words_are_no_leak(text: str):
    assert find_leaks(completion("p", "base", text), ["base", "tuned", "sft"]) == []


def test_leaks_are_listed_and_stay_in_the_task():
    base = [completion("p", "base", "I am SmolLM.")]
    spec = build_task("demo", [base, [completion("p", "tuned", "Hello")]], INSTRUCTIONS, seed=0)
    assert len(spec.items) == 1
    assert [(leak.prompt_id, leak.contender, leak.phrase) for leak in spec.leaks] == [("p", "base", "SmolLM")]


def test_fingerprint_follows_content():
    spec = make_spec()
    assert spec.fingerprint == make_spec().fingerprint
    others = [
        make_spec(size=5),
        make_spec(seed=1),
        make_spec(overlap=2),
        replace(spec, contenders=("base", "sft")),
    ]
    assert len({spec.fingerprint, *(other.fingerprint for other in others)}) == 5
    assert make_spec(instructions="Other.").fingerprint == spec.fingerprint  # revised within the task


def test_instruction_version_is_the_start_of_their_sha256():
    # printf 'abc' | sha256sum → ba7816bf8f01cfea414140de5dae2223… (FIPS 180-2, example B.1)
    assert replace(make_spec(), instructions="abc").instruction_version == "ba7816bf8f01"


BASE, TUNED = completion("p", "base", "old"), completion("p", "tuned", "new")


@pytest.mark.parametrize(
    ("base", "tuned", "instructions", "message"),
    [
        ([BASE], [TUNED], "  ", "demo: the task has no instructions"),
        ([], [TUNED], "x", "demo: no completions. Run `rlhf generate` first"),
        ([BASE], [], "x", "demo: no completions"),
        ([BASE, TUNED], [TUNED], "x", r"completions of several contenders.*\['base', 'tuned'\]"),
        ([BASE, BASE], [TUNED], "x", r"base: prompt ids repeat.*\['p'\]"),
        ([BASE], [BASE], "x", "a contender cannot be compared with itself.*'base'"),
        ([BASE], [completion("p", "tuned", "new", "Another?")], "x", r"different prompts under the same ids.*'p'"),
        ([BASE], [completion("q", "tuned", "new")], "x", "nothing to judge: 0 prompts in common"),
        ([BASE], [completion("p", "tuned", "old")], "x", "nothing to judge: 1 prompts in common, all answered alike"),
    ],
)
def test_what_cannot_be_judged_is_refused(base: list, tuned: list, instructions: str, message: str):
    with pytest.raises(DataError, match=message):
        build_task("demo", [base, tuned], instructions, seed=0)


def test_what_is_known_of_a_conversation_does_not_make_it_another_task():
    """Votes on a task from before completions said their turns stay those of the run's own task."""
    talk = [Message(role="user", content="Hi"), Message(role="assistant", content="Ho")]
    old = [[completion("p", name, name, "User: Hi\n\nAssistant: Ho\n\nUser: Why?")] for name in ("base", "tuned")]
    new = [old[0], [old[1][0].model_copy(update={"history": talk})]]  # one of them was made since
    before, after = (build_task("demo", sides, INSTRUCTIONS, 0) for sides in (old, new))
    assert before.fingerprint == after.fingerprint and before.items[0].prompt == after.items[0].prompt
    assert (before.items[0].history, after.items[0].history) == ((), tuple(talk))
