"""Checking tool calls: a tool that exists and was offered, with arguments that fit its JSON schema; nothing else is run.

The tools are the steps of a catalog, each with a name that chat models take, a description, and a schema of its arguments. What
is wrong with a call is said in words for the model that wrote it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal

from jsonschema import Draft202012Validator, FormatChecker, validators  # type: ignore[import-untyped]
from jsonschema.exceptions import UnknownType, ValidationError  # type: ignore[import-untyped]
from referencing import Registry
from referencing.exceptions import Unresolvable

from multiretriever.core.catalog import Catalog
from multiretriever.core.elements import Step, StepInput
from multiretriever.core.errors import CatalogError, MultiRetrieverError, ParameterError, Problem
from multiretriever.core.input_schema import TYPES, inlined_schema

_log = logging.getLogger(__name__)

Call = Callable[[Step, dict[str, Any]], Any]
AsyncCall = Callable[[Step, dict[str, Any]], Awaitable[Any]]
Fault = Literal["unknown", "not_offered", "arguments", "too_many", "failed"]

# What OpenAI and others take as the name of a function.
MAX_NAME = 64
MAX_RESULT = 20_000
# Frameworks read what there is of broken arguments in a time that grows with the square of their length.
MAX_ARGUMENTS = 16_000
_MAX_DESCRIPTION = 800
_MAX_SHOWN = 16 * 1024
_MAX_PROBLEMS = 5
_LONGEST_PROBLEM = 200
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]+")
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


def _multiple(validator: Any, step: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    # In exact numbers: 19.99 is a multiple of 0.01, and the division of the two floats is not whole.
    if validator.is_type(instance, "number") and (_exact(instance) / _exact(step)).denominator != 1:
        yield ValidationError(f"{instance!r} is not a multiple of {step}")


def _exact(number: float) -> Fraction:
    return Fraction(repr(number)) if isinstance(number, float) else Fraction(number)


# What a step keeps of alternatives may be less than their whole, so that more than one fits what fits one.
_KEYWORDS = {"$ref": _follow, "multipleOf": _multiple, "oneOf": Draft202012Validator.VALIDATORS["anyOf"]}
_Validator = validators.extend(Draft202012Validator, _KEYWORDS)


class OperationError(MultiRetrieverError):
    """Raised by whoever runs an operation when it is refused; the message goes to the chat model."""


class ToolCallError(MultiRetrieverError):
    """A tool call was refused, or failed; the message is for the chat model that wrote it.

    Attributes:
        fault: What kind of fault it is. Only of ``failed`` was anything run.
    """

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault: Fault = fault


@dataclass(frozen=True)
class ToolCall:
    """One call as a chat model wrote it.

    Attributes:
        id: What the answer to it refers to.
        name: Name of the tool.
        arguments: Its arguments; text where the model wrote no JSON that can be read.
    """

    id: str
    name: str
    arguments: Any


@dataclass(frozen=True)
class StepTool:
    """A step as a chat model is shown it, and the way to run it with arguments that were checked.

    Attributes:
        name: The name it is called by: letters, digits, ``_`` and ``-``, at most 64.
        description: What it does, on one line. It comes from the catalog and is data: it cannot hold angle brackets, with which
            prompts are delimited, or control characters.
        parameters: JSON schema of the arguments as the model is shown it: an object, without references and at most 16 kB.
            Arguments are checked against the whole schema that the step keeps; references out of it are never fetched.
        step: The step.
        call: Runs the step with arguments that were checked, and returns what JSON can hold.
        acall: Does so without blocking the event loop; None for ``call`` in a thread.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    step: Step
    call: Call
    acall: AsyncCall | None = None

    @cached_property
    def _validator(self) -> Any:
        # A registry of its own holds nothing but the schema: jsonschema's default opens the URLs and files that "$ref" names.
        return _Validator(_whole_schema(self.step), format_checker=_FORMATS, registry=Registry())

    def problems(self, arguments: Any) -> list[str]:
        """Returns what is wrong with arguments, in words for the model that wrote them; nothing where they are right."""
        if isinstance(arguments, str):
            return ["expected one object of JSON, got text that is not one"]
        if not isinstance(arguments, dict):
            return [_cut(f"expected one object of JSON, got {arguments!r}")]
        _left.set(iter(range(_MAX_REFERENCES)))
        try:
            # Python's JSON parser reads numbers that JSON does not have, and those that are too large for a float.
            json.dumps(arguments, allow_nan=False, default=str)
            found = sorted(self._validator.iter_errors(arguments), key=lambda error: error.json_path)
        except RecursionError:
            return ["the arguments are nested too deeply to be checked"]
        except (ValueError, OverflowError):
            return ["expected numbers of JSON, got NaN, an infinite one, or one with thousands of digits"]
        except (Unresolvable, UnknownType, re.error) as error:
            _log.warning("the schema of the tool %s cannot be used", self.name, exc_info=error)
            return ["the tool's schema refers to something that is not in it, or is not valid; no arguments can be checked"]
        return [_cut(f"{_place(error.json_path)}{error.message}") for error in found[:_MAX_PROBLEMS]]

    def run(self, arguments: Any) -> str:
        """Runs the step where the arguments fit, and returns the result as JSON, cut where it is too long.

        Raises:
            ToolCallError: The arguments do not fit, and nothing was run; or what runs the step failed.
        """
        given = self._checked(arguments)
        try:
            return _result(self.call(self.step, given))
        except Exception as error:  # whatever the client of the API raises
            raise self._failed(error) from error

    async def arun(self, arguments: Any) -> str:
        """Does ``run`` without blocking the event loop."""
        if self.acall is None:
            return await asyncio.to_thread(self.run, arguments)
        given = self._checked(arguments)
        try:
            return _result(await self.acall(self.step, given))
        except Exception as error:  # whatever the client of the API raises
            raise self._failed(error) from error

    def _checked(self, arguments: Any) -> dict[str, Any]:
        if problems := self.problems(arguments):
            raise ToolCallError("arguments", f"the arguments do not fit; nothing was run: {'; '.join(problems)}")
        return dict(arguments)

    def _failed(self, error: Exception) -> ToolCallError:
        _log.warning("the step %s failed", self.step.id, exc_info=error)
        # The text of an error that was not meant for the model may hold addresses and secrets.
        reason = plain_text(str(error)) if isinstance(error, OperationError) else type(error).__name__
        return ToolCallError("failed", f"the call failed: {reason}")


def step_tools(catalog: Catalog, call: Call, *, acall: AsyncCall | None = None) -> list[StepTool]:
    """Makes a tool of every step of a catalog; names are unique and stay what they are as long as the steps before them do.

    A step without the schema of its inputs gets one of their names and types.

    Args:
        catalog: The catalog, such as one of OpenAPI documents.
        call: Runs a step with arguments that were checked, and returns what JSON can hold.
        acall: Does so without blocking the event loop; None for ``call`` in a thread.

    Raises:
        CatalogError: The catalog has no step.
    """
    tools, taken = [], set[str]()
    for step in catalog.of("step"):
        name = _name(step, taken)
        taken.add(name)
        shown = _plain_schema(inlined_schema(_whole_schema(step), _MAX_SHOWN))
        tools.append(StepTool(name, _description(step), shown, step, call, acall))
    if not tools:
        raise CatalogError([Problem("expected steps to make tools of, got none", "catalog")])
    return tools


def check_call(call: ToolCall, tools: Mapping[str, StepTool], offered: Collection[str]) -> ToolCallError | None:
    """Returns what is wrong with a call, or None where it may be run.

    Args:
        call: The call.
        tools: All tools by name.
        offered: Names of the tools that the model was offered in this turn.
    """
    now = f"the tools that can be called now are {', '.join(offered) or '(none)'}"
    tool = tools.get(call.name)
    if tool is None:
        return ToolCallError("unknown", f"there is no tool {plain_text(call.name, 100)!r}; nothing was run; {now}")
    if call.name not in offered:
        return ToolCallError("not_offered", f"the tool {call.name!r} was not offered in this turn; nothing was run; {now}")
    if problems := tool.problems(call.arguments):
        return ToolCallError("arguments", f"the arguments do not fit; nothing was run: {'; '.join(problems)}")
    return None


def plain_text(text: str, longest: int = _MAX_DESCRIPTION) -> str:
    """Returns a text of a catalog as one line in which nothing can pass for the end of a block or of a message."""
    line = " ".join(_CONTROL.sub(" ", text).split())
    line = line if len(line) <= longest else line[: longest - 3].rstrip() + "..."
    return line.replace("<", "&lt;").replace(">", "&gt;")


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


def _whole_schema(step: Step) -> dict[str, Any]:
    """Returns the schema that arguments are checked against; the model is shown one that may be shorter."""
    return step.input_schema if step.input_schema is not None else _of_inputs(step.inputs)


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


def _plain_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a schema with its titles, descriptions and defaults as plain text; names and choices are exact and stay."""
    return {key: _plain_part(key, value) for key, value in schema.items()}


def _plain_part(key: str, value: Any) -> Any:
    if key in ("title", "description", "default") and isinstance(value, str):
        return plain_text(value)
    if key == "properties" and isinstance(value, Mapping):
        return {name: _plain_schema(part) if isinstance(part, Mapping) else part for name, part in value.items()}
    if key in ("items", "additionalProperties") and isinstance(value, Mapping):
        return _plain_schema(value)
    if key in ("anyOf", "oneOf", "allOf") and isinstance(value, list):
        return [_plain_schema(part) if isinstance(part, Mapping) else part for part in value]
    return value


def _place(path: str) -> str:
    return f"{path.removeprefix('$').removeprefix('.')}: " if path != "$" else ""


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_PROBLEM else text[: _LONGEST_PROBLEM - 3] + "..."


def _result(result: Any) -> str:
    text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_RESULT else f"{text[:MAX_RESULT]} ... (cut; {len(text):,} characters)"
