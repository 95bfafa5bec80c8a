"""Chat models of LangChain as what dialogues are held with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pydantic
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage
from langchain_core.runnables import Runnable

from multiretriever.core.errors import AnswerError, LLMError, MissingDependencyError
from multiretriever.grounding.dialogue import MAX_ANSWER, AsyncChat, Chat, Message
from multiretriever.grounding.tool_check import MAX_ARGUMENTS

_CLASSES: dict[str, type[BaseMessage]] = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}


def init_model(name: str) -> BaseChatModel:
    """Returns a chat model by ``PROVIDER:MODEL``, through LangChain's standard initialiser.

    Raises:
        MissingDependencyError: langchain or the provider's package is not installed.
        LLMError: The name is not known, or the model refuses to be set up (a missing key).
    """
    if not name.strip():
        raise LLMError("the name of the chat model is empty; expected PROVIDER:MODEL, such as openai:gpt-4o-mini")
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

    A model that can call tools is held to the form by one. The answer is streamed, and the stream ended where it is longer than
    any answer may be, so that a model that never ends does not hold up its caller.
    """

    def chat(messages: Sequence[Message], schema: type[pydantic.BaseModel] | None) -> str:
        answer = _Answer()
        try:
            for chunk in _runnable(model, schema).stream(_messages(messages)):
                answer.add(chunk)
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
                answer.add(chunk)
        except Exception as error:  # every provider raises classes of its own
            raise _failed(error) from error
        return answer.text

    return chat


class _Answer:
    """What came so far: text, and the arguments of a call of the form where the model is held to one.

    The parts are put together here, as text: LangChain completes the broken JSON of a streamed call by guessing, so that half an
    answer would pass for a whole one.
    """

    def __init__(self) -> None:
        self._text = ""
        self._call: Any = None
        self._arguments = ""

    def add(self, message: BaseMessage) -> None:
        """Adds a part.

        Raises:
            AnswerError: It is longer than any answer may be.
        """
        self._text += message.text
        if isinstance(message, AIMessageChunk):
            for part in message.tool_call_chunks:
                self._call = self._call or {"index": part["index"]}
                if part["index"] == self._call["index"]:
                    self._arguments += part["args"] or ""
        elif isinstance(message, AIMessage) and message.tool_calls:
            self._arguments = json.dumps(message.tool_calls[0]["args"], ensure_ascii=False)
        for held, longest in ((self._text, MAX_ANSWER), (self._arguments, MAX_ARGUMENTS)):
            if len(held) > longest:
                raise AnswerError(f"the answer is longer than {longest} characters")

    @property
    def text(self) -> str:
        """What was answered."""
        return self._arguments or self._text


def _runnable(model: BaseChatModel, schema: type[pydantic.BaseModel] | None) -> Runnable[Any, Any]:
    if schema is None:
        return model
    try:
        # What with_structured_output does, without its parser: answers are read where all of them are.
        return model.bind_tools([schema], tool_choice="any")
    except NotImplementedError:
        return model  # the question shows the form as well


def _messages(messages: Sequence[Message]) -> list[BaseMessage]:
    return [_CLASSES[item.role](item.text) for item in messages]


def _failed(error: Exception) -> LLMError:
    if isinstance(error, LLMError):
        return error
    return LLMError(f"the chat model did not answer: {type(error).__name__}: {error}")
