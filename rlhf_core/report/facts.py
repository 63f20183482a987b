"""Compute everything a report shows about one run, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from rlhf_core.data.contenders import sides
from rlhf_core.errors import RunError
from rlhf_core.evaluation.agreement import agreement
from rlhf_core.evaluation.ballots import one_pair_each, pair_items
from rlhf_core.evaluation.labellers import labeller_quality
from rlhf_core.evaluation.statistics import mcnemar_exact
from rlhf_core.feedback.records import InstructionVersion
from rlhf_core.report.auto_judges import auto_judges, folder_of_run, texts_of_run
from rlhf_core.report.caveats import caveats
from rlhf_core.report.drift import find_drift
from rlhf_core.report.judged import gather_votes, summarise, vote_rows
from rlhf_core.report.judges import REWARD, TEXT, judges_against_people
from rlhf_core.report.measures import measures
from rlhf_core.report.method import data, limitations, method
from rlhf_core.report.parts import Answer, Comparison, Example, Facts, Flagged, Run, Scorer, Stage
from rlhf_core.report.provenance import find_provenance
from rlhf_core.report.refusals import find_refusals
from rlhf_core.report.verdict import figures, missing, verdict
from rlhf_core.runs.outcome import alarms_in
from rlhf_core.runs.reader import LOGGED_STAGES, RunReader

EXAMPLES = 3
"""So many prompts are shown with the largest gain in reward-model score, and as many with the largest loss."""
SCORE_COLUMNS = ("prompt_id", "contender", "scorer", "measure", "value")
KL_FIELDS = ("value", "low", "high", "n")
TEST_FIELDS = (
    *("n_pairs", "n_prompts", "accuracy", "kendall_tau", "calibration_error"),
    *("reliability", "margin_bins", "length", "by_category", "model"),
)


def build_facts(
    run_path: str | Path, votes: pd.DataFrame | None = None, instructions: Sequence[InstructionVersion] = ()
) -> Facts:
    """Gather all facts about the run at `run_path`, with `votes` in the columns of `VoteStore.votes()`.

    Gold items and repeats among the votes say how well labellers judge and enter no other figure. `instructions` are those
    that labellers were given.

    Simulated votes that the run brings along in `votes.jsonl` are read too and kept apart from people's. Parts the run
    does not have yet are None or empty, and named in `missing`.

    Raises:
        RunError: no such run, or a file of it is damaged.
        DataError: completions or votes are not what their format asks for.
    """
    reader = RunReader(run_path)
    content = _evaluation(reader)
    answers = _answers(reader, content["scores"])
    baseline, contender = _sides(reader)
    gains = _gains(answers, baseline, contender)
    judged = gather_votes(reader.path, votes)
    asked = judged.loc[judged["kind"] == "item"]
    people = asked.loc[~asked["simulated"].astype(bool)]
    rows = vote_rows(judged)
    parts = {
        "run": _run(reader),
        "baseline": baseline,
        "contender": contender,
        "comparisons": content["comparisons"],
        "kl": content["kl"],
        "scorers": content["scorers"],
        "flagged": _flagged(content["scores"], content["scorers"], baseline, contender),
        "refusals": find_refusals(reader),
        "reward_model": content["reward_model"],
        "lineage": reader.lineage(),
        "against_votes": reader.evaluation("reward_against_votes"),
        "human_votes": summarise(asked, simulated=False),
        "labellers": _labellers(judged),
        "instructions": tuple(instructions),
        "agreement": tuple(agreement(pair_items(people)).values()) if len(people) else (),
        "judges": judges_against_people(people, pd.DataFrame(content["scores"], columns=list(SCORE_COLUMNS))),
        "auto_judges": auto_judges(folder_of_run(reader.path), people, texts_of_run(reader)),
        "simulated_votes": summarise(asked, simulated=True),
        "simulation_rule": _text(reader.path / "votes_rule.md"),
        "gains": gains,
        "best": tuple(e for e in gains[:EXAMPLES] if e.gain > 0),
        "worst": tuple(e for e in reversed(gains[-EXAMPLES:]) if e.gain < 0),
        "answers": answers,
        "score_rows": tuple(content["scores"]),
        "vote_rows": rows,
        "provenance": find_provenance(reader, rows),
        "metrics": {stage: _metrics(reader, stage) for stage in LOGGED_STAGES},
        "outcome": reader.outcome(),
        "alarms": tuple(alarms_in(reader.metrics("ppo"))),
        "drift": find_drift(reader),
        "config": _text(reader.path / "config.yaml"),
    }
    unsaid = dict.fromkeys(("figures", "measures", "method", "data", "limitations", "caveats", "missing"), ())
    return _with_words(Facts(verdict="", **unsaid, **parts), reader.config())


def _with_words(draft: Facts, settings: Mapping[str, Any]) -> Facts:
    """Return the facts with what is said of them."""
    return replace(
        draft,
        verdict=verdict(draft),
        figures=figures(draft),
        measures=measures(draft),
        method=method(draft, settings),
        data=data(draft, settings),
        limitations=limitations(draft),
        caveats=caveats(draft),
        missing=missing(draft),
    )


def _labellers(judged: pd.DataFrame) -> tuple[dict[str, Any], ...]:
    """Return how well each person judges, by criterion; what is not known is None."""
    people = judged.loc[~judged["simulated"].astype(bool)]
    if people.empty:
        return ()
    found = labeller_quality(one_pair_each(people))
    plain = found.astype(object).where(found.notna(), None)
    return tuple(plain.to_dict("records"))


def _evaluation(reader: RunReader) -> dict[str, Any]:
    scores, compared = reader.evaluation("scores") or {}, reader.evaluation("comparisons") or {}
    tested, folder = reader.evaluation("reward_model"), reader.path / "evaluation"
    columns = [field.name for field in fields(Comparison)]
    rows = _complete(compared.get("rows") or [], columns, folder / "comparisons.json")
    return {
        "scores": _complete(scores.get("rows") or [], SCORE_COLUMNS, folder / "scores.json"),
        "scorers": {name: _scorer(name, entry) for name, entry in (scores.get("scorers") or {}).items()},
        "comparisons": tuple(Comparison(**{name: row[name] for name in columns}) for row in rows),
        "kl": _complete([compared["kl"]], KL_FIELDS, folder / "comparisons.json")[0] if compared.get("kl") else None,
        "reward_model": _complete([tested], TEST_FIELDS, folder / "reward_model.json")[0] if tested else None,
    }


def _complete(rows: Any, names: Sequence[str], where: Path) -> list[dict[str, Any]]:
    """Return the rows after making sure that each has these fields."""
    remedy = "Run `rlhf evaluate` again"
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise RunError("`rows` is not a list of objects", where=where, value=rows, remedy=remedy)
    for row in rows:
        if missing := [name for name in names if name not in row]:
            raise RunError(f"a row lacks {', '.join(missing)}", where=where, value=row, remedy=remedy)
    return rows


def _scorer(name: str, entry: Mapping[str, Any]) -> Scorer:
    return Scorer(name, str(entry.get("version", "")), str(entry.get("blind_spots", "")), entry.get("threshold"))


def _sides(reader: RunReader) -> tuple[str, str]:
    """Return base and tuned once all have answered; in a later round, the round before and tuned."""
    found = reader.contenders()
    return sides(found) if len(found) > 1 else ("base", "tuned")


def _run(reader: RunReader) -> Run:
    status, env, config = reader.status(), reader.environment, reader.config()
    started = env.get("started")
    return Run(
        name=reader.name,
        state=status.state,
        recorded=status.recorded,
        started=None if started is None else datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        command=env.get("command"),
        commit=env.get("commit"),
        seed=env.get("seed"),
        hardware=", ".join(str(part) for part in _hardware(env) if part),
        versions=dict(env.get("versions") or {}),
        policy_model=(config.get("policy") or {}).get("model"),
        reward_model=(config.get("reward") or {}).get("model"),
        stages=tuple(Stage(s.name, s.state, s.step, s.total, s.seconds) for s in status.stages),
        imported=status.imported,
    )


def _hardware(env: Mapping[str, Any]) -> tuple[Any, ...]:
    cores = env.get("cores")
    return env.get("accelerator"), env.get("cpu"), f"{cores} cores" if cores else None, env.get("platform")


def _answers(reader: RunReader, scores: Sequence[Mapping[str, Any]]) -> tuple[Answer, ...]:
    """Return one record per prompt, in the order of the first contender's completions."""
    scored: dict[str, dict[str, float]] = {}
    for row in scores:
        if (row["scorer"], row["measure"]) == (REWARD, "score"):
            scored.setdefault(row["prompt_id"], {})[row["contender"]] = row["value"]
    found: dict[str, Answer] = {}
    for contender in reader.contenders():
        for c in reader.completions(contender):
            blank = Answer(c.prompt_id, c.category, c.prompt, {}, scored.get(c.prompt_id, {}))
            found.setdefault(c.prompt_id, blank).texts[contender] = c.text
    return tuple(found.values())


def _gains(answers: Sequence[Answer], baseline: str, contender: str) -> tuple[Example, ...]:
    """Return every prompt both sides answered and that was scored, largest gain in score first."""
    both = [a for a in answers if {baseline, contender} <= a.scores.keys() & a.texts.keys()]
    gains = [Example(a, baseline, contender, a.scores[contender] - a.scores[baseline]) for a in both]
    return tuple(sorted(gains, key=lambda e: (-e.gain, e.answer.prompt_id)))


def _flagged(
    scores: Sequence[Mapping[str, Any]], scorers: Mapping[str, Scorer], baseline: str, contender: str
) -> tuple[Flagged, ...]:
    found = []
    measures = dict.fromkeys((row["scorer"], row["measure"]) for row in scores)
    for name, measure in measures:
        threshold = scorers[name].threshold if name in scorers and name not in (REWARD, TEXT) else None
        if threshold is None:
            continue
        before, after = (_values(scores, name, measure, side) for side in (baseline, contender))
        prompts = sorted(before.keys() & after.keys())
        if prompts:
            over = [[values[p] >= threshold for p in prompts] for values in (before, after)]
            test = mcnemar_exact(*over)
            counts = (len(prompts), sum(over[0]), sum(over[1]), test.only_before, test.only_after, test.p_value)
            found.append(Flagged(name, measure, threshold, *counts))
    return tuple(found)


def _values(scores: Sequence[Mapping[str, Any]], scorer: str, measure: str, contender: str) -> dict[str, float]:
    wanted = (scorer, measure, contender)
    return {r["prompt_id"]: r["value"] for r in scores if (r["scorer"], r["measure"], r["contender"]) == wanted}


def _metrics(reader: RunReader, stage: str) -> tuple[dict[str, Any], ...]:
    frame = reader.metrics(stage)
    return tuple(frame.astype(object).where(frame.notna(), None).to_dict("records"))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
