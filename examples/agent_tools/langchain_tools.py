"""Tools and their calls in LangChain: the tools of a toolbox, asking a chat model that is offered some, and its calls.

LangChain completes the broken JSON of a streamed call by guessing: of ``{"id": "INV-20`` it makes the id INV-20. Here such
arguments stay text, and are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import uuid4

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    InvalidToolCall,
    ToolMessage,
    message_chunk_to_message,
)
from langchain_core.messages import ToolCall as LangChainCall
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_function

from multiretriever.core.errors import AnswerError, LLMError
from multiretriever.grounding.dialogue import MAX_ANSWER
from multiretriever.grounding.tool_check import MAX_ARGUMENTS, ToolCall
from operations import next_move
from toolbox import Outcome, read_arguments


def ask_with_tools(model: BaseChatModel, tools: Sequence[BaseTool], messages: Sequence[BaseMessage]) -> AIMessage:
    """Asks a chat model that is offered tools, and those only.

    Raises:
        LLMError: The model cannot be offered tools, or did not answer.
        AnswerError: The answer is longer than any may be.
    """
    answer = _Answer()
    try:
        for chunk in _bound(model, tools).stream(list(messages)):
            answer.add(chunk)
    except Exception as error:  # every provider raises classes of its own
        raise _failed(error) from error
    return answer.message()


async def aask_with_tools(model: BaseChatModel, tools: Sequence[BaseTool], messages: Sequence[BaseMessage]) -> AIMessage:
    """Does ``ask_with_tools`` without blocking the event loop."""
    answer = _Answer()
    try:
        async for chunk in _bound(model, tools).astream(list(messages)):
            answer.add(chunk)
    except Exception as error:  # every provider raises classes of its own
        raise _failed(error) from error
    return answer.message()


def _bound(model: BaseChatModel, tools: Sequence[BaseTool]) -> Runnable[LanguageModelInput, Any]:
    # Some providers refuse an empty list of tools.
    return model.bind_tools(list(tools)) if tools else model


class _Answer:
    """What came so far.

    The parts of calls are put together here, as text. LangChain would read what there is of them at every chunk, which takes time
    that grows with the third power of their length where they are broken.
    """

    def __init__(self) -> None:
        self._whole: Any = None
        self._calls: list[dict[str, Any]] = []
        self._size = 0
        self._written = 0

    def add(self, chunk: Any) -> None:
        if isinstance(chunk, AIMessageChunk) and chunk.tool_call_chunks:
            for part in chunk.tool_call_chunks:
                self._add_call(dict(part))
            chunk = chunk.model_copy(update={"tool_call_chunks": [], "tool_calls": [], "invalid_tool_calls": []})
        self._whole = chunk if self._whole is None else self._whole + chunk
        self._size += len(chunk.text)
        if self._size > MAX_ANSWER:
            raise AnswerError(f"the answer is longer than {MAX_ANSWER} characters")

    def _add_call(self, part: dict[str, Any]) -> None:
        self._written += len(part.get("args") or "")
        if self._written > MAX_ARGUMENTS:
            raise AnswerError(f"the arguments of the calls are longer than {MAX_ARGUMENTS} characters")
        begun = [call for call in self._calls if call["index"] == part.get("index") is not None]
        if not begun:
            self._calls.append({"index": part.get("index"), **{key: part.get(key) or "" for key in ("id", "name", "args")}})
        for key in ("id", "name", "args") if begun else ():
            begun[0][key] += part.get(key) or ""

    def message(self) -> AIMessage:
        if not isinstance(self._whole, AIMessage):
            raise AnswerError("the chat model answered nothing")
        if not isinstance(self._whole, AIMessageChunk):
            return self._whole
        message = message_chunk_to_message(self._whole)
        calls = [ToolCall(call["id"], call["name"], read_arguments(call["args"])) for call in self._calls]
        return AIMessage(
            content=message.content,
            id=message.id,
            additional_kwargs=message.additional_kwargs,
            response_metadata=message.response_metadata,
            usage_metadata=self._whole.usage_metadata,
            tool_calls=[LangChainCall(name=c.name, args=c.arguments, id=c.id) for c in calls if isinstance(c.arguments, dict)],
            invalid_tool_calls=[_invalid(call) for call in calls if not isinstance(call.arguments, dict)],
        )


def _invalid(call: ToolCall) -> InvalidToolCall:
    return InvalidToolCall(type="invalid_tool_call", name=call.name, args=str(call.arguments), id=call.id, error="not JSON")


def _failed(error: Exception) -> LLMError:
    if isinstance(error, LLMError):
        return error
    return LLMError(f"the chat model did not answer: {type(error).__name__}: {error}")


def tool_calls(message: AIMessage) -> list[ToolCall]:
    """Returns the calls of an answer; those whose arguments are no object of JSON have them as text."""
    calls = [ToolCall(call["id"] or "", call["name"], call["args"]) for call in message.tool_calls]
    broken = [ToolCall(call["id"] or "", call["name"] or "", call["args"] or "") for call in message.invalid_tool_calls]
    return calls + broken


def tool_messages(outcomes: Iterable[Outcome]) -> list[ToolMessage]:
    """Returns what came of calls as the messages that answer them."""
    return [
        ToolMessage(
            outcome.text,
            name=outcome.call.name,
            tool_call_id=outcome.call.id,
            status="success" if outcome.fault is None else "error",
            artifact=outcome,
        )
        for outcome in outcomes
    ]


_WHO = {"human": "user", "ai": "assistant", "tool": "tool"}


def said(messages: Sequence[BaseMessage]) -> list[tuple[str, str]]:
    """Returns who said what, without the system's message."""
    return [(_WHO[message.type], str(message.text)) for message in messages if message.type in _WHO]


class FirstToolModel(BaseChatModel):
    """Takes the place of a chat model: see ``next_move``."""

    @property
    def _llm_type(self) -> str:
        return "first tool"

    def bind_tools(
        self, tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool], **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Offers tools."""
        return self.bind(tools=[convert_to_openai_function(tool) for tool in tools])

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        tools: Sequence[dict[str, Any]] = (),
        **kwargs: Any,
    ) -> ChatResult:
        move = next_move(said(messages), (tools[0]["name"], tools[0]["parameters"]) if tools else None)
        calls = [{"name": move.name, "args": move.arguments, "id": uuid4().hex}] if move.name else []
        return ChatResult(generations=[ChatGeneration(message=AIMessage(move.text, tool_calls=calls))])
