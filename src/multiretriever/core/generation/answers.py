"""Reading what a chat model answered: JSON or YAML, bare or in a fence, checked against a pydantic model."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import pydantic

from multiretriever.core.errors import Problem
from multiretriever.core.generation.dialogue import Reading
from multiretriever.core.problems import problems_of
from multiretriever.core.sources.json_text import parse_json
from multiretriever.core.yaml_io import parse_yaml

_FENCE = re.compile(r"```[a-zA-Z]*[ \t]*\n(.*?)```", re.DOTALL)
_SOURCE = "answer"

ModelT = TypeVar("ModelT", bound=pydantic.BaseModel)


def fenced(text: str) -> str:
    """Returns what stands in the first fence of an answer; the whole answer where there is none."""
    match = _FENCE.search(text)
    return (match.group(1) if match else text).strip()


def read_answer(
    text: str, schema: type[ModelT], faults: Callable[[ModelT], tuple[str, ...]] = lambda value: ()
) -> Reading[ModelT]:
    """Reads an answer as a pydantic model.

    JSON and YAML are read by the loaders that catalogs are read by: no aliases, no duplicate keys, bounded depth.

    Args:
        text: The answer.
        schema: Its form.
        faults: Says what is wrong with an answer that has the form.
    """
    value, problems = _parse(fenced(text))
    if problems:
        return Reading(None, tuple(str(item) for item in problems))
    try:
        answer = schema.model_validate(value)
    except pydantic.ValidationError as error:
        return Reading(None, tuple(str(item) for item in problems_of(error, source=_SOURCE)))
    return Reading(answer, faults(answer))


def _parse(text: str) -> tuple[Any, list[Problem]]:
    if text.startswith("{") and not text.startswith("{{"):
        document = parse_json(text, _SOURCE)
        return (None, document) if isinstance(document, list) else (document.value, [])
    documents = parse_yaml(text, _SOURCE)
    if isinstance(documents, Problem):
        return None, [documents]
    if len(documents) != 1:
        return None, [Problem(f"one JSON or YAML document is due, {len(documents)} are there", _SOURCE)]
    return documents[0].value, []
