"""Reading queries with their answers: one JSON object a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydantic
from pydantic import ConfigDict

from multiretriever.core.datasets.example import GIVEN, Example
from multiretriever.core.errors import DatasetError, ElementTypeError, ParameterError, Problem
from multiretriever.core.problems import problems_of
from multiretriever.core.query import check_context, check_query
from multiretriever.core.registry import element_type
from multiretriever.core.sources.json_text import parse_lines
from multiretriever.core.textfile import read_text


class _Line(pydantic.BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    id: str = pydantic.Field(min_length=1)
    element_type: str
    query: str
    relevant: list[str] = pydantic.Field(min_length=1)
    context: dict[str, Any] = pydantic.Field(default_factory=dict)
    language: str = ""
    kind: str = GIVEN


def read_queries(path: str | Path, *, language: str = "en") -> Iterator[Example]:
    """Reads a ``queries.jsonl``.

    A line is an object with ``id``, ``element_type``, ``query`` and ``relevant``, and may have ``context``, ``language`` and
    ``kind``; other keys are left to other tools.

    Args:
        path: The file, or a folder of such files.
        language: Language of the queries that name none.

    Raises:
        DatasetError: Something is wrong in the file; the error lists every problem with its line, and nothing is given.
    """
    path = Path(path)
    examples: list[Example] = []
    problems: list[Problem] = []
    for file in sorted(path.glob("*.jsonl")) if path.is_dir() else [path]:
        text = read_text(file)
        if isinstance(text, Problem):
            problems.append(text)
            continue
        for number, document in parse_lines(text, str(file), problems):
            found = _example(document.value, str(file), number, language)
            if isinstance(found, Example):
                examples.append(found)
            else:
                problems.extend(found)
    if problems:
        raise DatasetError(problems)
    yield from examples


def _example(given: Any, source: str, number: int, language: str) -> Example | list[Problem]:
    try:
        value = _Line.model_validate(given)
        check_query(value.query)
        check_context(value.context)
        name = element_type(value.element_type).name
    except pydantic.ValidationError as error:
        return problems_of(error, source=source, line=lambda path: number)
    except ElementTypeError as error:
        return [Problem(str(error), source, number, "element_type")]
    except ParameterError as error:
        return [Problem(str(error), source, number)]
    relevant = tuple(dict.fromkeys(value.relevant))
    return Example(value.id, name, value.query, relevant, value.context, value.kind, value.language or language)
