"""Everything this package raises on purpose, under one root.

A message says what was wrong, where, and what to do. Exceptions of libraries are chained as causes and never
reach a caller bare::

    MultiRetrieverError
    |- ParameterError (ValueError)          an argument of a call
    |  |- QueryError                        the query
    |  |- FilterError                       the filter
    |  `- ElementTypeError                  the element type
    |- ProblemsError (ValueError)           an input, with every problem and its place
    |  |- CatalogError
    |  |- FlowError
    |  |- DatasetError
    |  `- LeakageError
    |- InstructionError (ValueError)        templates of instructions
    |- MissingDependencyError (ImportError) an optional package
    |- EncoderError
    |  `- EncoderNotFoundError
    |- StoreError                           the index and its server
    |  |- IndexNotFoundError
    |  |- IndexLockedError
    |  |- IndexDamagedError
    |  |- EncoderMismatchError
    |  |- ShrunkenCatalogError
    |  `- ServerUnavailableError
    |- RecipeError (ValueError)             training
    |- TrainingError
    `- LLMError                             a chat model
       `- AnswerError

    MultiRetrieverWarning (UserWarning)
    `- QueryTruncatedWarning
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class MultiRetrieverError(Exception):
    """Root of every error that multiretriever raises on purpose."""


class MultiRetrieverWarning(UserWarning):
    """Root of every warning of multiretriever."""


class QueryTruncatedWarning(MultiRetrieverWarning):
    """A query was longer than the encoder's window; its oldest part was left out."""


class ParameterError(MultiRetrieverError, ValueError):
    """An argument has a wrong type or value (k, mode, weight, location, ...)."""


class QueryError(ParameterError):
    """A query is empty, not text, or too long."""


class FilterError(ParameterError):
    """A filter names an unknown field or has a value that cannot be compared."""


class ElementTypeError(ParameterError):
    """An element type is unknown, or its registration conflicts with another."""


class InstructionError(MultiRetrieverError, ValueError):
    """A set of instruction templates is not valid, or none of them fits."""


class MissingDependencyError(MultiRetrieverError, ImportError):
    """An optional dependency is not installed; the message holds the command that installs it."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in an input.

    Attributes:
        message: What is wrong and what to do.
        source: File, URL or other origin.
        line: Line in the source, from 1; None where the source has no lines.
        field: Path of the field, such as ``steps[3].inputs[0].name``.
    """

    message: str
    source: str
    line: int | None = None
    field: str | None = None

    def __str__(self) -> str:
        where = self.source if self.line is None else f"{self.source}:{self.line}"
        return f"{where}: {self.field}: {self.message}" if self.field else f"{where}: {self.message}"


class ProblemsError(MultiRetrieverError, ValueError):
    """An input was refused; ``problems`` lists everything that is wrong with it.

    Attributes:
        problems: All problems found, in the order of the source.
    """

    shown = 20
    subject = "input"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        lines = [f"  {problem}" for problem in self.problems[: self.shown]]
        if len(self.problems) > self.shown:
            lines.append(f"  ... and {len(self.problems) - self.shown} more")
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__("\n".join([f"{count} in the {self.subject}; nothing was loaded:", *lines]))


class CatalogError(ProblemsError):
    """A catalog was refused."""

    subject = "catalog"


class FlowError(ProblemsError):
    """A flow was refused."""

    subject = "flow"


class DatasetError(ProblemsError):
    """The queries, flows or settings of a dataset were refused."""

    subject = "dataset"


class LeakageError(ProblemsError):
    """An evaluated query appears word for word in a document that is searched."""

    subject = "evaluation"


class EncoderError(MultiRetrieverError):
    """An encoder could not be loaded or returned vectors that cannot be used."""


class EncoderNotFoundError(EncoderError):
    """There is no encoder at the given path."""


class RecipeError(MultiRetrieverError, ValueError):
    """A training recipe is not valid, or there is none of the name."""


class TrainingError(MultiRetrieverError):
    """Training cannot begin or go on; what was reached is kept."""


class StoreError(MultiRetrieverError):
    """The index could not be read or written."""


class IndexNotFoundError(StoreError):
    """There is no index at the location."""


class IndexLockedError(StoreError):
    """Another process has the index folder open."""


class IndexDamagedError(StoreError):
    """Files of the index are missing or were changed from outside."""


class EncoderMismatchError(StoreError):
    """The index was built with another encoder than the one given."""


class ShrunkenCatalogError(StoreError):
    """A sync would delete most of the index; refused unless it is allowed."""


class ServerUnavailableError(StoreError):
    """The Chroma server does not answer, or not in time."""


class LLMError(MultiRetrieverError):
    """A chat model could not be reached or returned nothing that can be used."""


class AnswerError(LLMError):
    """A chat model answered, and not in the form that it was held to."""
