"""Token ids in a file, read through a memory map as windows of one length. Four bytes a token, however long the text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

IDS = np.dtype("<i4")


def write_tokens(path: Path, documents: Iterable[Sequence[int]], eos_id: int) -> int:
    """Write eos, then every document with eos behind it, and return the number of tokens.

    The eos at the very start lets the first token of the first document be predicted like any other.
    """
    count = 1
    with path.open("wb") as file:
        np.array([eos_id], dtype=IDS).tofile(file)
        for ids in documents:
            np.array([*ids, eos_id], dtype=IDS).tofile(file)
            count += len(ids) + 1
    return count


class Windows(Sequence[NDArray[np.int64]]):
    """A stream of tokens t_0 … t_N cut so that each but the first is predicted exactly once.

    Window n is t_{nC} … t_{nC+C}: context + 1 tokens, the last of which begins the next window. The last window is as
    short as what is left. `text_bytes` is the length of the text behind the tokens, in UTF-8.
    """

    def __init__(self, tokens: NDArray[np.int32], context: int, text_bytes: int) -> None:
        self.tokens, self.context, self.text_bytes = tokens, context, text_bytes

    @classmethod
    def open(cls, path: Path, context: int, text_bytes: int) -> Windows:
        """Return the windows of a file that `write_tokens` wrote; the file stays on disk."""
        return cls(np.memmap(path, dtype=IDS, mode="r"), context, text_bytes)

    @property
    def targets(self) -> int:
        """How many tokens are predicted over all windows."""
        return len(self.tokens) - 1

    def __len__(self) -> int:
        return -(-self.targets // self.context)

    def __getitem__(self, n: int) -> NDArray[np.int64]:  # pyright: ignore[reportIncompatibleMethodOverride]
        if not 0 <= n < len(self):
            raise IndexError(f"window {n} of {len(self)}")
        start = n * self.context
        return np.array(self.tokens[start : start + self.context + 1], dtype=np.int64)
