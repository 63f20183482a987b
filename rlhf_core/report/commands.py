"""What `rlhf report` does: write the files, list the figures, and judge the conditions of --fail-if."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rlhf_core.feedback.collect import judging_of_run
from rlhf_core.report.exports import check_formats, report_files, write_files
from rlhf_core.report.facts import build_facts
from rlhf_core.report.gate import judge, parse_condition
from rlhf_core.report.measures import NAMES, measure_text
from rlhf_core.report.parts import Facts
from rlhf_core.visible import one_line

HELD, NO_REPORT = 1, 2


@dataclass(frozen=True)
class ReportRequest:
    """What is asked for. `votes` is a database file or URL, which need not be there."""

    run: Path
    out: Path
    votes: str
    formats: tuple[str, ...]
    fail_if: tuple[str, ...]
    list_figures: bool


def run_report(request: ReportRequest, say: Callable[[str], object]) -> int:
    """Write a report, say where and what became of the conditions, and return the exit status.

    0: written, and no condition holds. 1: written, and one holds or its figure is missing. The command makes 2 of an error where
    conditions were asked, so that the two can be told apart.

    Raises:
        RlhfError: an unknown format or figure, or a run that cannot be read.
    """
    check_formats(request.formats)
    conditions = [parse_condition(text) for text in request.fail_if]
    found = judging_of_run(request.run, request.votes)
    facts = build_facts(request.run, found.votes, found.instructions) if found else build_facts(request.run)
    if request.list_figures:
        for line in figure_lines(facts):
            say(line)
        return 0
    for path in write_files(report_files(facts, request.formats), request.out):
        say(one_line(str(path)))
    findings = judge(conditions, facts.measures)
    for finding in findings:
        say(f"{'FAIL' if finding.fails else 'ok'}: {one_line(finding.sentence)}")
    return HELD if any(finding.fails for finding in findings) else 0


def figure_lines(facts: Facts) -> Iterator[str]:
    """Yield each figure's name, what it is in this run, and what it means."""
    known = {measure.name: measure_text(measure) for measure in facts.measures}
    name_width, value_width = max(map(len, NAMES)), max([len(text) for text in known.values()] + [1])
    for name, what in NAMES.items():
        yield f"{name:{name_width}}  {known.get(name, '–'):{value_width}}  {what}"
