"""Queries written by a chat model (REFINE, arXiv 2410.12890; arXiv 2502.19712, section on query generation).

Every answer goes to a journal before anything else is done with it. A second run with the same model, prompts and documents
reads it and asks for nothing; one that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multiretriever.core.errors import LLMError, ParameterError
from multiretriever.core.example import Example
from multiretriever.grounding.journal import Entry, Journal, key_of
from multiretriever.training.queries.documents import Document, WriterSettings, check_kinds, fault
from multiretriever.training.queries.query_prompts import Prompts, Request, read_answer

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


class Answer(Entry):
    """One answer, or a call that failed.

    Attributes:
        kind: Kind of the queries.
        element_type: Type of the element that they are for.
        element_id: Its id.
        queries: What was read from the answer; empty for a bad one.
        text: The answer as it came.
        problem: Why it is no good; blank for a good one.
        failed: Whether there was no answer at all: an error of the network or the provider, which costs nothing to try again.
        input_tokens: Tokens of the prompt, as the provider counts them; None where it does not say.
        output_tokens: Tokens of the answer.
    """

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
class _Held:
    """What the journal holds for one request: the good answer, if there is one, and the bad ones."""

    good: Answer | None
    bad: list[Answer]


CHARACTERS_PER_TOKEN = 4
"""English text has about four characters a token with the tokenizers of today; other scripts have fewer."""
TOKENS_PER_QUERY = 20
_FORM = 10


@dataclass(frozen=True)
class Estimate:
    """What is still to be asked. Tokens are estimated by the length of the text; retries are not counted.

    Attributes:
        calls: Calls of the model.
        held: Calls whose answer the journal holds: they cost nothing.
        given_up: Calls that had no good answer in as many trials as are allowed; they are not made again.
        prompt_tokens: Tokens of all prompts together.
        output_tokens: Tokens of all answers together.
    """

    calls: int
    held: int
    given_up: int
    prompt_tokens: int
    output_tokens: int

    def cost(self, price_in: float, price_out: float) -> float:
        """Returns the cost, by prices for a million tokens of prompt and of answer, in their currency."""
        return (self.prompt_tokens * price_in + self.output_tokens * price_out) / 1_000_000


def tokens_of(text: str) -> int:
    """Returns about how many tokens a text has."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def output_tokens(queries: int) -> int:
    """Returns about how many tokens an answer with so many queries has."""
    return _FORM + TOKENS_PER_QUERY * queries


_LONGEST_PAUSE = 30.0
_AGAIN = 'That cannot be used: {problem}. Answer with the JSON object {{"queries": [...]}} and nothing else.'
_NAMES = ("model_name", "model", "model_id", "deployment_name")


@dataclass
class CallReport:
    """What asking came to.

    Attributes:
        calls: Calls that were made, retries among them.
        held: Requests whose answer the journal held.
        bad: Answers that could not be used.
        failed: Calls that gave no answer.
        given_up: Requests without a good answer, with the last problem of each.
        input_tokens: Tokens of prompts, as far as the provider says.
        output_tokens: Tokens of answers, as far as the provider says.
    """

    calls: int = 0
    held: int = 0
    bad: int = 0
    failed: int = 0
    given_up: list[str] = field(default_factory=list)
    input_tokens: int = 0
    output_tokens: int = 0

    def add(self, answer: Answer) -> None:
        """Counts a call."""
        self.calls += 1
        self.failed += answer.failed
        self.bad += not answer.failed and not answer.queries
        self.input_tokens += answer.input_tokens or 0
        self.output_tokens += answer.output_tokens or 0


class LlmQueryWriter:
    """Lets a chat model write queries for documents.

    Attributes:
        name: Name of the model.
        kinds: Kinds that are asked for.
        report: What the last ``write`` came to.
    """

    def __init__(
        self,
        model: BaseChatModel | str,
        settings: WriterSettings | None = None,
        *,
        prompts: Prompts | None = None,
        journal: str | Path | None = None,
        name: str | None = None,
        language: str = "en",
        trials: int = 3,
        concurrency: int = 8,
        patience: int = 10,
        pause: float = 1.0,
    ) -> None:
        """Makes a writer.

        Args:
            model: A chat model of LangChain, or ``PROVIDER:MODEL``.
            settings: Kinds and numbers.
            prompts: Prompts by kind; None for those of the package.
            journal: File of all answers; None keeps them in memory, and a second run pays again.
            name: Name of the model in the journal; None takes the model's own.
            language: Language of the catalog, as an ISO 639-1 code.
            trials: Answers to a request at most.
            concurrency: Calls at the same time at most.
            patience: After so many failed calls in a row (no network, no key), it is given up.
            pause: Seconds after a failed call, doubled with each further one.

        Raises:
            ParameterError: There is no prompt for a kind, or a number is less than 1.
            LLMError: The model cannot be set up.
            MissingDependencyError: langchain or the provider's package is not installed.
        """
        if min(trials, concurrency, patience) < 1:
            raise ParameterError(f"trials, concurrency and patience are at least 1, got {trials}, {concurrency} and {patience}")
        self._settings = settings or WriterSettings()
        self._prompts = prompts or Prompts.default()
        writer = "the writer with these prompts (few_shot needs examples)"
        self.kinds = check_kinds(self._settings.kinds, self._prompts.kinds, writer)
        self._model = _init(model)
        self.name = name or (model if isinstance(model, str) else _name_of(model))
        self._journal = Journal(journal, Answer)
        self._language = language
        self._trials, self._concurrency, self._patience, self._pause = trials, concurrency, patience, pause
        self._in_a_row = 0
        self.report = CallReport()

    def estimate(self, documents: Sequence[Document]) -> Estimate:
        """Returns what writing for documents will cost; nothing is asked."""
        prompt = held = given_up = calls = 0
        for request in self._requests(documents):
            known = self._held(request)
            if known.good is not None:
                held += 1
            elif len(known.bad) >= self._trials:
                given_up += 1
            else:
                calls += 1
                prompt += tokens_of(request.system) + tokens_of(request.message)
        return Estimate(calls, held, given_up, prompt, calls * output_tokens(self._settings.per_element))

    def write(self, documents: Sequence[Document], *, on_call: Callable[[], None] = lambda: None) -> Iterator[Example]:
        """Yields the queries of each document, kind after kind, once all answers are there.

        Args:
            documents: What queries are written for.
            on_call: Called after each kind of each document, say for progress.

        Raises:
            LLMError: ``patience`` calls in a row failed. What was answered is in the journal: run it again.
            ParameterError: It is called in a running event loop (await ``awrite`` there), or the journal cannot be written.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            yield from asyncio.run(self.awrite(documents, on_call=on_call))
            return
        raise ParameterError("an event loop is running, as in a notebook: await writer.awrite(documents) instead of writer.write")

    async def awrite(self, documents: Sequence[Document], *, on_call: Callable[[], None] = lambda: None) -> list[Example]:
        """Does what ``write`` does, in a running event loop."""
        self.report, self._in_a_row = CallReport(), 0
        requests = iter(self._requests(documents))
        tasks = [asyncio.create_task(self._work(requests, on_call)) for _ in range(self._concurrency)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return list(self._examples(documents))

    def _requests(self, documents: Sequence[Document]) -> Iterator[Request]:
        for document in documents:
            for kind in self.kinds:
                yield self._prompts.request(kind, document, self._settings.per_element, self._settings.seed)

    def _key(self, request: Request) -> str:
        return key_of(self.name, request.system, request.message)

    def _held(self, request: Request) -> _Held:
        answers = self._journal.of(self._key(request))
        good = next((answer for answer in answers if answer.queries), None)
        return _Held(good, [answer for answer in answers if not answer.queries and not answer.failed])

    def _examples(self, documents: Sequence[Document]) -> Iterator[Example]:
        for request in self._requests(documents):
            good = self._held(request).good
            for number, query in enumerate(good.queries if good else ()):
                yield request.document.example(request.kind, number, query, self._language)

    async def _work(self, requests: Iterable[Request], on_call: Callable[[], None]) -> None:
        # All workers take from one iterator, so that no more than a handful of requests exist at a time.
        for request in requests:
            await self._settle(request)
            on_call()

    async def _settle(self, request: Request) -> None:
        """Asks until there is a good answer or the trials are used up."""
        held = self._held(request)
        if held.good is not None:
            self.report.held += 1
            return
        last = held.bad[-1] if held.bad else None
        for trial in range(self._trials - len(held.bad)):
            answer = await self._call(request, last)
            self._journal.add(answer)
            self.report.add(answer)
            if answer.queries:
                return
            last = answer
            if answer.failed:
                await asyncio.sleep(min(self._pause * 2**trial, _LONGEST_PAUSE))
        element = request.document.element
        problem = last.problem if last else "no trial was left"
        self.report.given_up.append(f"{element.element_type} {element.id}, {request.kind}: {problem}")

    async def _call(self, request: Request, last: Answer | None) -> Answer:
        from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

        messages: list[BaseMessage] = [SystemMessage(request.system), HumanMessage(request.message)]
        if last is not None and not last.failed:
            messages += [AIMessage(last.text or "(nothing)"), HumanMessage(_AGAIN.format(problem=last.problem))]
        element = request.document.element
        facts: dict[str, Any] = {
            "key": self._key(request),
            "model": self.name,
            "kind": request.kind,
            "element_type": element.element_type,
            "element_id": element.id,
        }
        try:
            reply = await self._model.ainvoke(messages)
        except Exception as error:  # every provider raises classes of its own
            return self._failed(Answer(**facts, problem=f"{type(error).__name__}: {error}", failed=True), error)
        self._in_a_row = 0
        text, usage = str(reply.text), getattr(reply, "usage_metadata", None) or {}
        queries, problem = self._read(text, request.document)
        tokens = {"input_tokens": usage.get("input_tokens"), "output_tokens": usage.get("output_tokens")}
        return Answer(**facts, **tokens, queries=tuple(queries), text=text, problem=problem)

    def _failed(self, answer: Answer, error: Exception) -> Answer:
        self._in_a_row += 1
        if self._in_a_row >= self._patience:
            self._journal.add(answer)
            raise LLMError(
                f"{self._in_a_row} calls of {self.name!r} in a row failed; the last one: {answer.problem}. "
                "Answers so far are kept: run the same command again"
            ) from error
        return answer

    def _read(self, text: str, document: Document) -> tuple[list[str], str]:
        """Returns the queries of an answer that can be used, and what is wrong where there are none."""
        found = read_answer(text, self._settings.per_element)
        faults = {query: fault(query, document) for query in found}
        good = [query for query in found if faults[query] is None]
        if good:
            return good, ""
        why = ", ".join(sorted({str(item) for item in faults.values()}))
        return [], f"none of its queries is of use ({why})" if found else "it holds no list of queries"


def _init(model: BaseChatModel | str) -> Any:
    if not isinstance(model, str):
        return model
    from multiretriever.langchain import init_model  # brings LangChain

    return init_model(model)


def _name_of(model: Any) -> str:
    names = (getattr(model, name, None) for name in _NAMES)
    return next((name for name in names if isinstance(name, str) and name), type(model).__name__)
