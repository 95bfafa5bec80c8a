"""Queries made of the elements themselves: a description looks for the element that it was written for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from multiretriever.core.catalog import Catalog
from multiretriever.core.datasets.example import Example
from multiretriever.core.elements import Element, Field
from multiretriever.core.registry import element_type

# What the query's text is taken for, by type; for other types it is a requirement.
_KINDS = {
    "step": "step.annotation",
    "table": "table.annotation",
    "catalog_item": "catalog_item.description",
    "workflow": "workflow.requirement",
    "field": "field.table.annotation",
}
# Kinds with a template that also tells the scope.
_SCOPED = ("catalog_item.description", "any")


def element_examples(catalog: Catalog, types: Iterable[str], *, language: str = "en") -> Iterator[Example]:
    """Gives a query for every element of some types that has a description.

    These are the rows of databases of the paper (arXiv 2501.04652, section 3), looked for by what is written about them. The
    description is hidden from the element's text, since a document that holds the query teaches and measures nothing.

    Raises:
        ElementTypeError: There is no such type.
    """
    for name in types:
        kind = element_type(name).name
        for element in catalog.of(kind):
            if not element.description:
                continue
            for made, context in _ways(element):
                yield Example(
                    id=f"{element.id}#{'description.scope' if 'scope' in context else 'description'}",
                    element_type=kind,
                    query=element.description,
                    relevant=(element.id,),
                    context=context,
                    kind=made,
                    language=language,
                    hidden=("description",),
                )


def _ways(element: Element) -> Iterator[tuple[str, dict[str, str]]]:
    """Gives the kinds of queries that a description makes, each with its context."""
    made = _KINDS.get(element.element_type, "any")
    if isinstance(element, Field):
        yield made, {"table": element.table, "text": "annotation"}
        return
    yield made, {"text": "annotation"} if made.endswith("annotation") else {}
    if made in _SCOPED and element.scope:
        yield f"{made}.scope", {"scope": element.scope}
