"""Token files and the windows cut from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rlhf_core.data.tokens import Windows, write_tokens


def test_a_file_begins_and_every_document_ends_with_eos(tmp_path: Path) -> None:
    assert write_tokens(tmp_path / "x.ids", [[5, 6], [], [7]], eos_id=2) == 7
    assert Windows.open(tmp_path / "x.ids", 3, 9).tokens.tolist() == [2, 5, 6, 2, 2, 7, 2]
    assert (tmp_path / "x.ids").stat().st_size == 28  # four bytes a token


def test_windows_by_hand() -> None:
    """Tokens 0 … 7 and a context of 3: 7 targets, two windows of 3 targets and one of 1."""
    windows = Windows(np.arange(8, dtype=np.int32), 3, 0)
    assert [w.tolist() for w in windows] == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7]]
    assert (len(windows), windows.targets) == (3, 7)


@pytest.mark.parametrize(("tokens", "context"), [(2, 4), (9, 4), (10, 4), (13, 4), (14, 1)])
def test_every_token_but_the_first_is_predicted_exactly_once(tokens: int, context: int) -> None:
    windows = Windows(np.arange(tokens, dtype=np.int32), context, 0)
    assert [token for window in windows for token in window[1:].tolist()] == list(range(1, tokens))
    assert all(2 <= len(window) <= context + 1 for window in windows)
    assert all(len(window) == context + 1 for window in list(windows)[:-1])


def test_a_window_outside_is_an_index_error() -> None:
    windows = Windows(np.arange(8, dtype=np.int32), 3, 0)
    for n in (3, -1):
        with pytest.raises(IndexError, match=f"window {n} of 3"):
            windows[n]
