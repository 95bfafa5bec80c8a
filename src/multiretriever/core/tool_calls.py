"""Running the tool calls that a chat model wrote: only tools that it was offered, only with arguments that fit.

All else is refused before anything runs. A refusal is a value that says what was wrong: it goes back to the model as the answer
to its call, and to whoever watches the agent.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from multiretriever.core.catalog import Catalog
from multiretriever.core.elements import Step
from multiretriever.core.errors import CatalogError, MultiRetrieverError, ParameterError, Problem
from multiretriever.core.tool_schemas import ToolSchema, plain_text, tool_schemas

_log = logging.getLogger(__name__)

Call = Callable[[Step, dict[str, Any]], Any]
AsyncCall = Callable[[Step, dict[str, Any]], Awaitable[Any]]
Fault = Literal["unknown", "not_offered", "arguments", "too_many", "failed"]
MAX_RESULT = 20_000
# Frameworks read what there is of broken arguments in a time that grows with the square of their length.
MAX_ARGUMENTS = 16_000


class OperationError(MultiRetrieverError):
    """Raised by whoever runs an operation when it is refused; the message goes to the chat model."""


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
class Outcome:
    """What came of a call.

    Attributes:
        call: The call.
        step: The step that was run, or None where none was.
        text: What the chat model is told: the result as JSON, or what was wrong.
        fault: Why there is no result; None where there is one. Only of ``failed`` was anything run.
    """

    call: ToolCall
    step: Step | None
    text: str
    fault: Fault | None = None


class Toolbox:
    """The steps of a catalog as tools, and the one way to run them. Safe to share between threads.

    Attributes:
        schemas: The tools by name.
        max_calls: Calls of one answer that are run; those after them are refused.
    """

    def __init__(
        self,
        catalog: Catalog,
        call: Call,
        *,
        acall: AsyncCall | None = None,
        max_calls: int = 8,
    ) -> None:
        """Makes tools of all steps.

        Args:
            catalog: The catalog.
            call: Runs a step with arguments that were checked, and returns what JSON can hold.
            acall: Does so without blocking the event loop; None for ``call`` in a thread.
            max_calls: Calls of one answer that are run.

        Raises:
            CatalogError: The catalog has no step.
            ParameterError: ``max_calls`` is below 1.
        """
        if max_calls < 1:
            raise ParameterError(f"max_calls is at least 1 (got {max_calls})")
        schemas = tool_schemas(catalog.of("step"))
        if not schemas:
            raise CatalogError([Problem("there is no step to make a tool of", "catalog")])
        self.schemas: Mapping[str, ToolSchema] = {schema.name: schema for schema in schemas}
        self.max_calls = max_calls
        self._names = {schema.step.id: schema.name for schema in schemas}
        self._call = call
        self._acall = acall

    def names(self, step_ids: Iterable[str]) -> list[str]:
        """Returns the names of the tools of steps; of ids that are no step of the catalog, none."""
        return [self._names[step_id] for step_id in step_ids if step_id in self._names]

    def check(self, call: ToolCall, offered: Collection[str]) -> Outcome | None:
        """Returns the refusal of a call, or None where it may run.

        Args:
            call: The call.
            offered: Names of the tools that the model was offered in this turn.
        """
        fault, text = self._fault(call, offered)
        return None if fault is None else Outcome(call, None, text, fault)

    def _fault(self, call: ToolCall, offered: Collection[str]) -> tuple[Fault | None, str]:
        schema = self.schemas.get(call.name)
        tools = f"the tools that can be called now are {', '.join(offered) or '(none)'}"
        if schema is None:
            return "unknown", f"there is no tool {plain_text(call.name, 100)!r}; nothing was run; {tools}"
        if call.name not in offered:
            return "not_offered", f"the tool {call.name!r} was not offered in this turn; nothing was run; {tools}"
        arguments = call.arguments
        if isinstance(arguments, str):
            return "arguments", "the arguments are not JSON; nothing was run; call it again with one object of JSON"
        problems = schema.problems(arguments)
        if problems:
            return "arguments", f"the arguments do not fit; nothing was run: {'; '.join(problems)}"
        return None, ""

    def run(self, calls: Sequence[ToolCall], offered: Collection[str]) -> list[Outcome]:
        """Runs the calls of one answer in order, each where it may run; returns an outcome for each."""
        return [self._checked(number, call, offered) or self._run(call) for number, call in enumerate(calls)]

    async def arun(self, calls: Sequence[ToolCall], offered: Collection[str]) -> list[Outcome]:
        """Does ``run`` without blocking the event loop."""
        return [self._checked(number, call, offered) or await self._arun(call) for number, call in enumerate(calls)]

    def refuse(self, calls: Iterable[ToolCall], text: str) -> list[Outcome]:
        """Refuses calls, since there were too many before them."""
        return [Outcome(call, None, f"{text}; nothing was run", "too_many") for call in calls]

    def _checked(self, number: int, call: ToolCall, offered: Collection[str]) -> Outcome | None:
        if number >= self.max_calls:
            return self.refuse([call], f"at most {self.max_calls} calls of one answer are run")[0]
        return self.check(call, offered)

    def _run(self, call: ToolCall) -> Outcome:
        step = self.schemas[call.name].step
        try:
            return _done(call, step, self._call(step, dict(call.arguments)))
        except Exception as error:  # whatever the client of the API raises
            return _failed(call, step, error)

    async def _arun(self, call: ToolCall) -> Outcome:
        if self._acall is None:
            return await asyncio.to_thread(self._run, call)
        step = self.schemas[call.name].step
        try:
            return _done(call, step, await self._acall(step, dict(call.arguments)))
        except Exception as error:  # whatever the client of the API raises
            return _failed(call, step, error)


def read_arguments(text: str) -> Any:
    """Returns the arguments that stand in a text: an object of JSON, or the text itself where it is none, which is refused."""
    try:
        value = json.loads(text or "{}", strict=False)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, dict) else text


def _done(call: ToolCall, step: Step, result: Any) -> Outcome:
    text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, default=str)
    if len(text) > MAX_RESULT:
        text = f"{text[:MAX_RESULT]} ... (cut; {len(text):,} characters)"
    return Outcome(call, step, text)


def _failed(call: ToolCall, step: Step, error: Exception) -> Outcome:
    _log.warning("the step %s failed", step.id, exc_info=error)
    # The text of an error that was not meant for the model may hold addresses and secrets.
    reason = plain_text(str(error)) if isinstance(error, OperationError) else type(error).__name__
    return Outcome(call, step, f"the call failed: {reason}", "failed")
