"""`trainer_state.json`, Trackio's database, how a format is told, and what metrics mean."""

from __future__ import annotations

import json
import math
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from rlhf_core.errors import DataError
from rlhf_core.runs.directory import OTHER
from rlhf_core.runs.foreign import FORMATS, find_format, read_curves
from rlhf_core.runs.foreign.meaning import RENAMED, SIGNS, our_names, place
from rlhf_core.runs.metrics import REGISTRY
from rlhf_core.runs.reader import LOGGED_STAGES

STATE = """{"global_step": 4, "epoch": 1.0, "log_history": [
  {"step": 2, "epoch": 0.5, "loss": NaN, "learning_rate": 1e-4, "grad_norm": Infinity, "note": "warm"},
  {"step": 4, "epoch": 1.0, "loss": 1.5, "learning_rate": 5e-5},
  {"step": 4, "epoch": 1.0, "eval_loss": 1.75}
]}"""


def test_a_trainer_state_may_hold_bare_nan_and_has_no_times(tmp_path: Path):
    path = tmp_path / "trainer_state.json"
    path.write_text(STATE, encoding="utf-8")
    series = read_curves(path)["."]
    assert "time" not in series.rows
    first, second, third = series.rows.to_dict("records")
    assert math.isnan(first["loss"]) and first["grad_norm"] == math.inf and first["learning_rate"] == 1e-4
    # The epoch is logged twice at step 4, so there are two rows of that step; what was logged once stands in the first.
    assert (second["step"], second["loss"], second["eval_loss"]) == (4, 1.5, 1.75)
    assert (third["step"], third["epoch"]) == (4, 1.0)
    assert series.left_out == ("note: no number",)


def test_of_checkpoints_the_last_is_read_and_the_folder_itself_first(tmp_path: Path):
    for name, loss in (("checkpoint-9", 1.0), ("checkpoint-10", 2.0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "trainer_state.json").write_text(
            json.dumps({"log_history": [{"step": 1, "loss": loss}]}), encoding="utf-8"
        )
    assert read_curves(tmp_path)["."].rows["loss"].tolist() == [2.0]  # 10 comes after 9
    (tmp_path / "trainer_state.json").write_text('{"log_history": [{"step": 1, "loss": 3}]}', encoding="utf-8")
    assert read_curves(tmp_path)["."].rows["loss"].tolist() == [3.0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '{"log_history": [{"loss": 1}]}',
            r"log_history\[0\]: step: expected a whole number of 0 or more \(found None\)",
        ),
        ('{"log_history": [7]}', r"log_history\[0\]: expected an object \(found 7\)"),
        ('{"log_history": []}', r"holds no history\. Expected"),
        ('{"history": []}', r"log_history: expected a list"),
        ('{"log_history": [\n  {"step": 1,}\n]}', r"\.json:2: not JSON"),
        (
            '{"log_history": [{"step": 1, "\\ud800": 2}]}',
            r"holds half of a surrogate pair, '\\ud800', which is no text",
        ),
    ],
)
def test_what_is_wrong_in_a_trainer_state_is_said(tmp_path: Path, text: str, said: str):
    path = tmp_path / "state.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=said):
        read_curves(path)


def database(path: Path, rows: list[tuple], columns: str = "run_name, step, timestamp, metrics") -> Path:
    """Write a database as Trackio does."""
    with closing(sqlite3.connect(path)) as file, file:
        file.execute(f"CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, {columns})")
        file.executemany(f"INSERT INTO metrics ({columns}) VALUES ({', '.join('?' * len(rows[0]))})", rows)
    return path


def test_a_trackio_database_holds_a_run_for_each_name(tmp_path: Path):
    path = database(
        tmp_path / "demo.db",
        [
            ("a", 0, "1970-01-01T00:00:10+00:00", '{"loss": 1.5, "image": {"_type": "trackio.image"}}'),
            ("b", 0, "1970-01-01T00:00:11+00:00", '{"loss": 3}'),
            ("a", 1, "1970-01-01T00:00:12+00:00", '{"loss": "NaN", "lr": "Infinity", "ok": true}'),
        ],
    )
    runs = read_curves(path)
    assert runs["a"].rows["time"].tolist() == [10, 12]
    np.testing.assert_array_equal(runs["a"].rows["loss"], [1.5, np.nan])
    np.testing.assert_array_equal(runs["a"].rows["ok"], [np.nan, 1])
    assert runs["a"].left_out == ("image: no number",)
    assert runs["b"].rows["loss"].tolist() == [3]


def test_a_run_without_a_number_is_none(tmp_path: Path):
    rows = [("a", 0, "2026-01-01", '{"note": "x"}'), ("b", 0, "2026-01-01", '{"loss": 3}')]
    assert list(read_curves(database(tmp_path / "demo.db", rows))) == ["b"]
    with pytest.raises(DataError, match="holds no numbers"):
        read_curves(database(tmp_path / "empty.db", rows[:1]))


def test_two_runs_of_one_name_are_told_apart(tmp_path: Path):
    rows = [("x1", "a", 0, "2026-01-01T00:00:00", '{"loss": 1}'), ("x2", "a", 0, "2026-01-01T00:00:00", '{"loss": 2}')]
    path = database(tmp_path / "demo.db", rows, "run_id, run_name, step, timestamp, metrics")
    runs = read_curves(path)
    assert {name: runs[name].rows["loss"].tolist() for name in runs} == {"a": [1], "a (2)": [2]}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("a", "x", "2026-01-01", '{"a": 1}'), r"row 1: step: expected a whole number of 0 or more \(found 'x'\)"),
        (("a", 1, "noon", '{"a": 1}'), r"row 1: timestamp: expected Unix seconds or an ISO date and time"),
        (("a", 1, "2026-01-01", "{"), r"row 1: metrics: not JSON \(found '{'\)"),
        (("a", 1, "2026-01-01", "[1]"), r"row 1: metrics: expected an object \(found \[1\]\)"),
    ],
)
def test_what_is_wrong_in_a_database_is_said(tmp_path: Path, row: tuple, said: str):
    path = database(tmp_path / "demo.db", [row])
    with pytest.raises(DataError, match=said):
        read_curves(path)


def test_other_databases_and_torn_ones_are_refused(tmp_path: Path):
    path = database(tmp_path / "demo.db", [("a", 1)], "name, step")
    with pytest.raises(DataError, match=r"metrics: missing run_name, timestamp, metrics\. Expected a table metrics"):
        read_curves(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"not a readable database"):
        read_curves(path)


def test_the_format_is_told_by_the_content(tmp_path: Path):
    (tmp_path / "a.txt").write_text("step,loss\n1,2\n")
    (tmp_path / "b.txt").write_text(STATE)
    database(tmp_path / "c.txt", [("a", 1, "2026-01-01", "{}")])
    (tmp_path / "events.out.tfevents.1.host").write_bytes(b"")
    found = {path.name[:1]: find_format(path) for path in tmp_path.iterdir()}
    assert found == {"a": "csv", "b": "trainer-state", "c": "trackio", "e": "tensorboard"}
    assert set(found.values()) == FORMATS.keys()


def test_a_folder_of_both_or_of_nothing_is_not_guessed_at(tmp_path: Path):
    with pytest.raises(DataError, match=r"holds no curves\. Name the one file or folder to read, or its format"):
        read_curves(tmp_path)
    (tmp_path / "trainer_state.json").write_text(STATE)
    assert find_format(tmp_path) == "trainer-state"
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "events.out.tfevents.1").write_bytes(b"")
    with pytest.raises(DataError, match=r"holds TensorBoard files and trainer_state\.json"):
        read_curves(tmp_path)
    with pytest.raises(DataError, match="no such file or folder"):
        read_curves(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"unknown format \(found 'wandb'\)\. Formats: auto, tensorboard,"):
        read_curves(tmp_path, "wandb")


def test_every_name_they_have_for_ours_is_one_of_ours():
    assert {ours for names in RENAMED.values() for ours in names.values()} <= REGISTRY.keys()
    assert RENAMED.keys() == set(LOGGED_STAGES)
    assert SIGNS.keys() == set(LOGGED_STAGES)


@pytest.mark.parametrize(
    ("stage", "theirs", "ours"),
    [
        ("sft", "loss", "train/loss"),
        ("sft", "eval_loss", "eval/loss"),
        ("sft", "train/learning_rate", "optim/lr"),  # as the Trainer writes it to TensorBoard and W&B
        ("reward", "train/accuracy", None),
        ("reward", "eval_margin", "eval/margin"),
        ("ppo", "objective/kl", None),
        ("ppo", "train/objective/kl", "objective/kl"),
        ("ppo", "train/policy/approxkl_avg", "policy/approxkl"),
        ("ppo", "episode", "progress/episodes"),
        ("sft", "eval_accuracy", None),  # of tokens, which is not our accuracy of pairs
        ("sft", "num_tokens", None),
    ],
)
def test_names_that_mean_the_same_are_ours_and_others_stay(stage: str, theirs: str, ours: str | None):
    assert our_names([theirs], stage) == ({theirs: ours} if ours else {})


def test_two_names_for_one_of_ours_both_stay():
    assert our_names(["lr", "learning_rate", "loss"], "sft") == {"loss": "train/loss"}
    assert our_names(["train/loss", "loss"], "sft") == {}


@pytest.mark.parametrize(
    ("name", "metrics", "stage"),
    [
        (".", ["objective/kl", "loss/policy_avg"], "ppo"),
        ("x", ["train/objective/kl"], "ppo"),
        (".", ["loss", "mean_token_accuracy"], "sft"),
        (".", ["loss", "accuracy", "mean_reward"], "reward"),
        (".", ["loss", "rewards/chosen", "mean_token_accuracy"], OTHER),  # preference training is no stage of ours
        (".", ["train/loss"], OTHER),
        ("quickstart/sft", ["train/loss"], "sft"),
        ("quickstart/reward/tensorboard", ["train/loss"], "reward"),
    ],
)
def test_the_stage_is_told_by_what_is_logged_then_by_the_name(name: str, metrics: list[str], stage: str):
    assert place(name, metrics).stage == stage
    assert place(name, metrics, "reward").stage == "reward"


def test_a_run_is_called_by_its_path_without_the_stage():
    assert place("quickstart/sft", ["train/loss"]).run == "quickstart"
    assert place("quickstart/reward/member-1/tensorboard", ["train/loss"]).run == "quickstart-member-1"
    assert place(".", ["train/loss"]).told == "not told by what it logs"
