"""Tools and their calls in LlamaIndex: the tools of a toolbox, asking an LLM that is offered some, and its calls.

LlamaIndex completes broken JSON by guessing, or takes it for no arguments at all. Here such arguments stay text, and are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import uuid4

from llama_index.core.base.llms.types import ToolCallBlock
from llama_index.core.llms import LLM, ChatMessage, ChatResponse, MessageRole
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.tools import BaseTool

from multiretriever.core.errors import AnswerError, LLMError
from multiretriever.grounding.dialogue import MAX_ANSWER
from multiretriever.grounding.tool_check import MAX_ARGUMENTS, ToolCall
from operations import next_move
from toolbox import Outcome, read_arguments


def ask_with_tools(llm: LLM, tools: Sequence[BaseTool], messages: Sequence[ChatMessage]) -> ChatResponse:
    """Asks an LLM that is offered tools, and those only.

    Raises:
        LLMError: The LLM cannot be offered tools, or did not answer.
        AnswerError: The answer is longer than any may be.
    """
    answer = _Answer()
    try:
        calling = _function_calling(llm)
        history = list(messages)
        for chunk in calling.stream_chat_with_tools(tools, chat_history=history, allow_parallel_tool_calls=True):
            answer.add(chunk)
    except Exception as error:  # every provider raises classes of its own
        raise _failed(error) from error
    return answer.response()


async def aask_with_tools(llm: LLM, tools: Sequence[BaseTool], messages: Sequence[ChatMessage]) -> ChatResponse:
    """Does ``ask_with_tools`` without blocking the event loop."""
    answer = _Answer()
    try:
        calling = _function_calling(llm)
        history = list(messages)
        chunks = await calling.astream_chat_with_tools(tools, chat_history=history, allow_parallel_tool_calls=True)
        async for chunk in chunks:
            answer.add(chunk)
    except Exception as error:  # every provider raises classes of its own
        raise _failed(error) from error
    return answer.response()


def _function_calling(llm: LLM) -> FunctionCallingLLM:
    if isinstance(llm, FunctionCallingLLM) and llm.metadata.is_function_calling_model:
        return llm
    raise LLMError(f"expected an LLM that calls functions, got {type(llm).__name__}")


class _Answer:
    """The newest state of an answer that is streamed."""

    def __init__(self) -> None:
        self._last: ChatResponse | None = None
        self._size = 0

    def add(self, chunk: ChatResponse) -> None:
        self._last = chunk
        self._size += len(chunk.delta or "")
        if self._size > MAX_ANSWER:
            raise AnswerError(f"the answer is longer than {MAX_ANSWER} characters")
        if sum(len(str(block.tool_kwargs)) for block in chunk.message.blocks if isinstance(block, ToolCallBlock)) > MAX_ARGUMENTS:
            raise AnswerError(f"the arguments of the calls are longer than {MAX_ARGUMENTS} characters")

    def response(self) -> ChatResponse:
        if self._last is None:
            raise AnswerError("the LLM answered nothing")
        return self._last


def _failed(error: Exception) -> LLMError:
    return error if isinstance(error, LLMError) else LLMError(f"the LLM did not answer: {type(error).__name__}: {error}")


def tool_calls(llm: LLM, response: ChatResponse) -> list[ToolCall]:
    """Returns the calls of an answer; those whose arguments are no object of JSON have them as text.

    Raises:
        LLMError: The LLM cannot say what it called.
    """
    written = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
    if written:
        return [ToolCall(block.tool_call_id or "", block.tool_name, _read(block.tool_kwargs)) for block in written]
    # An older LLM keeps its calls to itself, and only what its own reading makes of them is known.
    try:
        selections = _function_calling(llm).get_tool_calls_from_response(response, error_on_no_tool_call=False)
    except Exception as error:  # every provider raises classes of its own
        raise LLMError(f"the tool calls of the LLM cannot be read: {type(error).__name__}: {error}") from error
    return [ToolCall(selection.tool_id, selection.tool_name, selection.tool_kwargs) for selection in selections]


def _read(arguments: Any) -> Any:
    return read_arguments(arguments) if isinstance(arguments, str) else arguments


def tool_messages(outcomes: Iterable[Outcome]) -> list[ChatMessage]:
    """Returns what came of calls as the messages that answer them."""
    return [
        ChatMessage(
            role=MessageRole.TOOL,
            content=outcome.text,
            additional_kwargs={"name": outcome.call.name, "tool_call_id": outcome.call.id},
        )
        for outcome in outcomes
    ]


_ROLES = (MessageRole.USER, MessageRole.ASSISTANT, MessageRole.TOOL)


def said(messages: Sequence[ChatMessage]) -> list[tuple[str, str]]:
    """Returns who said what, without the system's message."""
    return [(message.role.value, message.content or "") for message in messages if message.role in _ROLES]


class FirstToolLLM(MockFunctionCallingLLM):
    """Takes the place of an LLM: see ``next_move``. The base is what LlamaIndex has for answers of a Python function."""

    def __init__(self) -> None:
        super().__init__(response_generator=_answer, is_chat_model=True)


def _answer(messages: Sequence[ChatMessage], tools: Sequence[BaseTool] = (), **kwargs: Any) -> ChatMessage:
    first = tools[0].metadata if tools else None
    move = next_move(said(messages), (first.get_name(), first.get_parameters_dict()) if first else None)
    if not move.name:
        return ChatMessage(role=MessageRole.ASSISTANT, content=move.text)
    call = ToolCallBlock(tool_call_id=uuid4().hex, tool_name=move.name, tool_kwargs=move.arguments)
    return ChatMessage(role=MessageRole.ASSISTANT, blocks=[call])
