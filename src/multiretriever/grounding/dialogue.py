"""Asking a chat model until its answer can be used, whatever framework it is of.

A dialogue holds what is to be sent next and reads what comes back; the call itself is made by whoever has the model, at once or
awaited. So all checks of answers stand here once.
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
MAX_TRIALS = 3
_QUOTED = 4_000

T = TypeVar("T")


@dataclass(frozen=True)
class Message:
    """One message of a dialogue.

    Attributes:
        role: Who speaks.
        text: What is said.
    """

    role: Literal["system", "user", "assistant"]
    text: str


@dataclass(frozen=True)
class Reading(Generic[T]):
    """What an answer was read as.

    Attributes:
        value: The value; None where there is none in the answer.
        faults: What is to be said against it; empty where it can be used as it is.
    """

    value: T | None
    faults: tuple[str, ...] = ()


Chat = Callable[[Sequence[Message], "type[pydantic.BaseModel] | None"], str]
AsyncChat = Callable[[Sequence[Message], "type[pydantic.BaseModel] | None"], Awaitable[str]]


class Dialogue(Generic[T]):
    """A question, and the answers to it: a faulty one is sent back with its faults, at most so many times.

    Attributes:
        schema: Form of the answer, for models that can be held to one; None for free text.
        answers: Number of answers heard.
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
            system: What the model is told to do. Never text of a catalog or a user.
            user: The question, with what is known in delimited blocks (``data_block``).
            read: Reads an answer.
            schema: Form of the answer.
            trials: Answers at most.

        Raises:
            ParameterError: ``trials`` is below 1.
        """
        if trials < 1:
            raise ParameterError(f"trials must be at least 1 (got {trials})")
        self.schema = schema
        self.answers = 0
        self._read = read
        self._trials = trials
        self._messages = [Message("system", system), Message("user", user)]
        self._best: Reading[T] | None = None
        self._last: tuple[str, ...] = ()

    @property
    def messages(self) -> tuple[Message, ...]:
        """What is to be sent."""
        return tuple(self._messages)

    @property
    def open(self) -> bool:
        """Whether another answer is due."""
        return self.answers < self._trials and not (self._best is not None and not self._best.faults)

    def hear(self, text: str) -> None:
        """Reads an answer; a faulty one opens the next round.

        An answer of more than ``MAX_ANSWER`` characters is not read at all.
        """
        self._take(self._read(text) if len(text) <= MAX_ANSWER else Reading(None, (_too_long(),)), text)

    def refuse(self, fault: str) -> None:
        """Counts an answer that the model's framework could not read; the next round tells the fault."""
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
    """Asks until an answer has no faults, or no more answers are due.

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


def _too_long() -> str:
    return f"the answer is longer than {MAX_ANSWER} characters"


# Reading what a chat model answered: JSON or YAML, bare or in a fence, checked against a pydantic model.

_FENCE = re.compile(r"```[a-zA-Z]*[ \t]*\n(.*?)```", re.DOTALL)
_SOURCE = "answer"

ModelT = TypeVar("ModelT", bound=pydantic.BaseModel)


def fenced(text: str) -> str:
    """Returns what stands in the first fence of an answer; the whole answer where there is none."""
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
        faults: Says what is wrong with an answer that has the form.
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
        return None, [Problem(f"one JSON or YAML document is due, {len(documents)} are there", _SOURCE)]
    return documents[0].value, []


# Text of catalogs and users in prompts: delimited, so that it stays data.
#
# What stands in a block cannot close it: its angle brackets are escaped. It goes into the user's message only; the system's
# message is the package's own text.

_LONGEST = 600


def data_block(name: str, value: Any) -> str:
    """Returns a value as a block ``<name> ... </name>``: text as it is, all else as YAML.

    Args:
        name: Name of the block, a word of ours.
        value: Text, or plain values (mappings, lists, scalars).
    """
    text = value.strip() if isinstance(value, str) else dump_yaml(value).strip()
    return f"<{name}>\n{text.replace('<', '&lt;').replace('>', '&gt;')}\n</{name}>"


def entry(element: Element) -> dict[str, Any]:
    """Returns what a chat model is shown of an element: the name that it is to be called by first, then what it is for."""
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
