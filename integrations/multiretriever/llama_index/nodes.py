"""Hits as LlamaIndex nodes."""

from __future__ import annotations

import copy
import hashlib
from typing import Any

from llama_index.core.schema import NodeWithScore, TextNode

from multiretriever.core.hits import Hit
from multiretriever.core.registry import element_type

# How a hit was found is nothing that a chat model needs to read; label and description stand in the text already.
_NOT_FOR_LLM = ("rank", "mode", "label", "description")


class ElementNode(TextNode):
    """The node of an element: equal hash for one element, however and at which rank it was found.

    LlamaIndex fuses the answers of several retrievers by ``hash``, which for a plain node covers its metadata, rank included.
    """

    @property
    def hash(self) -> str:
        """Digest of element type and id."""
        return hashlib.sha256(f"{self.metadata.get('element_type')}\n{self.node_id}".encode()).hexdigest()


def to_node(hit: Hit) -> NodeWithScore:
    """Makes a node of a hit; nothing in it is shared with the hit.

    Its id is the element's, its text what was embedded, its score the hit's. ``metadata`` holds ``rank``, ``mode``, ``id``,
    ``element_type``, ``scope``, ``name``, ``label`` and ``description``; the attributes that the type can be filtered on, such as
    ``table``, where they have a value; and the element's own metadata, which gives way where a name is the same.

    Raises:
        ElementTypeError: The type of the element is no longer registered.
    """
    element = hit.element
    kind = element_type(element.element_type)
    metadata: dict[str, Any] = {
        **copy.deepcopy(element.metadata),
        **{name: getattr(element, name) for name in kind.filters if getattr(element, name) not in (None, "")},
        **{name: getattr(element, name) for name in ("id", "element_type", "scope", "name", "label", "description")},
        "rank": hit.rank,
        "mode": hit.mode,
    }
    node = ElementNode(
        id_=element.id,
        text=kind.text(element),
        metadata=metadata,
        excluded_llm_metadata_keys=list(_NOT_FOR_LLM),
        # The text is just what the index embedded for the element.
        excluded_embed_metadata_keys=list(metadata),
    )
    return NodeWithScore(node=node, score=hit.score)
