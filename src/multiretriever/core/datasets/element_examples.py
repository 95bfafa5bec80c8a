"""Queries made of the elements themselves: a description looks for the element that it was written for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from multiretriever.core.catalog import Catalog
from multiretriever.core.datasets.example import Example
from multiretriever.core.registry import element_type

# What the query's text is taken for, by type; for other types it is a requirement.
_KINDS = {
    "step": "step.annotation",
    "table": "table.annotation",
    "catalog_item": "catalog_item.description",
    "workflow": "workflow.requirement",
    "field": "field.table.annotation",
}


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
            context = {"table": element.table} if kind == "field" else {}
            if kind in ("step", "table", "field"):
                context["text"] = "annotation"
            yield Example(
                id=f"{element.id}#description",
                element_type=kind,
                query=element.description,
                relevant=(element.id,),
                context=context,
                kind=_KINDS.get(kind, "any"),
                language=language,
                hidden=("description",),
            )
