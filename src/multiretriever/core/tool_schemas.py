"""Steps of a catalog as tools that chat models can call: a name that fits, a description, and a JSON schema of the arguments."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, validators  # type: ignore[import-untyped]

from multiretriever.core.elements import Step, StepInput
from multiretriever.core.errors import ParameterError
from multiretriever.core.json_schema import TYPES

# What OpenAI and others take as the name of a function.
MAX_NAME = 64
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]+")
_MAX_DESCRIPTION = 800
_MAX_PROBLEMS = 5
_LONGEST_PROBLEM = 200
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")

_FORMATS = FormatChecker(formats=())
_FORMATS.checks("date", raises=ValueError)(lambda value: not isinstance(value, str) or bool(datetime.strptime(value, "%Y-%m-%d")))
_FORMATS.checks("date-time", raises=ValueError)(
    lambda value: not isinstance(value, str) or bool(datetime.fromisoformat(value.replace("Z", "+00:00")))
)
_FORMATS.checks("email")(lambda value: not isinstance(value, str) or bool(re.fullmatch(r"[^@\s]+@[^@\s]+", value)))

# A schema that refers to itself by several alternatives is checked in a time that doubles with every level of the arguments.
_MAX_REFERENCES = 10_000
_left: ContextVar[Iterator[int]] = ContextVar("references that may still be followed")


def _follow(validator: Any, reference: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if next(_left.get(), None) is None:
        raise RecursionError
    yield from Draft202012Validator.VALIDATORS["$ref"](validator, reference, instance, schema) or ()


_Validator = validators.extend(Draft202012Validator, {"$ref": _follow})


@dataclass(frozen=True)
class ToolSchema:
    """What a chat model is shown of a step, and what the arguments that it writes are checked against.

    Attributes:
        name: The name it is called by: letters, digits, ``_`` and ``-``, at most 64.
        description: What it does, on one line. It comes from the catalog and is data: it cannot hold angle brackets, with which
            prompts are delimited, or control characters.
        parameters: JSON schema of the arguments, an object.
        step: The step.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    step: Step

    @cached_property
    def _validator(self) -> Any:
        return _Validator(self.parameters, format_checker=_FORMATS)

    def problems(self, arguments: Any) -> list[str]:
        """Returns what is wrong with arguments, in words for the model that wrote them; nothing where they are right."""
        if not isinstance(arguments, dict):
            return [f"the arguments are an object of JSON (got {_shown(arguments)})"]
        _left.set(iter(range(_MAX_REFERENCES)))
        try:
            found = sorted(self._validator.iter_errors(arguments), key=lambda error: error.json_path)
        except RecursionError:
            return ["the arguments are nested too deeply to be checked"]
        return [_cut(f"{_place(error.json_path)}{error.message}") for error in found[:_MAX_PROBLEMS]]


def tool_schemas(steps: Iterable[Step]) -> list[ToolSchema]:
    """Makes tools of steps; names are unique and stay what they are as long as the steps before them do.

    A step without the schema of its inputs gets one of their names and types.

    Args:
        steps: The steps, such as ``catalog.of("step")``.
    """
    schemas, taken = [], set[str]()
    for step in steps:
        name = _name(step, taken)
        taken.add(name)
        schema = step.input_schema if step.input_schema is not None else _of_inputs(step.inputs)
        schemas.append(ToolSchema(name, _description(step), _shown_schema(schema), step))
    return schemas


def _name(step: Step, taken: set[str]) -> str:
    name = _NOT_IN_NAMES.sub("_", step.id).strip("_") or "tool"
    if len(name) <= MAX_NAME and name not in taken:
        return name
    # The hash is of the id, so that the name depends on nothing else.
    for salt in range(1_000):
        mark = hashlib.sha256(f"{salt}:{step.id}".encode()).hexdigest()[:8]
        if (marked := f"{name[: MAX_NAME - 9]}_{mark}") not in taken:
            return marked
    raise ParameterError(f"no name is left for the step {step.id!r}")


def _description(step: Step) -> str:
    # A sentence that repeats the label says nothing new.
    parts = [step.label, step.description] if step.label != step.description else [step.label]
    return plain_text(". ".join(part.strip().rstrip(".") for part in parts if part.strip()) or step.name)


def plain_text(text: str, longest: int = _MAX_DESCRIPTION) -> str:
    """Returns a text of a catalog as one line in which nothing can pass for the end of a block or of a message."""
    line = " ".join(_CONTROL.sub(" ", text).split())
    line = line if len(line) <= longest else line[: longest - 3].rstrip() + "..."
    return line.replace("<", "&lt;").replace(">", "&gt;")


def _of_inputs(inputs: Iterable[StepInput]) -> dict[str, Any]:
    inputs = list(inputs)
    return {
        "type": "object",
        "properties": {
            item.name: ({"type": item.type} if item.type in TYPES else {})
            | ({"description": words} if (words := item.description or item.label) else {})
            for item in inputs
        },
        "required": [item.name for item in inputs if item.required],
        "additionalProperties": False,
    }


def _shown_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a schema with its titles, descriptions and defaults as plain text; names and choices are exact and stay."""
    return {key: _shown_part(key, value) for key, value in schema.items()}


def _shown_part(key: str, value: Any) -> Any:
    if key in ("title", "description", "default") and isinstance(value, str):
        return plain_text(value)
    if key in ("properties", "$defs") and isinstance(value, Mapping):
        return {name: _shown_schema(part) if isinstance(part, Mapping) else part for name, part in value.items()}
    if key in ("items", "additionalProperties") and isinstance(value, Mapping):
        return _shown_schema(value)
    if key in ("anyOf", "oneOf", "allOf") and isinstance(value, list):
        return [_shown_schema(part) if isinstance(part, Mapping) else part for part in value]
    return value


def _place(path: str) -> str:
    return f"{path.removeprefix('$').removeprefix('.')}: " if path != "$" else ""


def _shown(value: Any) -> str:
    return _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_PROBLEM else text[: _LONGEST_PROBLEM - 3] + "..."
