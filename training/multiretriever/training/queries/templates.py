"""Queries made of plain templates, without any model: a stand-in where no chat model is at hand.

They name an element by its label or by the start of its description, cost nothing and are the same everywhere. The templates are
English.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from multiretriever.core.elements import Element, Field
from multiretriever.core.example import Example
from multiretriever.core.names import split_words
from multiretriever.datasets.checks import words_of
from multiretriever.training.queries.documents import TEMPLATE_KINDS, Document, WriterSettings, check_kinds, fault

_TEMPLATES: Mapping[str, Sequence[str]] = {
    "question": (
        "Where do I find {label}?",
        "Is there something for {label}?",
        "How does {label} work?",
        "What is it called: {gist}?",
        "Which one of {scope} has to do with {label}?",
    ),
    "claim": (
        "There is something for {label}.",
        "This has to do with {label}.",
        "What is needed here is {label}.",
        "Somewhere {scope} has {label}.",
        "There is one for this: {gist}.",
    ),
    "title": ("About {label}", "Notes on {label}", "{Label}, a summary", "{Label} in {scope}", "Something for this: {gist}"),
    "keywords": ("{words}",) * 5,
    "free": (
        "looking for {label}",
        "I need {label} now",
        "then {label}, and carry on",
        "{label} from {scope}, please",
        "something like this: {gist}",
    ),
}
_SLOT = re.compile(r"\{(\w+)\}")
_GIST = 8
_LEAST_LETTERS = 4


class TemplateQueryWriter:
    """Writes queries from templates. The same elements, settings and version of the package yield the same queries.

    Attributes:
        name: Name in what is written.
        kinds: Kinds that it writes.
    """

    name = "templates"

    def __init__(self, settings: WriterSettings | None = None) -> None:
        """Makes a writer.

        Raises:
            ParameterError: There are no templates for one of the kinds.
        """
        self._settings = settings or WriterSettings()
        self.kinds = check_kinds(self._settings.kinds, TEMPLATE_KINDS, "the writer of templates")

    def write(self, documents: Sequence[Document], *, on_call: Callable[[], None] = lambda: None) -> Iterator[Example]:
        """Yields the queries of each document, kind after kind; fewer than asked for where an element says too little.

        Args:
            documents: What queries are written for.
            on_call: Called after each kind of each document, say for progress.
        """
        for document in documents:
            for kind in self.kinds:
                for number, query in enumerate(self._queries(document, kind)):
                    yield document.example(kind, number, query)
                on_call()

    def _queries(self, document: Document, kind: str) -> list[str]:
        element = document.element
        # By the element's id and not by its place, so that its queries stay the same when others come or go.
        rng = random.Random(f"{self._settings.seed}\0{element.element_type}\0{element.id}\0{kind}")
        found: dict[tuple[str, ...], str] = {}
        for template in rng.sample(_TEMPLATES[kind], len(_TEMPLATES[kind])):
            query = _filled(template, _slots(element, rng))
            if query is not None and fault(query, document) is None:
                found.setdefault(words_of(query), query)
        return list(found.values())[: self._settings.per_element]


def _filled(template: str, slots: Mapping[str, str]) -> str | None:
    """Puts words into a template; None where the element has none for one of its places."""
    if not all(slots[name] for name in _SLOT.findall(template)):
        return None
    # By replacement and not by str.format: what stands in a catalog is never read as a template.
    return _SLOT.sub(lambda match: slots[match[1]], template)


def _slots(element: Element, rng: random.Random) -> dict[str, str]:
    label = _small(element.label or split_words(element.name))
    if isinstance(element, Field):
        label = f"{label} of {split_words(element.table)}"
    gist = re.split(r"[.,;:()]", element.description, maxsplit=1)[0].split()[:_GIST]
    scope = split_words(element.scope)
    words = words_of(f"{label} {scope} {element.description}")
    telling = list(dict.fromkeys(word for word in words if len(word) >= _LEAST_LETTERS)) or list(words)
    return {
        "label": label,
        "Label": label[:1].upper() + label[1:],
        "gist": _small(" ".join(gist)),
        "scope": scope,
        "words": " ".join(rng.sample(telling, min(len(telling), rng.randint(3, 5)))),
    }


def _small(text: str) -> str:
    """Returns a text in small letters, abbreviations aside."""
    return " ".join(word if word[1:].lower() != word[1:] else word.lower() for word in text.split())
