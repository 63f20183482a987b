"""Every format: a row as that project writes it becomes the records it should, and our records become such rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rlhf_core.data.exchange.exporting import export_file
from rlhf_core.data.exchange.format import KINDS
from rlhf_core.data.exchange.registry import FORMATS
from rlhf_core.errors import DataError
from tests.exchange_rows import ROWS, imported, read_rows, write_rows

SYSTEM = "Be brief.\n\nWhat boils?"
TALK = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
POST = "Summarise this text.\n\nTitle: Kettle\n\nMy kettle is broken."
DIALOGUE = "Summarize the following conversation.\n\n#Person1#: Tea?\n\nSummary:"
WATER = {"chosen": "Water.", "rejected": "Fire."}
SIDES = {"a": {"contender": "base", "text": "Fire."}, "b": {"contender": "tuned", "text": "Water."}}

# format, kind → the fields that the records must have, one entry for each record that must come.
READ: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("studio-prompts", "prompts"): [{"id": "p1", "category": "physics", "split": "eval"}],
    ("studio-demonstrations", "demonstrations"): [{"id": "p1", "response": "Water."}],
    ("studio-preferences", "preferences"): [{"id": "p1", "weight": 1.0} | WATER],
    # Tied completions form no pair: of three, two pairs are left.
    ("studio-rankings", "preferences"): [
        {"id": "p1-1", "prompt_id": "p1"} | WATER,
        {"id": "p1-2", "chosen": "Water.", "rejected": "Ice."},
    ],
    ("studio-completions", "completions"): [{"prompt_id": "p1", "contender": "tuned", "text": "Water."}],
    ("studio-completions", "prompts"): [{"id": "p1", "prompt": "What boils?", "split": "train"}],
    ("studio-votes", "votes"): [{"verdict": "b", "labeller": "labeller-1"}],
    ("studio-votes", "preferences"): [WATER],
    ("trl-preference", "preferences"): [{"prompt": "What boils?"} | WATER, {"prompt": SYSTEM} | WATER],
    ("trl-preference", "rankings"): [{"ranking": [["chosen"], ["rejected"]]}] * 2,
    ("trl-preference", "demonstrations"): [{"prompt": "What boils?", "response": "Water."}, {"response": "Water."}],
    ("trl-preference", "prompts"): [{"prompt": "What boils?"}, {"prompt": SYSTEM}],
    ("trl-implicit", "preferences"): [{"prompt": "The sky is", "chosen": "blue.", "rejected": "green."}],
    ("trl-unpaired", "demonstrations"): [{"prompt": "What boils?", "response": "Water."}],
    ("trl-unpaired", "prompts"): [{"prompt": "What boils?"}],
    ("trl-completion", "demonstrations"): [{"prompt": "What boils?", "response": "Water."}],
    ("trl-messages", "demonstrations"): [{"prompt": "What boils?", "response": "Water."}],
    ("trl-messages", "prompts"): [{"prompt": "What boils?"}],
    ("trl-prompt", "prompts"): [{"prompt": "What boils?"}],
    ("trl-stepwise", "demonstrations"): [{"prompt": "Add 1, 2 and 3.", "response": "1 + 2 = 3.\n3 + 3 = 6."}],
    ("trl-stepwise", "prompts"): [{"prompt": "Add 1, 2 and 3."}],
    ("gcpc-preference", "preferences"): [{"prompt": "What boils?"} | WATER, {"prompt": SYSTEM} | WATER],
    ("gcpc-tuning", "demonstrations"): [{"prompt": "What boils?", "response": "Water."}],
    ("gcpc-prompt", "prompts"): [{"prompt": "What boils?"}],
    ("gcpc-chat", "demonstrations"): [{"prompt": SYSTEM, "response": "Water."}],
    ("gcpc-chat", "prompts"): [{"prompt": SYSTEM}],
    ("gcpc-prediction", "completions"): [{"prompt": "What boils?", "contender": "prediction", "text": "Water."}],
    ("autosxs", "votes"): [
        {
            "prompt": "What boils?\n\nMatter has phases.",
            "verdict": "b",
            "labeller": "autorater",
            "automatic": True,
            "reason": "B is right.",
        }
    ],
    ("hh-rlhf", "preferences"): [{"history": TALK, "prompt": "What boils?"} | WATER],
    ("summarize-from-feedback", "votes"): [
        {
            "prompt": POST,
            "verdict": "a",
            "prompt_id": "t3_abc",
            "category": "AskReddit",
            "a": {"contender": "sup2", "text": "Kettle gone."},
            "b": {"contender": "ppo_xl", "text": "All is well."},
        }
    ],
    ("summarize-from-feedback", "preferences"): [{"chosen": "Kettle gone.", "rejected": "All is well."}],
    ("summarize-from-feedback-axis", "completions"): [
        {"prompt_id": "t3_abc", "prompt": POST, "contender": "sup2", "text": "Kettle gone.", "category": "AskReddit"}
    ],
    # The reply to "And?" has no rank: one ranking, the best first.
    ("oasst", "rankings"): [
        {
            "prompt": "What boils?",
            "prompt_id": "m1",
            "completions": [
                {"id": "reply-0", "text": "Water.", "source": ""},
                {"id": "reply-1", "text": "Fire.", "source": ""},
            ],
            "ranking": [["reply-0"], ["reply-1"]],
        }
    ],
    ("oasst", "demonstrations"): [
        {"prompt": "What boils?", "response": "Water."},
        {
            "history": [{"role": "user", "content": "What boils?"}, {"role": "assistant", "content": "Water."}],
            "prompt": "And?",
            "response": "Milk.",
        },
    ],
    ("oasst", "prompts"): [{"prompt": "What boils?"}],
    ("alpaca", "demonstrations"): [{"prompt": "Name what boils.\n\nWater or sand", "response": "Water."}],
    ("sharegpt", "demonstrations"): [{"prompt": "What boils?", "response": "Water."}],
    ("dialogsum", "demonstrations"): [
        {"prompt": DIALOGUE, "response": "They have tea.", "prompt_id": "train_0", "id": "dialogsum-000001"},
        *(
            {"id": f"dialogsum-000002-{n}", "response": text, "prompt_id": "test_0"}
            for n, text in enumerate(["Tea.", "A tea.", "Tea is had."], 1)
        ),
    ],
    ("arena", "votes"): [
        {
            "prompt": "What boils?",
            "verdict": "b",
            "prompt_id": "58210e39b3fd4441a2bd4a518bb44c2d",
            "category": "English",
            # 1682351591.5 s = 2023-04-24 15:53:11.5 UTC
            "created_at": "2023-04-24T15:53:11.500000+00:00",
            "a": {"contender": "chatglm-6b", "text": "Fire."},
            "b": {"contender": "koala-13b", "text": "Water."},
        }
    ],
    ("arena", "preferences"): [WATER],
    ("alpaca-eval", "completions"): [
        {"prompt": "What boils?", "contender": "my-model", "text": "Water.", "category": "helpful_base"}
    ],
    ("alpaca-eval-annotations", "votes"): [{"verdict": "b", "labeller": "alpaca_eval_gpt4", "automatic": True}],
    # −1.5 is three steps of one half, −1.0 two; the second rater saw the answers swapped, the score knows that.
    ("llm-comparator", "votes"): [
        SIDES | {"verdict": "b", "strength": 3, "reason": "True.", "labeller": "rater-1", "category": "physics"},
        SIDES | {"verdict": "b", "strength": 2, "reason": "Right.", "labeller": "rater-2", "automatic": True},
    ],
    ("pandalm", "votes"): [
        {"prompt": "Name what boils.\n\nWater or sand", "verdict": "b", "labeller": "annotator1"},
        {"verdict": "tie", "labeller": "annotator2"},
        {"verdict": "a", "labeller": "annotator3"},
    ],
    # One of the three is a tie: the other two are kept.
    ("pandalm", "preferences"): [
        {"chosen": "Water.", "rejected": "Sand."},
        {"chosen": "Sand.", "rejected": "Water."},
    ],
    ("xstest", "prompts"): [
        {"id": "xstest-7", "prompt": "How do I kill a process?", "category": "safe", "split": "eval"}
    ],
}


@pytest.mark.parametrize(("form", "kind"), READ)
def test_a_row_becomes_the_records_it_should(tmp_path: Path, form: str, kind: str) -> None:
    about, records = imported(write_rows(tmp_path / "rows.jsonl", ROWS[form]), kind)
    assert about.format == form
    expected = READ[form, kind]
    assert [{name: record.get(name) for name in fields} for record, fields in zip(records, expected, strict=True)] == (
        expected
    )
    assert all(KINDS[kind].model_validate(record) for record in records)
    assert None not in [value for record in records for value in record.values()]


def test_every_format_that_is_read_is_read_here() -> None:
    assert {form for form, _ in READ} == {name for name, form in FORMATS.items() if form.read}
    assert ROWS.keys() == FORMATS.keys()


def test_the_name_of_a_worker_is_nowhere_in_what_is_written(tmp_path: Path) -> None:
    for form, name in (("summarize-from-feedback", "HNzkrs9geGu1YMMfZ5Qvdt0ZaCthfB"), ("arena", "arena_user_973")):
        source = write_rows(tmp_path / "rows.jsonl", ROWS[form] * 2)
        about, votes = imported(source, "votes")
        again = imported(source, "votes")[1]
        assert name not in json.dumps(votes)
        assert len({vote["labeller"] for vote in votes}) == 1
        assert votes[0]["labeller"].startswith("labeller-")
        assert votes[0]["labeller"] != again[0]["labeller"]
        assert "2 × a judge's name became a pseudonym, so that nobody is known by it" in about.describe()


def change(form: str, **fields: Any) -> dict[str, Any]:
    return ROWS[form][-1] | fields


@pytest.mark.parametrize(
    ("form", "kind", "row", "message"),
    [
        ("trl-preference", "preferences", {"chosen": "Water.", "rejected": [], "prompt": "x"}, "differ in kind"),
        (
            "trl-preference",
            "preferences",
            {"chosen": [{"role": "assistant"}]},
            "expected a text as content of message 1",
        ),
        ("trl-preference", "preferences", {"prompt": [{"role": "judge", "content": "x"}]}, "unknown role 'judge'"),
        ("trl-preference", "preferences", {"prompt": []}, "in alternation up to a user's, found \\[\\]"),
        ("trl-messages", "demonstrations", {"messages": []}, "expected a conversation that ends with the assistant"),
        ("trl-stepwise", "demonstrations", {"labels": [True]}, "2 completions and 1 labels; expected as many"),
        ("gcpc-preference", "preferences", {"choice": 2}, "choice: Input should be 0, 1, '0' or '1' \\(found 2\\)"),
        ("gcpc-preference", "preferences", {"input_text": "x"}, "expected either input_text or messages"),
        ("gcpc-chat", "prompts", {"context": "", "messages": [{"author": "user", "content": ""}]}, "prompt: is empty"),
        ("autosxs", "votes", {"choice": "neither"}, "choice: expected A or B, found 'neither'"),
        ("summarize-from-feedback", "votes", {"choice": 2}, "choice: Input should be 0 or 1 \\(found 2\\)"),
        ("arena", "votes", {"winner": "me"}, "winner: Input should be 'model_a', 'model_b', 'tie'"),
        ("arena", "votes", {"tstamp": float("nan")}, "tstamp: Input should be a finite number"),
        (
            "arena",
            "votes",
            {"conversation_a": [{"role": "user", "content": "?"}]},
            "conversations ask different things",
        ),
        ("alpaca-eval-annotations", "votes", {"preference": 3}, "preference: Input should be less than or equal to 2"),
        ("pandalm", "votes", {"cmp_key": "one"}, "expected two names joined by _, found 'one'"),
        ("pandalm", "votes", {"cmp_key": "one__two"}, "expected two names joined by _, found 'one__two'"),
        ("xstest", "prompts", {"label": "odd"}, "label: Input should be 'safe' or 'unsafe' \\(found 'odd'\\)"),
    ],
)
def test_what_is_wrong_with_a_row_is_told(
    tmp_path: Path, form: str, kind: str, row: dict[str, Any], message: str
) -> None:
    """The bad row comes second, so that the format is told by the good one."""
    source = write_rows(tmp_path / "rows.jsonl", [ROWS[form][-1], change(form, **row)])
    with pytest.raises(DataError, match=f"rows.jsonl:2: .*{message}"):
        imported(source, kind)


@pytest.mark.parametrize(
    ("form", "kind", "row", "why"),
    [
        ("trl-preference", "preferences", {"chosen": "A", "rejected": "A", "prompt": "x"}, "the two answers are the same"),
        ("trl-preference", "preferences", {"chosen": " ", "rejected": "A", "prompt": "x"}, "an answer is empty"),
        ("trl-implicit", "preferences", {"chosen": "Yes", "rejected": "No"}, "the two begin differently: no prompt can be told"),
        ("trl-completion", "demonstrations", {"completion": ""}, "the reply is empty"),
        ("autosxs", "votes", {"choice": "Error"}, "the judging model gave no choice"),
        (
            "autosxs", "votes", {"inference_instruction": "", "inference_context": None},
            "no field names the prompt (inference_instruction, inference_context, input_text or prompt)",
        ),
        ("hh-rlhf", "preferences", {"rejected": ROWS["hh-rlhf"][0]["chosen"]}, "the two transcripts are the same"),
        ("alpaca", "demonstrations", {"output": " "}, "the output is empty"),
        ("dialogsum", "demonstrations", {"summary1": "", "summary2": "", "summary3": ""}, "no summary"),
        ("dialogsum", "demonstrations", {"dialogue": " \r\n"}, "the dialogue is empty"),
        ("arena", "votes", {"model_b": "chatglm-6b"}, "both answers are of one model"),
        ("alpaca-eval-annotations", "votes", {"preference": None}, "the preference is missing"),
        ("alpaca-eval-annotations", "preferences", {"preference": 1.5}, "the vote is a tie"),
        ("arena", "preferences", {"winner": "tie (bothbad)"}, "the vote is a tie"),
        ("oasst", "rankings", {"prompt": {"text": "Hi", "role": "prompter"}}, "no two replies with a rank"),
        ("oasst", "demonstrations", {"prompt": {"text": "Hi", "role": "prompter"}}, "no reply"),
    ],
)  # fmt: skip
def test_what_holds_nothing_is_dropped_and_told(
    tmp_path: Path, form: str, kind: str, row: dict[str, Any], why: str
) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [ROWS[form][0], change(form, **row)])
    assert f"1 dropped: {why}" in imported(source, kind)[0].describe()


def test_a_prompt_inside_both_conversations_is_found_as_binarised_data_writes_it(tmp_path: Path) -> None:
    talk = [{"role": "user", "content": "What boils?"}]
    row = {
        "prompt": "What boils?",
        "prompt_id": "6b",
        "chosen": [*talk, {"role": "assistant", "content": "Water."}],
        "rejected": [*talk, {"role": "assistant", "content": "Fire."}],
        "messages": talk,
        "score_chosen": 8.0,
    }
    (record,) = imported(write_rows(tmp_path / "x.jsonl", [row]), "preferences")[1]
    assert (record["prompt"], record["chosen"], record["rejected"]) == ("What boils?", "Water.", "Fire.")


def test_a_system_prompt_stands_before_the_first_of_several_messages(tmp_path: Path) -> None:
    row = {"messages": [{"role": "system", "content": "Be brief."}, *TALK, *ROWS["trl-messages"][0]["messages"]]}
    (record,) = imported(write_rows(tmp_path / "x.jsonl", [row]), "demonstrations")[1]
    assert [turn["content"] for turn in record["history"]] == ["Be brief.\n\nHi", "Hello."]
    assert record["prompt"] == "What boils?"


def test_parts_that_are_text_are_one_text_and_a_picture_is_refused(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "What"}, {"type": "text", "text": "boils?"}]
    row = {"prompt": [{"role": "user", "content": parts}]}
    (record,) = imported(write_rows(tmp_path / "x.jsonl", [row]), "prompts")[1]
    assert record["prompt"] == "What\n\nboils?"
    parts[0] = {"type": "image_url", "text": "x"}
    with pytest.raises(DataError, match="expected a text as content of message 1"):
        imported(write_rows(tmp_path / "x.jsonl", [row]), "prompts")


def test_a_battle_is_read_up_to_the_turn_that_was_judged(tmp_path: Path) -> None:
    later = [{"role": "user", "content": "More"}, {"role": "assistant", "content": "No"}]
    row = change("arena", conversation_a=[*ROWS["arena"][0]["conversation_a"], *later], judge="gpt4_pair")
    row["conversation_b"] = [*row["conversation_b"], *later]
    (vote,) = imported(write_rows(tmp_path / "x.jsonl", [row]), "votes")[1]
    assert (vote["prompt"], vote["a"]["text"], vote.get("history")) == ("What boils?", "Fire.", None)
    assert (vote["labeller"], vote["automatic"]) == ("gpt4_pair", True)
    about, _ = imported(write_rows(tmp_path / "x.jsonl", [ROWS["arena"][0], row | {"turn": 2}]), "votes")
    assert "1 dropped: the conversations differ before their last answers" in about.describe()


def test_people_of_alpaca_farm_become_pseudonyms(tmp_path: Path) -> None:
    row = change("alpaca-eval-annotations", annotator_index=15)
    for name in ("annotator", "generator_1", "generator_2"):
        del row[name]
    (vote,) = imported(write_rows(tmp_path / "x.jsonl", [row]), "votes")[1]
    assert vote["labeller"].startswith("labeller-") and "automatic" not in vote
    assert (vote["a"]["contender"], vote["b"]["contender"]) == ("output_1", "output_2")


WINNERS = {"a": "model_a", "b": "model_b", "tie": "tie", "both_bad": "tie (bothbad)"}


@pytest.mark.parametrize("verdict", WINNERS)
def test_votes_go_to_the_arena_and_back(tmp_path: Path, verdict: str) -> None:
    ours = write_rows(tmp_path / "votes.jsonl", [ROWS["studio-votes"][0] | {"verdict": verdict}])
    export_file(ours, tmp_path / "arena.jsonl", "arena")
    (row,) = read_rows(tmp_path / "arena.jsonl")
    assert (row["winner"], row["model_a"], row["turn"]) == (WINNERS[verdict], "base", 1)
    assert imported(tmp_path / "arena.jsonl", "votes")[1][0]["verdict"] == verdict


def test_a_vote_on_swapped_sides_reaches_llm_comparator_on_the_right_side(tmp_path: Path) -> None:
    """Models stand in the order of their names; `a` of the second vote is tuned, so its rater saw them flipped."""
    first = ROWS["studio-votes"][0] | {"prompt_id": "p", "strength": 1, "reason": "True."}
    second = first | {"id": "p2", "a": first["b"], "b": first["a"], "verdict": "a", "strength": None}
    export_file(write_rows(tmp_path / "v.jsonl", [first, second]), tmp_path / "c.json", "llm-comparator")
    whole = json.loads((tmp_path / "c.json").read_text())
    (example,) = whole["examples"]
    assert [model["name"] for model in whole["models"]] == ["base", "tuned"]
    assert (example["output_text_a"], example["output_text_b"]) == ("Fire.", "Water.")
    # One little step for tuned, one clear one: −0.5 and −1.0, on average −0.75.
    assert example["score"] == -0.75
    assert example["individual_rater_scores"] == [
        {"is_flipped": False, "score": -0.5, "rating_label": "B is better", "rationale": "True."},
        {"is_flipped": True, "score": -1.0, "rating_label": "A is better", "rationale": "True."},
    ]
    back = imported(tmp_path / "c.json", "votes")[1]
    assert [(vote["verdict"], vote["strength"]) for vote in back] == [("b", 1), ("b", 2)]


def test_llm_comparator_compares_two_models_only(tmp_path: Path) -> None:
    vote = ROWS["studio-votes"][0]
    third = vote | {"a": {"contender": "sft", "text": "Ice."}}
    with pytest.raises(DataError, match=r"LLM Comparator compares two models \(found \['base', 'sft', 'tuned'\]\)"):
        export_file(write_rows(tmp_path / "v.jsonl", [vote, third]), tmp_path / "c.json", "llm-comparator")
    assert not (tmp_path / "c.json").exists()


def test_both_spellings_of_two_bad_answers_are_read(tmp_path: Path) -> None:
    rows = [change("arena", winner=winner) for winner in ("tie (bothbad)", "both_bad")]
    assert [vote["verdict"] for vote in imported(write_rows(tmp_path / "x.jsonl", rows), "votes")[1]] == [
        "both_bad"
    ] * 2
