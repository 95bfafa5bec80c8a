"""LLMs of LlamaIndex as what dialogues are held with."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import pydantic
from llama_index.core.llms import LLM, ChatMessage, MessageRole
from llama_index.core.prompts import ChatPromptTemplate

from multiretriever.core.errors import AnswerError, LLMError, MissingDependencyError
from multiretriever.core.records import problems_of
from multiretriever.grounding.dialogue import MAX_ANSWER, AsyncChat, Chat, Message


def init_llm(name: str) -> LLM:
    """Returns an LLM by ``MODULE:CLASS`` or ``MODULE:CLASS:MODEL``, such as ``llama_index.llms.openai:OpenAI:gpt-4o-mini``.

    Raises:
        MissingDependencyError: The provider's package is not installed.
        LLMError: The name is no class of an LLM, or the LLM refuses to be set up (a missing key).
    """
    module, _, rest = name.partition(":")
    class_name, _, model = rest.partition(":")
    if not module.strip() or not class_name:
        raise LLMError(f"{name!r} is no LLM; expected MODULE:CLASS:MODEL, such as llama_index.llms.openai:OpenAI:gpt-4o-mini")
    try:
        found = getattr(import_module(module), class_name, None)
    except ImportError as error:
        package = module.replace("_", "-").replace(".", "-")
        raise MissingDependencyError(f"the LLM {name!r} needs its provider's package: pip install {package} ({error})") from error
    if not (isinstance(found, type) and issubclass(found, LLM)):
        raise LLMError(f"{class_name!r} of {module} is no LLM of LlamaIndex")
    try:
        return found(model=model) if model else found()
    except Exception as error:  # every provider raises classes of its own
        raise LLMError(f"the LLM {name!r} cannot be set up: {error}") from error


def chat_with(llm: LLM) -> Chat:
    """Returns an LLM as a function of messages and the form of the answer.

    A model that calls functions is held to the form. Text is streamed and cut where it is longer than any answer may be, so that
    a model that never ends does not hold up its caller.
    """

    def chat(messages: Sequence[Message], schema: type[pydantic.BaseModel] | None) -> str:
        try:
            if schema is not None and llm.metadata.is_function_calling_model:
                template, texts = _template(messages)
                return _written(llm.structured_predict(schema, template, **texts))
            text = ""
            for chunk in llm.stream_chat(_messages(messages)):
                text += chunk.delta or ""
                if len(text) > MAX_ANSWER:
                    break
            return text
        except Exception as error:  # every provider raises classes of its own
            raise _failed(error) from error

    return chat


def achat_with(llm: LLM) -> AsyncChat:
    """``chat_with``, awaited."""

    async def chat(messages: Sequence[Message], schema: type[pydantic.BaseModel] | None) -> str:
        try:
            if schema is not None and llm.metadata.is_function_calling_model:
                template, texts = _template(messages)
                return _written(await llm.astructured_predict(schema, template, **texts))
            text = ""
            async for chunk in await llm.astream_chat(_messages(messages)):
                text += chunk.delta or ""
                if len(text) > MAX_ANSWER:
                    break
            return text
        except Exception as error:  # every provider raises classes of its own
            raise _failed(error) from error

    return chat


def _template(messages: Sequence[Message]) -> tuple[ChatPromptTemplate, dict[str, str]]:
    """Messages as values of a template: what is in braces in them is not taken for variables."""
    names = [f"message_{place}" for place in range(len(messages))]
    parts = [ChatMessage(role=MessageRole(item.role), content=f"{{{name}}}") for name, item in zip(names, messages, strict=True)]
    return ChatPromptTemplate(message_templates=parts), {name: item.text for name, item in zip(names, messages, strict=True)}


def _messages(messages: Sequence[Message]) -> list[ChatMessage]:
    return [ChatMessage(role=MessageRole(item.role), content=item.text) for item in messages]


def _written(answer: Any) -> str:
    return answer.model_dump_json() if isinstance(answer, pydantic.BaseModel) else str(answer)


def _failed(error: Exception) -> LLMError:
    if isinstance(error, pydantic.ValidationError):  # what was answered does not fit the form
        return AnswerError("; ".join(str(problem) for problem in problems_of(error, source="answer")))
    return LLMError(f"the chat model did not answer: {type(error).__name__}: {error}")
