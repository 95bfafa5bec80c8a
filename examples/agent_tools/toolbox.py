"""Running the tool calls that a chat model wrote: only tools that it was offered, only with arguments that fit.

All else is refused before anything runs. A refusal is a value that says what was wrong: it goes back to the model as the answer
to its call, and to whoever watches the agent.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from multiretriever.core.elements import Step
from multiretriever.core.errors import ParameterError
from multiretriever.grounding.tool_check import Fault, StepTool, ToolCall, ToolCallError, check_call


@dataclass(frozen=True)
class Outcome:
    """What came of a call.

    Attributes:
        call: The call.
        step: The step that was run, or None where none was.
        text: The answer to the chat model: the result as JSON, or what was wrong.
        fault: Why there is no result; None where there is one. Only of ``failed`` was anything run.
    """

    call: ToolCall
    step: Step | None
    text: str
    fault: Fault | None = None


class Toolbox:
    """Tools, and the one way to run them. Safe to share between threads.

    Attributes:
        tools: The tools by name.
        max_calls: Calls of one answer that are run; those after them are refused.
    """

    def __init__(self, tools: Iterable[StepTool], *, max_calls: int = 8) -> None:
        """Makes it of tools such as ``step_tools`` makes of a catalog.

        Raises:
            ParameterError: ``max_calls`` is below 1.
        """
        if max_calls < 1:
            raise ParameterError(f"expected max_calls of at least 1, got {max_calls}")
        self.tools: Mapping[str, StepTool] = {tool.name: tool for tool in tools}
        self.max_calls = max_calls
        self._names = {tool.step.id: name for name, tool in self.tools.items()}

    def names(self, step_ids: Iterable[str]) -> list[str]:
        """Returns the names of the tools of steps; of ids that are no step of the catalog, none."""
        return [self._names[step_id] for step_id in step_ids if step_id in self._names]

    def run(self, calls: Sequence[ToolCall], offered: Collection[str]) -> list[Outcome]:
        """Runs the calls of one answer in order, each where it may run; returns an outcome for each.

        Args:
            calls: The calls.
            offered: Names of the tools that the model was offered in this turn.
        """
        return [self._refused(number, call, offered) or self._run(call) for number, call in enumerate(calls)]

    async def arun(self, calls: Sequence[ToolCall], offered: Collection[str]) -> list[Outcome]:
        """Does ``run`` without blocking the event loop."""
        return [self._refused(number, call, offered) or await self._arun(call) for number, call in enumerate(calls)]

    def refuse(self, calls: Iterable[ToolCall], text: str) -> list[Outcome]:
        """Refuses calls, since there were too many before them."""
        return [Outcome(call, None, f"{text}; nothing was run", "too_many") for call in calls]

    def _refused(self, number: int, call: ToolCall, offered: Collection[str]) -> Outcome | None:
        if number >= self.max_calls:
            return self.refuse([call], f"at most {self.max_calls} calls of one answer are run")[0]
        wrong = check_call(call, self.tools, offered)
        return None if wrong is None else Outcome(call, None, str(wrong), wrong.fault)

    def _run(self, call: ToolCall) -> Outcome:
        tool = self.tools[call.name]
        try:
            return Outcome(call, tool.step, tool.run(call.arguments))
        except ToolCallError as error:
            return Outcome(call, tool.step, str(error), error.fault)

    async def _arun(self, call: ToolCall) -> Outcome:
        tool = self.tools[call.name]
        try:
            return Outcome(call, tool.step, await tool.arun(call.arguments))
        except ToolCallError as error:
            return Outcome(call, tool.step, str(error), error.fault)


def read_arguments(text: str) -> Any:
    """Returns the arguments in a text: an object of JSON, or the text itself where it is none, which is refused."""
    try:
        value = json.loads(text or "{}", strict=False)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, dict) else text
