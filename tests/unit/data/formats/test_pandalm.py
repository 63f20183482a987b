"""PandaLM's votes from JSON and back, what is said of a file that is none, and the known agreement of the real file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.consensus import held_out, main
from rlhf_core.data.exchange.exporting import export_file
from rlhf_core.data.formats.pandalm import read_pandalm
from rlhf_core.errors import DataError
from rlhf_core.evaluation.agreement import agreement
from tests.ballot_factory import ballots
from tests.exchange_rows import ROWS, Row, export_refusal, exported, imported, write_rows
from tests.real_data import REAL_DATA, ROOT, needs

FILE = "pandalm/testset-v1.json"
ROW = {
    "idx": 4, "motivation_app": "Netflix", "cmp_key": "base-7b_tuned-7b", "instruction": "Say it.", "input": "",
    "response1": "A", "response2": "B", "annotator1": 2, "annotator2": 0, "annotator3": 1,
}  # fmt: skip
VOTE = ROWS["studio-votes"][0] | {"prompt_id": "q1"}
SWAPPED = {"a": VOTE["b"], "b": VOTE["a"]}


def written(folder: Path, *rows: object) -> Path:
    """The file with one row a line, the first on line 2."""
    (folder / "p.json").write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")
    return folder / "p.json"


def test_each_row_is_three_votes(tmp_path: Path):
    votes = read_pandalm(written(tmp_path, ROW, ROW | {"idx": 5, "response1": True}, ROW | {"idx": 6, "input": "it"}))
    assert votes["outcome"].tolist()[:3] == ["contender", "tie", "baseline"]
    assert votes["score"].tolist()[:3] == [1.0, 0.5, 0.0]
    assert votes["labeller"].tolist()[:3] == ["annotator1", "annotator2", "annotator3"]
    assert votes["item_id"].tolist() == [4] * 3 + [5] * 3 + [6] * 3
    assert votes["prompt_id"].tolist() == ["pandalm-001"] * 6 + ["pandalm-002"] * 3
    first = votes.iloc[0]
    assert (first["baseline"], first["contender"], first["category"]) == ("base-7b", "tuned-7b", "Netflix")
    assert (first["kind"], first["criterion"], bool(first["simulated"])) == ("item", "overall", False)
    assert set(ballots({"ana": "c"}).columns) == set(votes.columns)


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([ROW, ROW | {"idx": 5, "annotator2": 3}], r"p\.json:3: annotator2: Input should be 0, 1 or 2 \(found 3\)"),
        ([ROW | {"cmp_key": "base"}], r"p\.json:2: cmp_key: expected two names joined by _, found 'base'"),
        ([ROW | {"extra": 1}], r"p\.json:2: extra: Extra inputs are not permitted \(found 1\)"),
        (
            [ROW, ROW],
            r"p\.json:3: idx: 4 occurs twice\. Nothing was read from .*p\.json\. Expected PandaLM's testset-v1\.json",
        ),
        ([ROW, [ROW]], r"p\.json:3: Input should be a valid dictionary"),
        ([], r"p\.json: holds no judged pairs\. Expected PandaLM's"),
    ],
)
def test_what_is_no_judged_pair_is_named_with_its_line(tmp_path: Path, rows: list[object], problem: str):
    with pytest.raises(DataError, match=problem):
        read_pandalm(written(tmp_path, *rows))


def test_twenty_problems_at_most_are_listed(tmp_path: Path):
    with pytest.raises(DataError) as caught:
        read_pandalm(written(tmp_path, *[ROW | {"idx": i, "annotator1": 9} for i in range(30)]))
    assert str(caught.value).count("annotator1") == 20
    assert str(caught.value).endswith(
        f"… and 10 more\nNothing was read from {tmp_path / 'p.json'}. Expected PandaLM's testset-v1.json, a JSON list of objects"
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"[\n{,\n]", r"p\.json:2: not JSON: Expecting property name"),
        (b"{}", r"p\.json:1: idx: Field required"),
        (b'["caf\xe9"]', r"p\.json: byte 6 is not UTF-8\. Save the file as UTF-8"),
    ],
)
def test_what_is_no_list_is_refused(tmp_path: Path, content: bytes, problem: str):
    (tmp_path / "p.json").write_bytes(content)
    with pytest.raises(DataError, match=problem):
        read_pandalm(tmp_path / "p.json")


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"q\.json: no such file\. Check the path"):
        read_pandalm(tmp_path / "q.json")


def by(*verdicts: tuple[str, str], **fields: object) -> list[Row]:
    """Votes on one pair: who said what."""
    return [VOTE | {"labeller": who, "verdict": verdict} | fields for who, verdict in verdicts]


def test_three_peoples_votes_on_a_pair_are_one_row_of_pandalm(tmp_path: Path) -> None:
    """Contenders stand in the order of their names: `a` of cy's vote is tuned, so that her a is the second."""
    cy = VOTE | {"labeller": "cy", "verdict": "a"} | SWAPPED
    rows, left_out = exported(
        tmp_path,
        "pandalm",
        *by(("ben", "both_bad"), ("ana", "a")),
        cy,
        *by(("cy", "tie"), ("ana", "b"), ("ben", "b"), prompt_id="q2", category="physics"),
    )
    pair = {
        "instruction": "What boils at 100 °C?", "input": "", "cmp_key": "base_tuned", "response1": "Fire.", "response2": "Water.",
    }  # fmt: skip
    assert rows == [
        pair | {"idx": 0, "motivation_app": "", "annotator1": 1, "annotator2": 0, "annotator3": 2},
        pair | {"idx": 1, "motivation_app": "physics", "annotator1": 2, "annotator2": 2, "annotator3": 0},
    ]
    assert left_out == []
    verdicts = [vote["verdict"] for vote in imported(tmp_path / "out.jsonl", "votes", tmp_path / "back.jsonl")[1]]
    assert verdicts == ["a", "tie", "b", "b", "b", "tie"]


def test_what_pandalm_cannot_hold_is_left_out_and_told(tmp_path: Path) -> None:
    three = [("ana", "a"), ("ben", "a"), ("cy", "b")]
    rows, left_out = exported(
        tmp_path,
        "pandalm",
        *by(*three),
        *by(("ana", "b")),  # a second time
        *by(("ana", "a"), ("ben", "a"), prompt_id="q2"),  # without cy
        *by(("gpt-4", "a"), automatic=True),
        *by(*three, a={"contender": "base_2", "text": "Fire."}),
    )
    assert [[row[f"annotator{n}"] for n in (1, 2, 3)] for row in rows] == [[1, 1, 2]]
    assert sorted(left_out) == [
        "1 left out: a model judged, and PandaLM's annotators are people",
        "1 left out: the labeller judged the pair before",
        "2 left out: not all three people judged the pair",
        "3 left out: a contender's name has a _, which stands between the two names of `cmp_key`",
    ]


def test_pandalm_asks_for_three_people(tmp_path: Path) -> None:
    assert export_refusal(tmp_path, "pandalm", *by(("ana", "a"), ("ben", "a"))) == (
        "PandaLM's pairs are judged by the same three people (found ['ana', 'ben']). Export the votes of three labellers"
    )
    assert 'holds nothing that pandalm can hold (found "1 left out: a model judged' in export_refusal(
        tmp_path, "pandalm", *by(("gpt-4", "a"), automatic=True)
    )


def test_a_name_that_ends_in_json_is_a_list_of_what_several_votes_make(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "ours.jsonl", by(("ana", "a"), ("ben", "a"), ("cy", "b")))
    about = export_file(source, tmp_path / "out.json", "pandalm")
    (row,) = json.loads((tmp_path / "out.json").read_text())
    assert row["idx"] == 0 and (about.read, about.written) == (3, 1)


@needs(FILE)
def test_the_known_agreement_comes_out():
    # 879 items are unanimous and 120 are two to one, 2 each: D_o = 240/2997. 326 ties, 1255 ones, 1416 twos:
    # D_e = (2997² − 326² − 1255² − 1416²)/(2997·2996) = 0.58978; α = 1 − 0.08008/0.58978 = 0.86422
    found = agreement(read_pandalm(REAL_DATA / FILE))["overall"]
    assert (found.items, found.labellers, found.votes, found.problems) == (999, 3, 2997, ())
    assert found.alpha is not None and found.alpha.value == pytest.approx(0.864, abs=5e-4)
    assert found.alpha.clusters == 170
    shown = f"α = {found.alpha.value:.4f} [{found.alpha.low:.3f}, {found.alpha.high:.3f}]"
    assert shown in (ROOT / "docs" / "consensus.md").read_text(encoding="utf-8")


@needs(FILE)
def test_the_page_shows_what_the_command_prints(capsys: pytest.CaptureFixture[str]):
    assert main([str(REAL_DATA / FILE)]) == 0
    printed = capsys.readouterr().out.strip()
    assert len(printed.splitlines()) == 6
    assert printed in (ROOT / "docs" / "consensus.md").read_text(encoding="utf-8")


def test_the_one_held_out_is_compared_with_the_others():
    # Others c c, c b, t t, b b: c, split (tie), t, b against ana's c t c b: right, right, wrong, right.
    found = held_out(ballots({"ana": "ctcb", "ben": "cctb", "cy": "cbtb"}), "ana", "majority")
    assert found["right"].tolist() == [1, 1, 0, 1]
    assert found["split"].tolist() == [False, True, False, False]
    assert found["prompt_id"].tolist() == ["p0", "p1", "p2", "p3"]
