"""Progress of long work, on standard error. Bars go when the work is done; rich is loaded only where one is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

OnProgress: TypeAlias = Callable[[str, int, "int | None"], object]
"""Called with what is done, how much of it so far, and of how much; None where that is not known."""


@contextmanager
def bars(*, shown: bool) -> Iterator[OnProgress]:
    """Yields a function that shows a bar for each kind of work; one that does nothing where none are to be shown."""
    if not shown:
        yield lambda what, done, total: None
        return
    # It takes as long to import as the rest of the core.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield show


@contextmanager
def counted(what: str, total: int | None = None, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """Shows how much of one kind of work is done while the block runs; the yielded function is called with how much more is."""
    done = 0
    with bars(shown=shown) as show:

        def advance(count: int) -> None:
            nonlocal done
            done += count
            show(what, done, total)

        if total is not None:
            advance(0)
        yield advance
