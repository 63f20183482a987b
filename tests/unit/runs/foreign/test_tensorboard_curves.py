"""TensorBoard event files: every point, what was logged again, folders of runs, and damage that is named."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlhf_core.errors import DataError
from rlhf_core.runs.foreign import read_curves
from rlhf_core.runs.foreign.records import masked_checksum
from tests.event_files import restart, simple, tensor, write_events


def test_every_point_is_read_at_its_step_and_time(tmp_path: Path):
    """12,000 of a tag: TensorBoard itself keeps 1000 of them by default."""
    write_events(tmp_path, [simple(n, 1e9 + n, a=n / 4, b__c=-n) for n in range(12_000)])
    rows = read_curves(tmp_path)["."].rows
    assert rows.columns.tolist() == ["step", "time", "a", "b/c"]
    np.testing.assert_array_equal(rows["step"], np.arange(12_000))
    np.testing.assert_array_equal(rows["time"], 1e9 + np.arange(12_000))
    np.testing.assert_array_equal(rows["a"], np.arange(12_000) / 4)  # quarters are exact in 32 bits
    np.testing.assert_array_equal(rows["b/c"], -np.arange(12_000))


def test_the_points_are_those_of_tensorboards_own_reader(tmp_path: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    rng = np.random.default_rng(0)
    events = [simple(int(n), 1e9 + n, x=float(rng.normal())) for n in np.sort(rng.integers(0, 40, 60))]
    write_events(tmp_path, [*events, *(tensor(n, 2e9, "y", n / 2, "scalars" if n == 3 else "") for n in range(3, 9))])
    theirs = EventAccumulator(str(tmp_path), size_guidance={"scalars": 0, "tensors": 0}).Reload()
    rows = read_curves(tmp_path)["."].rows
    ours = [(step, value) for step, value in zip(rows["step"], rows["x"], strict=True) if not np.isnan(value)]
    assert ours == [(event.step, event.value) for event in theirs.Scalars("x")]
    wanted = [(event.step, event.tensor_proto.float_val[0]) for event in theirs.Tensors("y")]
    assert [(s, y) for s, y in zip(rows["step"], rows["y"], strict=True) if not np.isnan(y)] == wanted


def test_what_was_logged_again_after_a_restart_is_read_once(tmp_path: Path):
    """Steps 0–3, then a second file of a run that went on from step 2: 2 and 3 of the first file were logged again."""
    write_events(tmp_path, [simple(n, 100.0 + n, a=n) for n in range(4)])
    write_events(tmp_path, [restart(2, 200.0), *(simple(n, 200.0 + n, a=10 * n) for n in (2, 3, 4))])
    rows = read_curves(tmp_path)["."].rows
    assert rows["step"].tolist() == [0, 1, 2, 3, 4]
    assert rows["a"].tolist() == [0, 1, 20, 30, 40]


def test_each_folder_is_a_run_and_what_is_no_scalar_is_said(tmp_path: Path):
    write_events(tmp_path / "one", [simple(1, 5.0, a=1.5), tensor(1, 5.0, "note", 1.0, "text")])
    write_events(tmp_path / "deep" / "two", [tensor(7, 5.0, "b", 2.5)])
    runs = read_curves(tmp_path)
    assert sorted(runs) == ["deep/two", "one"]
    assert runs["one"].rows.drop(columns="time").to_dict("records") == [{"step": 1, "a": 1.5}]
    assert runs["one"].left_out == ("note: text, no numbers to draw",)
    assert runs["deep/two"].rows["b"].tolist() == [2.5]


def test_two_values_of_a_tag_at_one_step_are_both_kept(tmp_path: Path):
    write_events(tmp_path, [simple(1, 9.0, a=1), simple(1, 8.0, b=5), simple(1, 10.0, a=2)])
    rows = read_curves(tmp_path)["."].rows
    assert rows["step"].tolist() == [1, 1]
    assert rows["time"].tolist() == [8.0, 10.0]  # of the earliest value in the row
    assert rows["a"].tolist() == [1, 2]
    np.testing.assert_array_equal(rows["b"], [5, np.nan])


def test_a_last_record_that_is_not_whole_is_left_out_and_said(tmp_path: Path):
    file = write_events(tmp_path, [simple(n, 1.0, a=n) for n in range(5)])
    file.write_bytes(file.read_bytes()[:-3])
    series = read_curves(file)["."]
    assert series.rows["a"].tolist() == [0, 1, 2, 3]
    assert series.left_out == (f"{file.name}: its last record is not whole and was left out",)


@pytest.mark.parametrize("where", ["length", "record"])
def test_a_damaged_record_is_named_not_passed_over(tmp_path: Path, where: str):
    """Records: the version, then five events. A byte of the fourth record is flipped."""
    file = write_events(tmp_path, [simple(n, 1.0, a=n) for n in range(5)])
    content, starts, at = bytearray(file.read_bytes()), [], 0
    while at < len(content):
        starts.append(at)
        at += 16 + struct.unpack_from("<Q", content, at)[0]
    content[starts[3] + (8 if where == "length" else 14)] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError, match=rf"byte {starts[3]}: record 4 is damaged: its checksum does not match"):
        read_curves(file)


def test_a_file_that_is_none_and_one_without_scalars_say_so(tmp_path: Path):
    other = tmp_path / "events.out.tfevents.1"
    other.write_bytes(b"hello, this is no event file, is it?")
    with pytest.raises(DataError, match="holds no scalars"):  # what looks like a torn record is left out
        read_curves(other)
    other.write_bytes(b"")
    with pytest.raises(DataError, match=r"holds no scalars\. Name the folder that training was told to log to"):
        read_curves(other)


def test_the_checksum_is_that_of_the_standard():
    """CRC-32C of 32 zero bytes is 8a9136aa (RFC 3720, B.4); masked: rotated right by 15 bits plus a282ead8."""
    crc = 0x8A9136AA
    assert masked_checksum(bytes(32)) == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@given(st.binary(max_size=80))
def test_the_checksum_is_that_of_tensorboard(content: bytes):
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    assert masked_checksum(content) == masked_crc32c(content)
