"""What queries are written for: elements of a catalog, passages of a corpus."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from multiretriever.core.datasets import Dataset, Example
from multiretriever.core.elements import Element, Field, Step
from multiretriever.core.errors import ParameterError
from multiretriever.core.names import split_words
from multiretriever.core.registry import element_type

# Written queries name one thing each, as the annotation of one step does; a requirement names many.
_ANNOTATIONS = ("step", "table", "field")


@dataclass(frozen=True)
class Document:
    """One element, as writers see it.

    Attributes:
        element: The element.
        text: Its text as it is embedded, and what else tells what it is for: inputs of a step, choices of a field.
    """

    element: Element
    text: str

    @property
    def context(self) -> Mapping[str, str]:
        """What is known when its queries are asked: the table of a field, and that the text is about one step."""
        name = self.element.element_type
        known = {"table": self.element.table} if isinstance(self.element, Field) else {}
        return {**known, "text": "annotation"} if name in _ANNOTATIONS else known

    def example(self, kind: str, number: int | str, query: str, language: str = "en") -> Example:
        """Returns a query for the element. Its id starts with the element's, so that evaluation counts those together."""
        name = f"{self.element.element_type}:{self.element.id}#{kind}#{number}"
        return Example(name, self.element.element_type, query, (self.element.id,), self.context, kind, language)


def documents_of(
    dataset: Dataset, types: Sequence[str] | None = None, *, sample: int | None = None, seed: int = 0
) -> list[Document]:
    """Returns the documents of a dataset, in the order of its catalog.

    Args:
        dataset: The dataset.
        types: Element types; None for all of the catalog.
        sample: Elements of each type at most, drawn at random.
        seed: Seed of that draw.

    Raises:
        ElementTypeError: There is no such type.
        ParameterError: The sample is less than 1, or nothing is left.
    """
    if sample is not None and sample < 1:
        raise ParameterError(f"a sample is a number of elements from 1 (got {sample})")
    names = dataset.catalog.types if not types else tuple(element_type(name).name for name in types)
    found: list[Document] = []
    for name in dict.fromkeys(names):
        elements: Sequence[Element] = dataset.catalog.of(name)
        if sample is not None and sample < len(elements):
            places = sorted(random.Random(f"{seed}\0{name}").sample(range(len(elements)), sample))
            elements = [elements[place] for place in places]
        found += [Document(element, _text(element)) for element in elements]
    if not found:
        raise ParameterError(f"dataset {dataset.name!r} has no elements of {', '.join(names) or 'any type'} to write queries for")
    return found


def _text(element: Element) -> str:
    lines = [element_type(element.element_type).text(element)]
    if isinstance(element, Step) and element.inputs:
        lines.append("inputs: " + ", ".join(item.label or split_words(item.name) for item in element.inputs))
    if isinstance(element, Field) and element.choices:
        lines.append("choices: " + ", ".join(element.choices))
    return "\n".join(lines)
