"""Journals of a chat model's answers: nothing that was paid for is lost, and nothing is paid for twice."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import pydantic
from pydantic import ConfigDict

from multiretriever.core.errors import LLMError, ParameterError
from multiretriever.grounding.dialogue import Chat, Message


class Entry(pydantic.BaseModel):
    """A line of a journal: an answer.

    Attributes:
        key: Digest of what was asked, see ``key_of``.
        model: Name of the model; blank where it does not matter.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    key: str
    model: str = ""


_Entry = TypeVar("_Entry", bound=Entry)


def key_of(*asked: Any) -> str:
    """Returns the digest of what a model is asked, given as JSON values."""
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:32]


class Journal(Generic[_Entry]):
    """An append-only file of answers, one JSON object a line, written through to the disk with each."""

    def __init__(self, path: str | Path | None, kind: type[_Entry]) -> None:
        """Reads what is there. A last line that was cut off by a crash is dropped.

        Args:
            path: The file; made with the first answer where it is not there. None keeps answers in memory alone.
            kind: Class of the entries.

        Raises:
            ParameterError: The file cannot be read or holds something else.
        """
        self.path = None if path is None else Path(path)
        self._entries: dict[str, list[_Entry]] = {}
        try:
            data = self.path.read_bytes() if self.path is not None and self.path.exists() else b""
        except OSError as error:
            raise ParameterError(f"the journal {self.path} cannot be read: {error.strerror or error}") from error
        whole = data.rfind(b"\n") + 1
        self._whole = whole if whole < len(data) else None
        for number, line in enumerate(data[:whole].splitlines(), start=1):
            if line.strip():
                self._take(_read(line, kind, f"{self.path}:{number}"))

    def of(self, key: str) -> Sequence[_Entry]:
        """Returns the answers to a question, in the order in which they came."""
        return self._entries.get(key, ())

    def models(self) -> set[str]:
        """Returns the names of the models that answered."""
        return {entry.model for entries in self._entries.values() for entry in entries}

    def add(self, entry: _Entry) -> None:
        """Writes an answer.

        Raises:
            ParameterError: The file cannot be written.
        """
        if self.path is not None:
            try:
                self._write(self.path, (entry.model_dump_json() + "\n").encode())
            except OSError as error:
                raise ParameterError(f"the journal {self.path} cannot be written: {error.strerror or error}") from error
        self._take(entry)

    def _write(self, path: Path, line: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            if self._whole is not None:
                file.truncate(self._whole)
                self._whole = None
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def _take(self, entry: _Entry) -> None:
        self._entries.setdefault(entry.key, []).append(entry)


def _read(line: bytes, kind: type[_Entry], place: str) -> _Entry:
    try:
        return kind.model_validate_json(line)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ParameterError(f"{place} is no answer of a chat model ({first['msg']}); move the file away") from error


class Turn(Entry):
    """An answer of a ``Transcript``.

    Attributes:
        messages: What was asked: role and text of each message.
        answer: What was answered.
    """

    messages: list[dict[str, str]] = []
    answer: str


class Transcript:
    """A chat model whose answers are kept in a journal, with the messages that they answer.

    The same messages get the kept answer; a question that was put several times gets its answers in the order in which they
    came. So a run that was interrupted goes on where it stopped, and a whole one is replayed without a model or a key.
    """

    def __init__(self, path: str | Path, chat: Chat | None = None, *, model: str = "") -> None:
        """Opens a transcript.

        Args:
            path: The file; made with the first answer where it is not there.
            chat: The model that answers what the file does not; None to replay only.
            model: Name of the model, kept with its answers; blank where any will do.

        Raises:
            ParameterError: The file is no transcript, cannot be read, or holds answers of another model.
        """
        self._journal = Journal(path, Turn)
        self._chat = chat
        self._model = model
        self._used: Counter[str] = Counter()
        others = self._journal.models() - {"", model}
        if model and others:
            raise ParameterError(f"{path} was answered by {', '.join(sorted(others))}; {model!r} needs a file of its own")

    def __call__(self, messages: Sequence[Message], schema: type[pydantic.BaseModel] | None = None) -> str:
        """Answers, from the file or by the model.

        Raises:
            LLMError: The model cannot be reached; or the file has no answer and there is no model.
        """
        turns = [{"role": item.role, "text": item.text} for item in messages]
        key = key_of(*turns)
        self._used[key] += 1
        if len(self._journal.of(key)) < self._used[key]:
            if self._chat is None:
                raise LLMError(
                    f"{self._journal.path} has no answer to this question, and there is no chat model to ask: "
                    f"{messages[-1].text[:200]!r}"
                )
            self._journal.add(Turn(key=key, model=self._model, messages=turns, answer=self._chat(messages, schema)))
        return self._journal.of(key)[self._used[key] - 1].answer
