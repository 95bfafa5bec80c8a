"""A LlamaIndex retriever of several element types at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from llama_index.core.schema import NodeWithScore, QueryBundle, QueryType

from multiretriever.core.elements import element_type
from multiretriever.core.errors import ParameterError
from multiretriever.core.retriever import MultiRetriever
from multiretriever.llama_index.retrievers import IndexRetriever, to_node


class GroundingRetriever(IndexRetriever):
    """Retrieves several element types for one query in one pass of the encoder.

    ``retrieve`` returns the nodes of all types, type by type in the order asked for, each type best first; the metadata
    ``element_type`` tells the type. ``ground`` returns them by type. Scores are comparable within a type only.

    Each type has an instruction of its own, and so a vector of its own: the text of a query bundle is encoded, and its
    ``embedding`` or ``custom_embedding_strs``, if any, are not used.

    Attributes:
        k: Hits by element type; None for all types of the index, each with its default.
    """

    def __init__(self, retriever: MultiRetriever, k: Mapping[str, int] | Iterable[str] | None = None, **options: Any) -> None:
        """Makes a retriever.

        Args:
            retriever: What finds the elements.
            k: Hits by element type, such as ``{"step": 15, "table": 5}``; or just the types; None for all types of the index.
            options: ``mode``, ``where``, ``context``, ``callback_manager`` and ``verbose``, as of ``ElementRetriever``.

        Raises:
            ElementTypeError: A type is unknown.
            ParameterError: k, mode or context is not valid.
        """
        super().__init__(retriever, **options)
        self.k = _by_name(k)

    def ground(self, query: QueryType) -> dict[str, list[NodeWithScore]]:
        """Returns the nodes by element type, best first.

        Raises:
            MultiRetrieverError: What ``MultiRetriever.ground`` raises.
        """
        return self._grouped(self.retrieve(query))

    async def aground(self, query: QueryType) -> dict[str, list[NodeWithScore]]:
        """Does ``ground`` without blocking the event loop."""
        return self._grouped(await self.aretrieve(query))

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        found = self.retriever.ground(query_bundle.query_str, self.k, context=self.context, where=self.where, mode=self.mode)
        return [to_node(hit) for hits in found.values() for hit in hits]

    def _grouped(self, nodes: list[NodeWithScore]) -> dict[str, list[NodeWithScore]]:
        groups: dict[str, list[NodeWithScore]] = {name: [] for name in self.k or self.retriever.index.manifest.types}
        for node in nodes:
            groups[node.node.metadata["element_type"]].append(node)
        return groups

    # A table and a catalog item may have one id, and LlamaIndex would drop the second. No node here refers to another one.
    def _handle_recursive_retrieval(self, query_bundle: QueryBundle, nodes: list[NodeWithScore]) -> list[NodeWithScore]:
        return nodes

    async def _ahandle_recursive_retrieval(self, query_bundle: QueryBundle, nodes: list[NodeWithScore]) -> list[NodeWithScore]:
        return nodes


def _by_name(k: Mapping[str, int] | Iterable[str] | None) -> Mapping[str, int] | tuple[str, ...] | None:
    if k is None:
        return None
    if isinstance(k, Mapping):
        return {element_type(name).name: count for name, count in k.items()}
    if not isinstance(k, Iterable):
        raise ParameterError(f"k maps element types to numbers of hits, such as {{'step': 15}} (got {k!r})")
    return tuple(element_type(name).name for name in ([k] if isinstance(k, str) else k))
