"""Chat models of LangChain as what dialogues are held with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pydantic
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.runnables import Runnable

from multiretriever.core.errors import LLMError, MissingDependencyError
from multiretriever.core.generation.dialogue import MAX_ANSWER, AsyncChat, Chat, Message

_CLASSES: dict[str, type[BaseMessage]] = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}


def init_model(name: str) -> BaseChatModel:
    """Returns a chat model by ``PROVIDER:MODEL``, through LangChain's standard initialiser.

    Raises:
        MissingDependencyError: langchain or the provider's package is not installed.
        LLMError: The name is not known, or the model refuses to be set up (a missing key).
    """
    if not name.strip():
        raise LLMError("the name of the chat model is empty; PROVIDER:MODEL is due, such as openai:gpt-4o-mini")
    try:
        from langchain.chat_models import init_chat_model
    except ImportError as error:
        raise MissingDependencyError('chat models need langchain: pip install "multiretriever[llm]"') from error
    try:
        model: BaseChatModel = init_chat_model(name)
    except ImportError as error:
        raise MissingDependencyError(f"the chat model {name!r} needs its provider's package: {error}") from error
    except Exception as error:  # every provider raises classes of its own
        raise LLMError(f"the chat model {name!r} cannot be set up: {error}") from error
    return model


def chat_with(model: BaseChatModel) -> Chat:
    """Returns a chat model as a function of messages and the form of the answer.

    A model that can be held to a form (tool calls, JSON mode) is. The answer is streamed and cut where it is longer than any
    answer may be, so that a model that never ends does not hold up its caller.
    """

    def chat(messages: Sequence[Message], schema: type[pydantic.BaseModel] | None) -> str:
        answer = _Answer()
        try:
            for chunk in _runnable(model, schema).stream(_messages(messages)):
                if answer.add(chunk):
                    break
        except Exception as error:  # every provider raises classes of its own
            raise _failed(error) from error
        return answer.text

    return chat


def achat_with(model: BaseChatModel) -> AsyncChat:
    """``chat_with``, awaited."""

    async def chat(messages: Sequence[Message], schema: type[pydantic.BaseModel] | None) -> str:
        answer = _Answer()
        try:
            async for chunk in _runnable(model, schema).astream(_messages(messages)):
                if answer.add(chunk):
                    break
        except Exception as error:  # every provider raises classes of its own
            raise _failed(error) from error
        return answer.text

    return chat


class _Answer:
    """What came so far: text, and the arguments of a call of the form where the model is held to one."""

    def __init__(self) -> None:
        self._raw: Any = None
        self._size = 0

    def add(self, chunk: Any) -> bool:
        """Adds a chunk; tells whether it is enough."""
        raw = chunk.get("raw") if isinstance(chunk, dict) else chunk
        if raw is None:
            return False
        self._raw = raw if self._raw is None else self._raw + raw
        self._size += len(raw.text) + sum(len(item.get("args") or "") for item in getattr(raw, "tool_call_chunks", ()))
        return self._size > MAX_ANSWER

    @property
    def text(self) -> str:
        if self._raw is None:
            return ""
        if self._size > MAX_ANSWER:
            return "." * (MAX_ANSWER + 1) if not self._raw.text else str(self._raw.text)
        calls = getattr(self._raw, "tool_calls", None)
        return json.dumps(calls[0]["args"], ensure_ascii=False) if calls else str(self._raw.text)


def _runnable(model: BaseChatModel, schema: type[pydantic.BaseModel] | None) -> Runnable[Any, Any]:
    if schema is None:
        return model
    try:
        return model.with_structured_output(schema, include_raw=True)
    except NotImplementedError:
        return model  # the question shows the form as well


def _messages(messages: Sequence[Message]) -> list[BaseMessage]:
    return [_CLASSES[item.role](item.text) for item in messages]


def _failed(error: Exception) -> LLMError:
    return LLMError(f"the chat model did not answer: {type(error).__name__}: {error}")
