"""Checks of datasets: flows against the catalog, queries against their answers, and queries that leak into a document.

A query leaks where it appears word for word in a document that is searched: it must not be measured with. The rule: take the
text of each element of the type that is looked for, without the lines that are only its names (label, name, scope, table,
titles of fields), since people do search by names. Letter case, punctuation and white space do not count. A query of at least
``LEAST_WORDS`` words leaks where its words appear in what is left, in their order and side by side; a shorter one, where it is
a whole line or sentence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from multiretriever.core.catalog import Catalog
from multiretriever.core.elements import Element, Field, Table, element_type
from multiretriever.core.errors import DatasetError, LeakageError, Problem
from multiretriever.core.example import Example
from multiretriever.core.flows import Flow, FlowStep
from multiretriever.core.names import split_words
from multiretriever.datasets.dataset import Dataset
from multiretriever.grounding import check_flow

# The logic of the platform by the name of its definition, whatever the scope.
_ELSE = ("else", "else_if")
_AFTER = ("if", "else_if")
_OUTPUT = re.compile(r"\{\{(\d+)\.")


def check_dataset(dataset: Dataset, split: str | None = None) -> Iterator[str]:
    """Yields everything that is wrong in the flows and written queries of a dataset, in a line each.

    Checked are names (see ``check_flow``), that triggers and steps have annotations, that a block is opened by a step of kind
    ``logic``, that an else follows its if, that no step uses the output of a later one, and that every answer of a written query
    is in the catalog.

    Raises:
        DatasetError, FlowError: A file is not valid.
        ParameterError: There is no such split.
    """
    for flow in dataset.flows(split):
        yield from (f"flow {flow.name!r}: {problem}" for problem in check_structure(flow, dataset.catalog))
    for example in dataset.given(split):
        for item in example.relevant:
            if dataset.catalog.get(example.element_type, item) is None:
                yield f"query {example.id!r}: the catalog has no {example.element_type} {item!r}"


def check_structure(flow: Flow, catalog: Catalog) -> Iterator[str]:
    """Yields everything that is wrong in a flow: hallucinated names, blocks, outputs, missing wording."""
    yield from map(str, check_flow(flow, catalog).findings)
    if flow.trigger is not None and not flow.trigger.annotation.strip():
        yield "trigger: has no annotation"
    kinds = {step.order: _kind(step, catalog) for step in flow.steps}
    for step in flow.steps:
        where = f"step {step.order}"
        if not step.annotation.strip():
            yield f"{where}: has no annotation"
        if step.block and kinds[step.block] not in ("logic", None):
            yield f"{where}: its block {step.block} is opened by an action"
        late = sorted(
            {int(number) for number in _OUTPUT.findall(json.dumps(step.inputs, default=str)) if int(number) >= step.order}
        )
        yield from (f"{where}: uses the output of step {number}, which is not there yet" for number in late)
        if _name(step) in _ELSE and not _follows_if(step, flow):
            yield f"{where}: {step.definition} follows no if on its level"


def _kind(step: FlowStep, catalog: Catalog) -> str | None:
    found = catalog.find("step", step.definition or "") if step.definition else ()
    return found[0].kind if found else None


def _name(step: FlowStep) -> str:
    return (step.definition or "").rpartition(".")[2]


def _follows_if(step: FlowStep, flow: Flow) -> bool:
    before = [other for other in flow.steps if other.order < step.order and other.block == step.block]
    return bool(before) and _name(before[-1]) in _AFTER


# Four in a row ("on the first day") occur by chance in a catalog of some hundred descriptions.
LEAST_WORDS = 5
_WORD = re.compile(r"\w+")
_SENTENCE_END = re.compile(r"[\n.;!?]+")


@dataclass(frozen=True)
class Leak:
    """A query that appears in the text of an element that is searched.

    Attributes:
        dataset: Name of the dataset.
        query_id: Id of the query.
        element_type: Type of the element.
        element_id: Id of the element.
    """

    dataset: str
    query_id: str
    element_type: str
    element_id: str


def find_leaks(dataset: Dataset, examples: Iterable[Example]) -> list[Leak]:
    """Returns the queries that appear in the text of an element of their type; of several elements the first."""
    documents: dict[str, _Documents] = {}
    leaks = []
    for example in examples:
        name = example.element_type
        if name not in documents:
            documents[name] = _Documents(dataset.catalog.of(name))
        element_id = documents[name].holding(words_of(example.query))
        if element_id is not None:
            leaks.append(Leak(dataset.name, example.id, name, element_id))
    return leaks


def words_of(text: str) -> tuple[str, ...]:
    """Returns the words of a text, in small letters."""
    return tuple(_WORD.findall(text.casefold()))


class _Documents:
    """The texts of all elements of a type, by their beginnings: of sentences, and of every few words in a row."""

    def __init__(self, elements: Iterable[Element]) -> None:
        self._prose: dict[str, _Prose] = {}
        self._sentences: dict[tuple[str, ...], str] = {}
        self._starts: dict[tuple[str, ...], list[str]] = {}
        for element in elements:
            prose = self._prose[element.id] = _Prose(element)
            for sentence in prose.sentences:
                self._sentences.setdefault(sentence, element.id)
            for start in prose.starts():
                self._starts.setdefault(start, []).append(element.id)

    def holding(self, words: Sequence[str]) -> str | None:
        """Returns the first element whose text holds words, if there is one."""
        if len(words) < LEAST_WORDS:
            return self._sentences.get(tuple(words)) if words else None
        near = self._starts.get(tuple(words[:LEAST_WORDS]), ())
        return next((item for item in near if self._prose[item].holds(words)), None)


class _Prose:
    """What an element's text says beside its names."""

    def __init__(self, element: Element) -> None:
        names = {words_of(name) for name in _names(element)}
        lines = element_type(element.element_type).text(element).split("\n")
        kept = [line for line in lines if words_of(line) not in names]
        self.sentences = {words_of(sentence) for line in kept for sentence in (line, *_SENTENCE_END.split(line))}
        self._words = [word for line in kept for word in words_of(line)]
        self._text = _spaced(self._words)

    def starts(self) -> set[tuple[str, ...]]:
        """Returns every ``LEAST_WORDS`` words that appear side by side."""
        return {tuple(self._words[place : place + LEAST_WORDS]) for place in range(len(self._words) - LEAST_WORDS + 1)}

    def holds(self, words: Sequence[str]) -> bool:
        """Whether words appear in it side by side."""
        return _spaced(words) in self._text


def _spaced(words: Iterable[str]) -> str:
    return f" {' '.join(words)} "


def _names(element: Element) -> Iterable[str]:
    yield from (element.label, element.name, split_words(element.name), element.scope, split_words(element.scope))
    if isinstance(element, Field):
        yield from (element.table, split_words(element.table))
    if isinstance(element, Table):
        yield ", ".join(element.fields)


def check_examples(dataset: Dataset, examples: Sequence[Example]) -> None:
    """Checks that ids of queries are unique and that all answers are in the catalog.

    Raises:
        DatasetError: Otherwise; it lists every problem with the id of its query.
    """
    problems = []
    seen: set[str] = set()
    for example in examples:
        place = f"query {example.id!r}"
        if example.id in seen:
            problems.append(Problem("the id appears twice; ids must be unique", dataset.name, field=place))
        seen.add(example.id)
        for element_id in example.relevant:
            if dataset.catalog.get(example.element_type, element_id) is None:
                message = f"there is no {example.element_type} {element_id!r} in the catalog"
                problems.append(Problem(message, dataset.name, field=place))
        if not example.relevant:
            problems.append(Problem("it has no relevant element", dataset.name, field=place))
    if problems:
        raise DatasetError(problems)


def check_leakage(dataset: Dataset, examples: Sequence[Example], *, allow: bool) -> list[Leak]:
    """Returns the queries that appear in an element that is searched (see ``leakage``).

    Raises:
        LeakageError: There are any, and they are not allowed.
    """
    leaks = find_leaks(dataset, examples)
    if leaks and not allow:
        rule = f"at least {LEAST_WORDS} words of it side by side, or a whole sentence"
        raise LeakageError(
            [
                Problem(
                    f"its text appears in the {leak.element_type} {leak.element_id!r} ({rule}); such a query "
                    "measures nothing: leave the text out of the catalog, or allow leakage to have it counted only",
                    dataset.name,
                    field=f"query {leak.query_id!r}",
                )
                for leak in leaks
            ]
        )
    return leaks
