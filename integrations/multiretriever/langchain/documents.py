"""Hits as LangChain documents."""

from __future__ import annotations

import copy
from typing import Any

from langchain_core.documents import Document

from multiretriever.core.hits import Hit
from multiretriever.core.registry import element_type


def to_document(hit: Hit) -> Document:
    """Returns a hit as a new document, which shares nothing with it.

    ``id`` is that of the element, ``page_content`` the text that was embedded. ``metadata`` holds ``score``, ``rank``, ``mode``,
    ``id``, ``element_type``, ``scope``, ``name``, ``label`` and ``description``; the attributes that the type can be filtered on,
    such as ``table``, where they have a value; and the element's own metadata, which gives way where a name is the same.
    """
    element = hit.element
    kind = element_type(element.element_type)
    metadata: dict[str, Any] = {
        **element.metadata,
        **{name: getattr(element, name) for name in kind.filters if getattr(element, name) not in (None, "")},
        "score": float(hit.score),
        "rank": hit.rank,
        "mode": hit.mode,
        **{name: getattr(element, name) for name in ("id", "element_type", "scope", "name", "label", "description")},
    }
    return Document(id=hit.id, page_content=kind.text(element), metadata=copy.deepcopy(metadata))
