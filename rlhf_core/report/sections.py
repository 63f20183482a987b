"""A report as blocks, section by section: what the Markdown file and the PDF consist of, and what the HTML page takes from here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rlhf_core.evaluation.labellers import SHARES
from rlhf_core.report import pictures
from rlhf_core.report.blocks import (
    Block,
    Bullets,
    Exchange,
    Gallery,
    Heading,
    Picture,
    Prose,
    Side,
    Table,
    Track,
    Verbatim,
)
from rlhf_core.report.judged_words import share_of
from rlhf_core.report.measures import contenders_sentence, measure_text
from rlhf_core.report.method import reproduce
from rlhf_core.report.parts import Answer, Example, Facts, Passage
from rlhf_core.report.words import (
    MISSING,
    STAGES,
    contender_name,
    count,
    duration,
    label,
    number,
    sentence_case,
    stage_steps,
)


def method_blocks(facts: Facts) -> list[Block]:
    """Return how the comparison was made."""
    return [Heading("Method"), *_passages(facts.method)] if facts.method else []


def criteria_blocks(facts: Facts) -> list[Block]:
    """Return people's win rates on every criterion and pair of contenders beside one another; nothing where there is one."""
    if len(facts.human_votes) < 2:
        return []
    rows = [
        (
            v.criterion,
            f"{contender_name(v.contender)} against {contender_name(v.baseline)}",
            share_of(v.win_rate),
            str(v.n),
        )
        for v in facts.human_votes
    ]
    tracks = [Track(v.win_rate.value, v.win_rate.low, v.win_rate.high, (0.0, 1.0), 0.5) for v in facts.human_votes]
    table = Table(("Criterion", "Compared", "Win rate", "Votes"), rows, right=2, tracks=tracks)
    return [Heading("Win rates by criterion"), table]


def data_blocks(facts: Facts) -> list[Block]:
    """Return what was learnt from, who judged, how well, and by which instructions."""
    blocks: list[Block] = [*_passages(facts.data), *_quality(facts.labellers)]
    for version in facts.instructions:
        title = f"Instructions to labellers, version {version.version}: {count(version.votes, 'vote')} given under it"
        blocks += [Heading(title, 2), Verbatim(version.text)]
    return [Heading("Data and labellers"), *blocks] if blocks else []


def limitation_blocks(facts: Facts) -> list[Block]:
    """Return what the report cannot say."""
    return [Heading("Limitations"), Bullets(facts.limitations)] if facts.limitations else []


def measure_blocks(facts: Facts) -> list[Block]:
    """Return every figure by its name."""
    if not facts.measures:
        return []
    rows = [(m.name, measure_text(m), m.what) for m in facts.measures]
    how = f"{contenders_sentence(facts)} In brackets 95% intervals. `rlhf report --fail-if` knows the figures by these names."
    return [Heading("All figures"), Prose(how), Table(("Name", "Value", "What it is"), rows, right=3, widths=(3, 3, 5))]


def making_blocks(facts: Facts, config: bool = True) -> list[Block]:
    """Return how the run was made and how to make it again, with the hashes of what the report rests on."""
    run = facts.run
    pairs = (("Policy", run.policy_model), ("Reward model", run.reward_model), ("Seed", run.seed))
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items() if version)
    more = (("Commit", run.commit), ("Hardware", run.hardware), ("Started", run.started), ("Versions", versions))
    known = [f"{name}: {value}" for name, value in (*pairs, *more) if value not in (None, "")]
    stages = [(STAGES[s.name], s.state, stage_steps(s.step, s.total), duration(s.seconds)) for s in run.stages]
    together = [("Together", "", "", duration(run.seconds))]
    commands = "\n".join(passage.text for passage in reproduce(facts))
    hashes = Table(("What", "Where", "SHA-256"), facts.provenance.rows, right=3, widths=(2.5, 3.5, 11))
    blocks = [
        *([Bullets(known)] if known else []),
        Table(("Stage", "State", "Steps", "Time"), [*stages, *together], right=2),
        Heading("The same again", 2),
        Verbatim(commands),
        Prose(
            f"Report made {facts.provenance.made}. Votes are hashed as JSON lines with sorted keys, no spaces, the lines sorted: "
            "the rows under vote_rows of the JSON file."
        ),
        hashes,
    ]
    settings: list[Block] = [Heading("Configuration", 2), Verbatim(facts.config)] if facts.config and config else []
    return [Heading("How it was made, and how to reproduce it"), *blocks, *settings]


def example_blocks(facts: Facts, longest: int | None = None) -> list[Block]:
    """Return the best and worst examples by the stated rule; texts are cut at `longest` letters."""
    if not facts.best and not facts.worst:
        return []
    fell = sum(e.gain < 0 for e in facts.gains)
    said = f"Chosen by the change in reward-model score, not by hand. Of {count(len(facts.gains), 'prompt')}, {fell} scored lower."
    blocks: list[Block] = [Heading("Examples"), Prose(said)]
    for title, examples in (("Rose most", facts.best), ("Fell most", facts.worst)):
        if examples:
            blocks += [Heading(title, 2), *(_exchange(e, longest) for e in examples)]
    return blocks


def answer_blocks(facts: Facts) -> list[Block]:
    """Return what every contender answered to every prompt."""
    found = [
        Exchange(a.prompt, f"{label(a.category)} {a.prompt_id}".strip(), _sides(a, a.texts, None))
        for a in facts.answers
    ]
    return [Heading("All answers"), *found] if found else []


def gallery(*found: Picture | None) -> list[Block]:
    """Return those pictures that there are, as one block."""
    there = tuple(picture for picture in found if picture is not None)
    return [Gallery(there)] if there else []


def training_blocks(facts: Facts) -> list[Block]:
    """Return the curves of training."""
    curves = pictures.curves(facts)
    note = "Faint: the value on training batches. Green: the range in which a good run usually stays."
    return [Heading("Training"), Gallery(tuple(curves)), Prose(note, "quiet")] if curves else []


def _passages(passages: Iterable[Passage]) -> list[Block]:
    return [Bullets([f"{passage.title}: {passage.text}" for passage in passages])] if passages else []


def _quality(labellers: Sequence[dict[str, Any]]) -> list[Block]:
    """Return how well labellers judge; shares about which nothing is known are left out."""
    known = [name for name in SHARES if any(row[f"{name}_n"] for row in labellers)]
    if not labellers:
        return []
    several = len({row["criterion"] for row in labellers}) > 1
    rows = [
        (
            f"{row['labeller']}, {row['criterion']}" if several else str(row["labeller"]),
            *(str(row["votes"]), *(_of(row, name) for name in known)),
            MISSING if row["median_seconds"] is None else number(row["median_seconds"], 1),
        )
        for row in labellers
    ]
    header = ("Labeller", "Votes", *(sentence_case(SHARES[name]) for name in known), "Median seconds")
    remarks = [f"{row['labeller']}: {remark}." for row in labellers for remark in row["remarks"]]
    odd: list[Block] = [Prose("What stands out:"), Bullets(remarks)] if remarks else [Prose("Nobody stands out.")]
    return [Heading("How well each labeller judges", 2), Table(header, rows), *odd]


def _of(row: dict[str, Any], name: str) -> str:
    n = int(row[f"{name}_n"])
    return f"{row[f'{name}_k'] / n:.0%} of {n:,}" if n else MISSING


def _exchange(example: Example, longest: int | None) -> Exchange:
    sides = _sides(example.answer, (example.baseline, example.contender), longest)
    return Exchange(_cut(example.answer.prompt, longest), number(example.gain, 2, signed=True), sides)


def _sides(answer: Answer, names: Iterable[str], longest: int | None) -> list[Side]:
    return [
        Side(
            name,
            sentence_case(contender_name(name))
            + (f", score {number(answer.scores[name], 2)}" if name in answer.scores else ""),
            _cut(answer.texts[name], longest),
        )
        for name in names
        if name in answer.texts
    ]


def _cut(text: str, longest: int | None) -> str:
    if longest is None or len(text) <= longest:
        return text
    return f"{text[:longest]} … ({len(text) - longest:,} more characters in the HTML and CSV files)"
