"""The journal of all answers of a chat model: nothing that was paid for is lost, and nothing is paid for twice."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO

import pydantic
from pydantic import ConfigDict

from multiretriever.core.errors import ParameterError

FILE = "answers.jsonl"


class Answer(pydantic.BaseModel):
    """One answer, or a call that failed.

    Attributes:
        key: Digest of model, prompt and document.
        model: Name of the model.
        kind: Kind of the queries.
        element_type: Type of the element that they are for.
        element_id: Its id.
        queries: What was read from the answer; empty for a bad one.
        text: The answer as it came.
        problem: Why it is no good; blank for a good one.
        failed: Whether there was no answer at all: an error of the network or the provider, which costs nothing to try again.
        input_tokens: Tokens of the prompt, as the provider counts them; None where it does not tell.
        output_tokens: Tokens of the answer.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    key: str
    model: str
    kind: str
    element_type: str
    element_id: str
    queries: tuple[str, ...] = ()
    text: str = ""
    problem: str = ""
    failed: bool = False
    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass
class Held:
    """What the journal holds for one key: the good answer, if there is one, and how many bad ones came before."""

    good: Answer | None = None
    bad: list[Answer] = field(default_factory=list)


def key_of(model: str, parts: Sequence[str]) -> str:
    """Returns the digest of a model's name and of all that it is told."""
    return hashlib.sha256(json.dumps([model, *parts], ensure_ascii=False).encode("utf-8", "replace")).hexdigest()[:32]


class Journal:
    """An append-only file of answers, one JSON object a line, written through to the disk with each."""

    def __init__(self, path: str | Path | None) -> None:
        """Reads what is there. A last line that was cut off by a crash is dropped. Without a path it is kept in memory alone.

        Raises:
            ParameterError: The file cannot be read or holds something else.
        """
        self._path = None if path is None else Path(path)
        self._held: dict[str, Held] = {}
        self._file: IO[bytes] | None = None
        try:
            data = self._path.read_bytes() if self._path is not None and self._path.exists() else b""
        except OSError as error:
            raise ParameterError(f"the journal {self._path} cannot be read: {error.strerror or error}") from error
        self._size = data.rfind(b"\n") + 1
        for number, line in enumerate(data[: self._size].split(b"\n"), start=1):
            if line.strip():
                self._take(_read(line, str(self._path), number))

    def held(self, key: str) -> Held:
        """Returns what there is for a key."""
        return self._held.get(key) or Held()

    def add(self, answer: Answer) -> None:
        """Writes an answer.

        Raises:
            ParameterError: The file cannot be written.
        """
        if self._path is not None:
            try:
                self._write(self._path, (answer.model_dump_json() + "\n").encode())
            except OSError as error:
                raise ParameterError(f"the journal {self._path} cannot be written: {error.strerror or error}") from error
        self._take(answer)

    def _write(self, path: Path, line: bytes) -> None:
        if self._file is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab")
            self._file.truncate(self._size)
        self._file.write(line)
        self._file.flush()
        os.fsync(self._file.fileno())

    def _take(self, answer: Answer) -> None:
        held = self._held.setdefault(answer.key, Held())
        if answer.queries:
            held.good = answer
        elif not answer.failed:
            held.bad.append(answer)

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _read(line: bytes, path: str, number: int) -> Answer:
    try:
        return Answer.model_validate_json(line)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ParameterError(f"{path}:{number} is no answer of a chat model ({first['msg']}); move the file away") from error
