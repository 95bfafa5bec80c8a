"""What all commands share: how errors, warnings and Ctrl-C reach the user, and the end of their help."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import typer
from typer.core import TyperCommand

from multiretriever.cli.output import note

INTERRUPTED = 130
# A line that is a backspace alone keeps the lines of its paragraph as they are.
_EPILOG = """\b
Examples:
{examples}

\b
Exit codes:
  0    done
  1    something is wrong with the data, or verify found something
  2    something is wrong with the command line
  3    the index or its server cannot be used
  130  interrupted (Ctrl-C)"""


def epilog(*examples: str) -> str:
    """Returns the end of a command's help: examples that work as written, and the exit codes."""
    return _EPILOG.format(examples="\n".join(f"  {example}" for example in examples))


class Command(TyperCommand):
    """A command whose errors are lines on standard error, and whose exit code says their kind."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command."""
        debug = any(context.params.get("debug") for context in (ctx, ctx.find_root()))
        with _interruptible(), _errors_reported(debug=debug), _warnings_shown():
            return super().invoke(ctx)


@contextmanager
def _interruptible() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        note("interrupted; nothing is lost: run the same command again")
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def _errors_reported(*, debug: bool) -> Iterator[None]:
    from multiretriever.core.errors import ElementTypeError, MultiRetrieverError

    try:
        yield
    except MultiRetrieverError as error:
        if debug:
            note("".join(traceback.format_exception(error)).rstrip())
        note(f"error: {error}")
        if isinstance(error, ElementTypeError):
            note("element types of your own are registered by --plugin MODULE")
        raise typer.Exit(exit_code(error)) from error


def exit_code(error: Exception) -> int:
    """Returns the exit code for an error."""
    from multiretriever.core.errors import ParameterError, ShrunkenCatalogError, StoreError

    # A catalog that shrank is wrong data, though it is the store that refuses it.
    kinds = ((ShrunkenCatalogError, 1), (ParameterError, 2), (StoreError, 3))
    return next((code for kind, code in kinds if isinstance(error, kind)), 1)


@contextmanager
def _warnings_shown() -> Iterator[None]:
    from multiretriever.core.errors import MultiRetrieverWarning

    shown: set[str] = set()

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not issubclass(category, MultiRetrieverWarning):
            show_other(message, category, filename, lineno, file, line)
        elif str(message) not in shown:
            shown.add(str(message))
            note(f"warning: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("always", MultiRetrieverWarning)
        show_other, warnings.showwarning = warnings.showwarning, show
        yield
