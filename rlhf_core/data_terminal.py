"""What `rlhf data` shows; imports little, so that a large file is imported in little memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from rlhf_core.visible import one_line


def print_formats() -> None:
    """Print each format, what it can be read as and written from."""
    from rlhf_core.data.exchange.format import KINDS
    from rlhf_core.data.exchange.registry import FORMATS
    from rlhf_core.runs.foreign import FORMATS as CURVES

    console = Console(markup=False, emoji=False, highlight=False)
    for form in FORMATS.values():
        console.print(f"{form.name}: {form.about}")
        read = ", ".join(kind for kind in KINDS if form.reads(kind))
        console.print(Padding(f"read as {read}" if read else form.instead, (0, 0, 0, 4)))
        if written := [*form.write, *form.join]:
            console.print(Padding("written from " + ", ".join(written), (0, 0, 0, 4)))
    for name, curves in CURVES.items():
        console.print(f"{name}: {curves.title}")
        console.print(Padding("read as curves", (0, 0, 0, 4)))


@contextmanager
def share_bar(what: str) -> Iterator[Callable[[float], None]]:
    """Show on a terminal how much of one piece of work is done, and the time left; give what is told the share, 0 to 1."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("left"),
        TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task(one_line(what), total=1.0)
        yield lambda share: bar.update(task, completed=share)
