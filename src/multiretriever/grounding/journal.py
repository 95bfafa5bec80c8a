"""Keeping what was asked of a chat model and what it answered, so that the same questions are answered again without it."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict, deque
from collections.abc import Sequence
from pathlib import Path

import pydantic

from multiretriever.core.errors import LLMError, ParameterError
from multiretriever.grounding.dialogue import Chat, Message


class Transcript:
    """A chat model whose answers are kept in a file of JSON Lines: one line a call, with the messages and the answer.

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
        self._path = Path(path)
        self._chat = chat
        self._held: dict[str, deque[str]] = defaultdict(deque)
        self._torn = 0
        self._model = model
        self._read()

    def __call__(self, messages: Sequence[Message], schema: type[pydantic.BaseModel] | None = None) -> str:
        """Answers, from the file or by the model.

        Raises:
            LLMError: The model cannot be reached; or the file has no answer and there is no model.
        """
        key = _key(messages)
        if self._held[key]:
            return self._held[key].popleft()
        if self._chat is None:
            raise LLMError(
                f"{self._path} has no answer to this question, and there is no chat model to ask: {messages[-1].text[:200]!r}"
            )
        answer = self._chat(messages, schema)
        self._write(key, messages, answer)
        return answer

    def _read(self) -> None:
        if not self._path.exists():
            return
        try:
            text = self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ParameterError(f"the transcript {self._path} cannot be read: {error}") from error
        # What stands after the last line's end was left by a run that was killed while it wrote; the call is made again.
        whole, _, torn = text.rpartition("\n")
        for number, line in enumerate(whole.split("\n") if whole else (), start=1):
            try:
                entry = json.loads(line)
                key, answer, model = str(entry["key"]), str(entry["answer"]), entry.get("model", "")
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ParameterError(f"{self._path}:{number}: this is no line of a transcript ({error})") from error
            if self._model and model and model != self._model:
                raise ParameterError(f"{self._path}:{number} was answered by {model!r}; {self._model!r} needs a file of its own")
            self._held[key].append(answer)
        self._torn = len(torn.encode())

    def _write(self, key: str, messages: Sequence[Message], answer: str) -> None:
        line = {"key": key, "model": self._model, "messages": [vars(item) for item in messages], "answer": answer}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            if self._torn:
                file.truncate(file.tell() - self._torn)
                self._torn = 0
            file.write((json.dumps(line, ensure_ascii=False) + "\n").encode())


def _key(messages: Sequence[Message]) -> str:
    return hashlib.sha256(json.dumps([[item.role, item.text] for item in messages]).encode()).hexdigest()[:32]
