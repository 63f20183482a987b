"""Every figure is the same in all formats, and two reports of the same inputs are the same but for their one date."""

from __future__ import annotations

import html
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rlhf_core.report.exports import FORMATS, report_files
from rlhf_core.report.facts import build_facts
from rlhf_core.report.measures import NAMES, measure_text
from rlhf_core.report.parts import Facts
from tests.report_reader import exact_figures, pdf_text, shown_figures
from tests.run_factory import vote_frame, write_run

ROOT = Path(__file__).resolve().parents[3]
WORDS = ("report.html", "report.md", "README.md", "report.pdf")
NUMBERS = ("report.json", "csv/measures.csv", "parquet/measures.parquet", "README.md")


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """The facts of a run that has every figure but the preference at equal length, for which it has too few prompts."""
    return build_facts(
        write_run(tmp_path_factory.mktemp("runs") / "demo", votes="simulated", refusals=True), vote_frame()
    )


@pytest.fixture(scope="module")
def files(facts: Facts) -> dict[str, bytes]:
    """The report in every format."""
    return report_files(facts)


def test_the_run_has_every_figure_but_one(facts: Facts):
    assert set(NAMES) - {measure.name for measure in facts.measures} == {"win_rate_equal_length"}


@pytest.mark.parametrize("name", WORDS)
def test_what_people_read_shows_every_figure_the_same(facts: Facts, files: dict[str, bytes], name: str):
    assert shown_figures(name, files[name]) == {measure.name: measure_text(measure) for measure in facts.measures}


@pytest.mark.parametrize("name", NUMBERS)
def test_what_machines_read_holds_every_figure_exactly(facts: Facts, files: dict[str, bytes], name: str):
    assert exact_figures(name, files[name]) == {m.name: (m.value, m.low, m.high) for m in facts.measures}


def test_figures_by_hand(facts: Facts, files: dict[str, bytes]):
    # 18 wins, 3 losses, 2 ties, 1 both bad: (18 + 1.5)/24. Gains over 12 prompts, two of them losses.
    found = exact_figures("report.json", files["report.json"])
    assert found["win_rate"][0] == 19.5 / 24 and found["ties"][0] == 2 / 24 and found["votes"] == (24, None, None)
    assert found["prompts_worse"][0] == 2 / 12 and found["over_refusal"] == (0.16, 0.083, 0.285)
    shown = shown_figures("report.pdf", files["report.pdf"])
    assert shown["win_rate"] == "81.2% [52.3, 94.5]" and shown["kl"] == "6.4 [5.1, 7.7]"
    assert shown["over_refusal_difference"] == "+12.0 points [2.0, 22.0]"


@pytest.mark.parametrize("name", WORDS)
def test_verdict_caveats_limits_and_hashes_stand_in_what_people_read(facts: Facts, files: dict[str, bytes], name: str):
    text = pdf_text(files[name]) if name.endswith(".pdf") else html.unescape(files[name].decode())
    plain = text.replace("\\", "").replace("\u200b", "")
    for said in (facts.verdict, *facts.caveats, *facts.limitations, *(row[2] for row in facts.provenance.rows)):
        assert said in plain, said
    for said in ("Method", "Data and labellers", "Limitations", "reproduce", facts.provenance.made):
        assert said in plain, said


def test_the_recorded_run_is_reported_in_seconds():
    start = time.process_time()  # processor time, which a busy machine does not stretch
    files = report_files(build_facts(ROOT / "sample_data" / "recorded_run"))
    assert len(files) > 30 and time.process_time() - start < 10


def build(run: Path, out: Path, seed: str, epoch: str) -> dict[str, bytes]:
    """Build a report in a process of its own."""
    environment = os.environ | {"PYTHONHASHSEED": seed, "SOURCE_DATE_EPOCH": epoch, "TZ": f"UTC{seed}"}
    command = [sys.executable, "-m", "rlhf_core", "report", str(run), "--out", str(out)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=120)
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def test_two_processes_write_the_same_bytes_and_another_day_changes_the_date_alone(tmp_path: Path):
    run = write_run(tmp_path / "demo", votes="simulated", refusals=True)
    first, second = (build(run, tmp_path / seed, seed, "1790000000") for seed in "12")
    assert len(first) > 2 * len(FORMATS) and first == second
    later = build(run, tmp_path / "3", "3", "1800000000")
    assert later.keys() == first.keys()
    # 1790000000 is 2026-09-21 14:13:20 UTC, 1800000000 is 2027-01-15 08:00:00 UTC.
    dates = (
        ("2026-09-21T14:13:20+00:00", "2027-01-15T08:00:00+00:00"),
        ("2026-09-21", "2027-01-15"),
        ("1790000000", "1800000000"),
    )
    changed = {name for name in first if first[name] != later[name]}
    assert changed == {*WORDS, "report.json", "csv/report.csv", "parquet/report.parquet"}
    for name in changed - {"parquet/report.parquet"}:
        before, after = ((pdf_text(f[name]) if name.endswith("pdf") else f[name].decode()) for f in (first, later))
        for old, new in dates:
            before = before.replace(old, new)
        assert before == after, name
