"""Lines that repeat an earlier one are taken out, whatever part of the digests is sorted at once."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlhf_core.data.exchange import repeats
from rlhf_core.data.exchange.repeats import Repeats


@pytest.mark.parametrize("part", [1, 3, 1000])
@given(numbers=st.lists(st.integers(0, 12), max_size=40))
def test_the_first_of_each_stays_in_its_order(part: int, numbers: list[int]) -> None:
    lines = [b"%d with a text that is %d\n" % (n, n * 10**n) for n in numbers]
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        patch.setattr(repeats, "PART", part)
        with (Path(folder) / "x").open("w+b") as file, closing(Repeats()) as seen:
            file.writelines(lines)
            seen.add(n.to_bytes(8, "little") for n in numbers[:5])
            seen.add(n.to_bytes(8, "little") for n in numbers[5:])
            taken = seen.take_out(file)
        assert (Path(folder) / "x").read_bytes().splitlines(keepends=True) == list(dict.fromkeys(lines))
    assert taken == len(numbers) - len(set(numbers))
