"""Progress bars of commands."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias


@contextmanager
def flows_read(*, shown: bool) -> Iterator[Callable[[object], None]]:
    """Shows how many flows are read while the block runs; the yielded function is called with each flow."""
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
    """Shows how many of ``total`` things are done while the block runs; the yielded function is called after each."""
    if not shown:
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


# Progress on standard error.


@contextmanager
def progress_bar(name: str, total: int, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """Shows a bar that goes when it is done; yields a function that is called with how many more of the total are done."""
    if not shown:
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task(name, total=total)
        yield lambda count: bar.advance(task, count)


# Bars on standard error for long work.

OnProgress: TypeAlias = Callable[[str, int, int], object]
"""Called with what is done, how much of it, and of how much."""


@contextmanager
def bars(*, shown: bool) -> Iterator[OnProgress]:
    """Yields a function that shows a bar for each kind of work; one that does nothing where none are to be shown."""
    if not shown:
        yield lambda what, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield show
