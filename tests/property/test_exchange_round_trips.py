"""What a format can hold comes back as it went: record → rows → record, for every format and kind that is written."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rlhf_core.data.exchange.format import KINDS, Dropped, Reading
from rlhf_core.data.exchange.registry import FORMATS
from rlhf_core.data.formats.hh_rlhf import SPEAKER
from rlhf_core.data.records import Asked, Preference, Ranking, Record

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(str.strip)
NAMES = st.text("abcXYZ-_ 09.é", min_size=1, max_size=8).filter(str.strip)
TURNS = st.lists(st.tuples(TEXTS, TEXTS), max_size=2).map(
    lambda pairs: [
        {"role": role, "content": text}
        for pair in pairs
        for role, text in zip(("user", "assistant"), pair, strict=True)
    ]
)
ASKED = {"id": NAMES, "prompt": TEXTS, "history": TURNS, "category": st.just("") | NAMES}
TWO = st.lists(TEXTS, min_size=2, max_size=2, unique=True)
WEIGHTS = st.floats(0.01, 1)
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)).map(
    lambda when: when.replace(tzinfo=UTC).isoformat()
)


def made(**fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(fields)


@st.composite
def rankings(draw: st.DrawFn) -> dict[str, Any]:
    texts = draw(st.lists(TEXTS, min_size=2, max_size=5, unique=True))
    completions = [{"id": f"c{n}", "text": text, "source": draw(st.just("") | NAMES)} for n, text in enumerate(texts)]
    groups: dict[int, list[str]] = {}
    for completion in completions:
        groups.setdefault(draw(st.integers(0, 3)), []).append(completion["id"])
    about = draw(made(**ASKED, prompt_id=st.just("") | NAMES, weight=WEIGHTS))
    return about | {"completions": completions, "ranking": list(groups.values())}


@st.composite
def votes(draw: st.DrawFn) -> dict[str, Any]:
    first, second = draw(st.lists(NAMES, min_size=2, max_size=2, unique=True))
    texts = st.text(st.characters(codec="utf-8"), max_size=20)
    verdict = draw(st.sampled_from(["a", "b", "tie", "both_bad"]))
    about = draw(
        made(
            **ASKED, labeller=NAMES, criterion=NAMES, prompt_id=NAMES, reason=texts, created_at=MOMENTS,
            automatic=st.booleans(), strength=st.none() | st.integers(1, 3),
        )
    )  # fmt: skip
    sides = {side: {"contender": name, "text": draw(texts)} for side, name in (("a", first), ("b", second))}
    return about | sides | {"verdict": verdict}


RECORDS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "prompts": made(**ASKED, split=st.sampled_from(["train", "eval"])),
    "demonstrations": made(**ASKED, response=TEXTS, prompt_id=st.just("") | NAMES),
    "preferences": st.tuples(made(**ASKED, prompt_id=st.just("") | NAMES, weight=WEIGHTS), TWO).map(
        lambda drawn: drawn[0] | {"chosen": drawn[1][0], "rejected": drawn[1][1]}
    ),
    "rankings": rankings(),
    "completions": made(
        prompt_id=NAMES, prompt=TEXTS, category=st.just("") | NAMES, contender=NAMES,
        text=st.text(st.characters(codec="utf-8"), max_size=20),
        tokens=st.none() | st.integers(0, 9), finished=st.none() | st.booleans(),
    ),
    "votes": votes(),
}  # fmt: skip
JUDGED = {"id", "category", "weight", "prompt_id", "provenance"}
LOST: dict[str, set[str]] = {
    "trl": JUDGED | {"split"},
    "gcpc": JUDGED | {"split"},
    "gcpc-prediction": {"prompt_id", "category", "contender", "tokens", "finished"},
    "hh-rlhf": JUDGED,
    "oasst": JUDGED | {"completions", "ranking"},
    "alpaca": {"id", "category", "prompt_id"},
    "sharegpt": {"id", "category", "prompt_id"},
    "autosxs": {
        "id", "prompt_id", "category", "criterion", "strength", "created_at", "labeller", "automatic", "a", "b", "verdict",
    },
    "dialogsum": {"id", "category", "prompt_id"},
    "summarize-from-feedback": {
        "id", "criterion", "strength", "reason", "created_at", "labeller", "weight", "provenance", "prompt_id",
    },
    "pandalm": {
        "id", "prompt_id", "criterion", "strength", "reason", "created_at", "labeller", "a", "b", "verdict",
    },
    "arena": {"id", "reason", "strength", "criterion", "labeller", "automatic"},
    "alpaca-eval": {"prompt_id", "tokens", "finished"},
    "alpaca-eval-annotations": {"id", "prompt_id", "criterion", "strength", "reason", "created_at", "labeller", "verdict"},
    "llm-comparator": {
        "id", "prompt_id", "criterion", "created_at", "labeller", "automatic", "a", "b", "verdict", "strength",
    },
}  # fmt: skip
"""Format, or family → the fields that its `cannot_hold` names; what else is asked of these stands below."""
REQUESTS = {
    "dialogsum": ("Summarize the following conversation.\n\n", "\n\nSummary:"),
    "summarize-from-feedback": ("Summarise this text.\n\n", ""),
}
"""Format of summaries → what stands before and after a text in the prompt it is read as."""
WORDS = {
    "id": "Ids", "prompt_id": "Ids", "category": "categor", "weight": "weight", "provenance": "where",
    "split": "held out", "criterion": "criteri", "strength": "strength", "reason": "reason", "created_at": "time|when",
    "labeller": "pseudonym|Who judged|who judged", "tokens": "tokens", "finished": "cut off|end", "contender": "Who wrote",
}  # fmt: skip
WRITTEN = [(name, kind) for name, form in FORMATS.items() for kind in (*form.write, *form.join)]


def lost(name: str) -> set[str]:
    return LOST.get(name, LOST.get(name.split("-")[0], set())) if not name.startswith("studio") else set()


def written(name: str, kind: str, record: Record) -> list[dict[str, Any]]:
    form = FORMATS[name]
    if kind in form.write:
        return list(form.write[kind](record))
    together = [record.model_copy(update={"labeller": who}) for who in "xyz"] if name == "pandalm" else [record]
    dropped: Counter[str] = Counter()
    rows = list(form.join[kind](together, dropped))
    if not rows:
        raise Dropped("; ".join(dropped))
    return rows


def there_and_back(name: str, kind: str, record: Record) -> list[Any]:
    form = FORMATS[name]
    rows = written(name, kind, record)
    told = [form.row.model_validate_json(json.dumps(row, ensure_ascii=False)) for row in rows]
    reader = form.reads(kind) or form.reads("demonstrations")
    assert reader
    found = []
    for row in told:
        try:
            found += list(reader(row, Reading("new", b"key")))
        except Dropped:  # of an unpaired preference the bad answer
            assert name == "trl-unpaired"
    return found


def same_by_rank(first: Ranking, second: Ranking) -> bool:
    def texts(ranking: Ranking) -> list[set[str]]:
        by_id = {completion.id: completion.text for completion in ranking.completions}
        return [{by_id[name] for name in group} for group in ranking.ranking]

    return texts(first) == texts(second)


def drawn(name: str, kind: str, data: st.DataObject) -> Any:
    """A record, of which a format that asks for a shape of its own holds most."""
    record = KINDS[kind].model_validate(data.draw(RECORDS[kind]))
    if name == "hh-rlhf":
        return stripped(record)
    if name in REQUESTS and data.draw(st.integers(0, 9)):
        return asked_so(name, record, data.draw(st.none() | TEXTS))
    return record


@pytest.mark.parametrize(("name", "kind"), WRITTEN)
@given(data=st.data())
def test_what_a_format_can_hold_comes_back(name: str, kind: str, data: st.DataObject) -> None:
    record = drawn(name, kind, data)
    if why := unwritten(name, record):
        with pytest.raises(Dropped, match=why):
            there_and_back(name, kind, record)
        return
    back, *others = there_and_back(name, kind, record)
    assert len(others) == (2 if name == "pandalm" else 0) and all(other.verdict == back.verdict for other in others)
    if name == "trl-unpaired":
        assert (back.prompt, back.history, back.response) == (record.prompt, record.history, record.chosen)
        return
    compared = set(type(record).model_fields) - lost(name)
    if isinstance(record, Asked) and "one text" in FORMATS[name].cannot_hold:
        assert back.transcript == record.transcript
        compared -= {"prompt", "history"}
    for field in compared:
        assert getattr(back, field) == getattr(record, field), field
    more(name, record, back)


def asked_so(name: str, record: Any, title: str | None) -> Any:
    """A record whose prompt is a request for a summary in the words in which the format is read."""
    values, texts = record.model_dump(), ("response", "chosen", "rejected")
    values |= {field: values[field].strip() for field in texts if field in values}
    values |= {side: values[side] | {"text": values[side]["text"].strip()} for side in "ab" if side in values}
    before, after = REQUESTS[name]
    titled = f"Title: {title}\n\n" if name != "dialogsum" and title else ""
    text = values["prompt"].replace("\r\n", "\n").strip() if name == "dialogsum" else values["prompt"]
    values |= {"history": [], "prompt": f"{before}{titled}{text}{after}"}
    assume(values.get("chosen", "") != values.get("rejected"))
    return type(record).model_validate(values)


def unwritten(name: str, record: Any) -> str:
    """Why a format leaves a record out, empty where it does not."""
    if name == "oasst" and len(record.ranking) < 2:
        return "all completions are tied"
    if name in ("pandalm", *REQUESTS) and getattr(record, "automatic", False):
        return "a model judged"
    if name in ("autosxs", *REQUESTS) and getattr(record, "verdict", "a") not in ("a", "b"):
        return "the vote is a tie"
    if name in REQUESTS and not record.transcript.startswith(REQUESTS[name][0]):
        return "does not ask for a summary"
    if name == "pandalm" and "_" in record.a.contender + record.b.contender:
        return "a contender's name has a _"
    return ""


def stripped(record: Any) -> Preference:
    """White space around a turn is lost, and a text with the mark of a turn is left out."""
    values = record.model_dump()
    for turn in values.get("history", []):
        turn["content"] = turn["content"].strip()
    values |= {field: values[field].strip() for field in ("prompt", "chosen", "rejected")}
    marked = [turn["content"] for turn in values.get("history", [])]
    marked += [values[field] for field in ("prompt", "chosen", "rejected")]
    assume(values["chosen"] != values["rejected"] and not any(SPEAKER.search(f"\n\n{text}") for text in marked))
    return Preference.model_validate(values)


def more(name: str, record: Any, back: Any) -> None:
    """What a format holds of a field that does not come back as it was."""
    if name == "oasst":
        assert same_by_rank(back, record) and back.prompt_id == (record.prompt_id or record.id)
    if name in REQUESTS:
        assert back.prompt_id == (record.prompt_id or record.id)
    if name == "autosxs":
        texts = {side.contender: side.text for side in (record.a, record.b)}
        assert (back.a.text, back.b.text) == (texts[min(texts)], texts[max(texts)]) and back.automatic
        assert {"a": min(texts), "b": max(texts)}[back.verdict] == getattr(record, record.verdict).contender
    if name in ("alpaca-eval-annotations", "llm-comparator", "pandalm"):
        winner = {"a": record.a.contender, "b": record.b.contender}.get(record.verdict)
        assert {"a": back.a.contender, "b": back.b.contender}.get(back.verdict) == winner
        assert {side.contender: side.text for side in (back.a, back.b)} == {
            side.contender: side.text for side in (record.a, record.b)
        }
    if name == "alpaca-eval-annotations" and record.automatic:
        assert back.labeller == record.labeller
    if name == "llm-comparator":
        assert back.strength == (None if back.verdict == "tie" else record.strength or 2) and back.automatic


@pytest.mark.parametrize(("name", "kind"), WRITTEN)
def test_the_account_of_a_format_names_every_field_it_loses(name: str, kind: str) -> None:
    told = FORMATS[name].cannot_hold
    unnamed = [
        field
        for field in lost(name) & set(KINDS[kind].model_fields) & WORDS.keys()
        if not any(word.lower() in told.lower() for word in WORDS[field].split("|"))
    ]
    assert unnamed == []
