"""Dialogues with chat models: a question, answers that are read and checked, and faulty ones that are sent back.

A dialogue holds the messages to be sent and reads what comes back; the call itself is made by the caller, at once or awaited, so
it works with any framework (``chat_with`` of the LangChain and the LlamaIndex portion).

Answers are JSON or YAML, bare or in a fence, checked against a pydantic model. Text of catalogs and users goes into the user's
message only, in blocks that it cannot close, so that it stays data; the system's message is the program's own text.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import pydantic

from multiretriever.core.elements import Element, Field, Step, Table, Workflow
from multiretriever.core.errors import AnswerError, ParameterError, Problem
from multiretriever.core.records import problems_of
from multiretriever.core.sources.files import parse_json
from multiretriever.core.yaml_io import dump_yaml, parse_yaml

MAX_ANSWER = 60_000
"""Longer answers are not read, in characters."""
MAX_TRIALS = 3
"""Answers to a question at most."""
# Characters of a faulty answer that are sent back, and of a description that is shown.
_QUOTED, _LONGEST = 4_000, 600
_FENCE = re.compile(r"```[a-zA-Z]*[ \t]*\n(.*?)```", re.DOTALL)
_SOURCE = "answer"

T = TypeVar("T")
ModelT = TypeVar("ModelT", bound=pydantic.BaseModel)


@dataclass(frozen=True)
class Message:
    """One message of a dialogue.

    Attributes:
        role: Whose message it is.
        text: Its text.
    """

    role: Literal["system", "user", "assistant"]
    text: str


@dataclass(frozen=True)
class Reading(Generic[T]):
    """What an answer was read as.

    Attributes:
        value: The value; None where the answer has none.
        faults: What is wrong with it; empty where it can be used as it is.
    """

    value: T | None
    faults: tuple[str, ...] = ()


Chat = Callable[[Sequence[Message], "type[pydantic.BaseModel] | None"], str]
AsyncChat = Callable[[Sequence[Message], "type[pydantic.BaseModel] | None"], Awaitable[str]]


class Dialogue(Generic[T]):
    """A question, and the answers to it: a faulty one is sent back with its faults, at most so many times.

    Attributes:
        schema: Form of the answer, for models that can be held to one; None for free text.
        answers: Number of answers so far.
    """

    def __init__(
        self,
        system: str,
        user: str,
        read: Callable[[str], Reading[T]],
        *,
        schema: type[pydantic.BaseModel] | None = None,
        trials: int = MAX_TRIALS,
    ) -> None:
        """Makes a dialogue.

        Args:
            system: What the model is to do. Never text of a catalog or a user.
            user: The question, with what is known in delimited blocks (``data_block``).
            read: Reads an answer.
            schema: Form of the answer.
            trials: Answers at most.

        Raises:
            ParameterError: ``trials`` is below 1.
        """
        if trials < 1:
            raise ParameterError(f"expected at least 1 trial, got {trials}")
        self.schema = schema
        self.answers = 0
        self._read = read
        self._trials = trials
        self._messages = [Message("system", system), Message("user", user)]
        self._best: Reading[T] | None = None
        self._last: tuple[str, ...] = ()

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages to be sent."""
        return tuple(self._messages)

    @property
    def open(self) -> bool:
        """Whether another answer is expected."""
        return self.answers < self._trials and not (self._best is not None and not self._best.faults)

    def hear(self, text: str) -> None:
        """Reads an answer; a faulty one opens the next round.

        An answer of more than ``MAX_ANSWER`` characters is not read at all.
        """
        if len(text) > MAX_ANSWER:
            self._take(Reading(None, (f"the answer is longer than {MAX_ANSWER} characters",)), text)
        else:
            self._take(self._read(text), text)

    def refuse(self, fault: str) -> None:
        """Counts an answer that the model's framework could not read; the next round names the fault."""
        self._take(Reading(None, (fault,)), "(no answer in the form asked for)")

    def _take(self, reading: Reading[T], text: str) -> None:
        self.answers += 1
        self._last = reading.faults
        if reading.value is not None and (self._best is None or len(reading.faults) < len(self._best.faults)):
            self._best = reading
        if self.open:
            lines = "\n".join(f"- {fault}" for fault in reading.faults)
            complaint = f"That cannot be used:\n{lines}\nAnswer again, whole, in the form asked for, without these faults."
            self._messages += [Message("assistant", text[:_QUOTED]), Message("user", complaint)]

    @property
    def reading(self) -> Reading[T]:
        """The answer with the fewest faults; without a value where no answer could be read."""
        return self._best or Reading(None, self._last)

    def result(self) -> T:
        """Returns the value of the answer with the fewest faults.

        Raises:
            AnswerError: No answer could be read.
        """
        reading = self.reading
        if reading.value is None:
            raise AnswerError(f"none of {self.answers} answers of the model could be used; the last one: {'; '.join(self._last)}")
        return reading.value


def converse(dialogue: Dialogue[T], chat: Chat) -> Reading[T]:
    """Asks until an answer has no faults, or the trials are used up.

    Raises:
        LLMError: The model cannot be reached.
    """
    while dialogue.open:
        try:
            dialogue.hear(chat(dialogue.messages, dialogue.schema))
        except AnswerError as error:
            dialogue.refuse(str(error))
    return dialogue.reading


async def aconverse(dialogue: Dialogue[T], chat: AsyncChat) -> Reading[T]:
    """``converse`` for an awaited model."""
    while dialogue.open:
        try:
            dialogue.hear(await chat(dialogue.messages, dialogue.schema))
        except AnswerError as error:
            dialogue.refuse(str(error))
    return dialogue.reading


def fenced(text: str) -> str:
    """Returns the content of the first fence of an answer; the whole answer where it has none."""
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
        faults: Returns what is wrong with an answer that has the form.
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
        return None, [Problem(f"expected one JSON or YAML document, got {len(documents)}", _SOURCE)]
    return documents[0].value, []


def data_block(name: str, value: Any) -> str:
    """Returns a value as a block ``<name> ... </name>``: text as it is, all else as YAML; its angle brackets are escaped.

    Args:
        name: Name of the block, never text of a catalog or a user.
        value: Text, or plain values (mappings, lists, scalars).
    """
    text = value.strip() if isinstance(value, str) else dump_yaml(value).strip()
    return f"<{name}>\n{text.replace('<', '&lt;').replace('>', '&gt;')}\n</{name}>"


def entry(element: Element) -> dict[str, Any]:
    """Returns what a chat model is shown of an element: first the name that it is to use, then what the element is for."""
    shown: dict[str, Any] = {"name": element.name} if isinstance(element, Table | Field) else {"id": element.id}
    if isinstance(element, Field):
        shown |= {"type": element.data_type} if element.data_type else {}
        shown |= {"choices": list(element.choices)} if element.choices else {}
    shown |= {"label": element.label} if element.label else {}
    shown |= {"description": element.description[:_LONGEST]} if element.description else {}
    if isinstance(element, Step) and element.inputs:
        shown["inputs"] = {item.name: item.type + (" (required)" if item.required else "") for item in element.inputs}
    if isinstance(element, Workflow) and element.flow is not None:
        shown["steps"] = [step.definition or step.annotation for step in element.flow.steps]
    return shown


def data_blocks(values: Mapping[str, Any]) -> str:
    """Returns the values that are not empty as blocks, one after the other."""
    return "\n\n".join(data_block(name, value) for name, value in values.items() if value)
