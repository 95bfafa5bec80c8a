"""Progress bars of commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def flows_read(*, shown: bool) -> Iterator[Callable[[object], None]]:
    """Shows how many flows are read while the block runs; what it gives is called with each flow."""
    if not shown:
        yield lambda flow: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("flows read, in two passes"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("flows", total=None)
        yield lambda flow: bar.advance(task)


@contextmanager
def counted(what: str, total: int, *, shown: bool) -> Iterator[Callable[[], None]]:
    """Shows how many of ``total`` things are done while the block runs; what it gives is called after each."""
    if not shown:
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)
