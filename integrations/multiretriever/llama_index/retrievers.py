"""LlamaIndex retrievers of one element type each."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any, ClassVar

from llama_index.core.callbacks import CallbackManager
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from typing_extensions import Self

from multiretriever.core.catalog import Catalog
from multiretriever.core.elements import element_type as registered_type
from multiretriever.core.encoders import EncoderSpec, Vectors, unit_vectors
from multiretriever.core.errors import ParameterError
from multiretriever.core.index import DEFAULT_NAME
from multiretriever.core.prompts import fit_prompt
from multiretriever.core.query import Context, Mode, SearchOptions, Where, check_context, check_k
from multiretriever.core.retriever import Hit, MultiRetriever


class IndexRetriever(BaseRetriever):
    """A LlamaIndex retriever over a ``MultiRetriever``.

    Attributes:
        retriever: What finds the elements. Several retrievers may share it; whoever is done with all of them closes it.
        mode: ``dense``, ``lexical`` or ``hybrid``; None for the retriever's own.
        where: Values that hits must have.
        context: What is known beside the query's text; it goes into the query.
    """

    def __init__(
        self,
        retriever: MultiRetriever,
        *,
        mode: Mode | None = None,
        where: Where | None = None,
        context: Context = None,
        callback_manager: CallbackManager | None = None,
        verbose: bool = False,
    ) -> None:
        """Makes a retriever.

        Raises:
            ParameterError: There is no such mode, or the context is not valid.
        """
        super().__init__(callback_manager=callback_manager, verbose=verbose)
        self.retriever = retriever
        options = SearchOptions(context=context, where=where, mode=mode)
        self.mode, self.where, self.context = options.mode, options.where, check_context(options.context)

    @classmethod
    def from_path(
        cls, location: str | Path, *, encoder: EncoderSpec = None, index_name: str = DEFAULT_NAME, **options: Any
    ) -> Self:
        """Opens an index and makes a retriever over it.

        Args:
            location: Folder of the index, or URL of a Chroma server.
            encoder: The encoder that it was built with; None for the shipped one.
            index_name: Name of the index, where one server holds several.
            options: Further arguments of the class.

        Raises:
            MultiRetrieverError: What ``Index.open`` and the class raise.
        """
        return cls._over(MultiRetriever.open(location, encoder=encoder, name=index_name), options)

    @classmethod
    def from_catalog(
        cls,
        catalog: Catalog | str | Path,
        location: str | Path | None = None,
        *,
        encoder: EncoderSpec = None,
        index_name: str = DEFAULT_NAME,
        **options: Any,
    ) -> Self:
        """Indexes a catalog and makes a retriever over it.

        Args:
            catalog: The catalog, or a path that ``Catalog.from_path`` takes.
            location: Folder or URL of the index; None for one in memory.
            encoder: The encoder; None for the shipped one.
            index_name: Name of the index, where one server holds several.
            options: Further arguments of the class.

        Raises:
            MultiRetrieverError: What ``Catalog.from_path``, ``Index.from_catalog`` and the class raise.
        """
        return cls._over(MultiRetriever.from_catalog(catalog, location, encoder=encoder, name=index_name), options)

    @classmethod
    def _over(cls, retriever: MultiRetriever, options: dict[str, Any]) -> Self:
        try:
            return cls(retriever, **options)
        except BaseException:
            retriever.close()
            raise

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        # Encoder and index work synchronously; in a thread they leave the event loop free.
        return await asyncio.to_thread(self._retrieve, query_bundle)

    def close(self) -> None:
        """Closes the index, also for others that share ``retriever``."""
        self.retriever.close()


# How a hit was found is nothing that a chat model needs to read; label and description are in the text already.
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

    Its id is the element's, its text what was embedded, its score the hit's, its ``metadata`` what ``Hit.metadata`` returns.

    Raises:
        ElementTypeError: The type of the element is no longer registered.
    """
    metadata = hit.metadata()
    node = ElementNode(
        id_=hit.id,
        text=hit.text,
        metadata=metadata,
        excluded_llm_metadata_keys=list(_NOT_FOR_LLM),
        # The text is just what the index embedded for the element.
        excluded_embed_metadata_keys=list(metadata),
    )
    return NodeWithScore(node=node, score=hit.score)


class ElementRetriever(IndexRetriever):
    """Retrieves elements of one type.

    A query bundle's ``embedding`` is searched with as it is, so it must come from the index's encoder, with the instruction of
    this type (see ``InstructionEmbeddings``). Of several ``custom_embedding_strs`` (HyDE) the mean is searched with, as
    LlamaIndex does; BM25 always reads ``query_str``.

    Attributes:
        default_type: The element type of a subclass that is made for one.
        element_type: Name of the element type.
    """

    default_type: ClassVar[str | None] = None

    def __init__(
        self,
        retriever: MultiRetriever,
        element_type: str | None = None,
        *,
        similarity_top_k: int | None = None,
        k: int | None = None,
        mode: Mode | None = None,
        where: Where | None = None,
        context: Context = None,
        callback_manager: CallbackManager | None = None,
        verbose: bool = False,
    ) -> None:
        """Makes a retriever.

        Args:
            retriever: What finds the elements.
            element_type: Name of the element type, such as ``step``; a subclass that is made for one type need not be given it.
            similarity_top_k: Hits at most; None for the type's default (15 steps, 5 of the others).
            k: The same, under the name that core and LangChain have for it.
            mode: ``dense``, ``lexical`` or ``hybrid``; None for the retriever's own.
            where: Values that hits must have, such as ``{"scope": "core"}``.
            context: What else is known (see ``QueryContext``). It goes into the query and does not limit the hits.
            callback_manager: As of every LlamaIndex retriever.
            verbose: As of every LlamaIndex retriever.

        Raises:
            ElementTypeError: The type is unknown.
            ParameterError: The type is missing or not that of the class, or k, mode or context is not valid.
        """
        super().__init__(retriever, mode=mode, where=where, context=context, callback_manager=callback_manager, verbose=verbose)
        self.element_type = _type_of(type(self), element_type)
        if k is not None and similarity_top_k not in (None, k):
            raise ParameterError(f"similarity_top_k and k are one thing by two names (got {similarity_top_k!r} and {k!r})")
        self.similarity_top_k = similarity_top_k if k is None else k

    @property
    def similarity_top_k(self) -> int:
        """Hits at most."""
        return self._top_k

    @similarity_top_k.setter
    def similarity_top_k(self, value: int | None) -> None:
        self._top_k = check_k(value, registered_type(self.element_type).default_k)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        options = SearchOptions(self.similarity_top_k, self.context, self.where, self.mode)
        (hits,) = self.retriever.search([query_bundle.query_str], self.element_type, options, vectors=self._vectors(query_bundle))
        return [to_node(hit) for hit in hits]

    def _vectors(self, bundle: QueryBundle) -> Vectors | None:
        """Returns the vector that the bundle brings along or describes; None where its text is to be encoded by core."""
        if (self.mode or self.retriever.mode) == "lexical":
            return None
        encoder = self.retriever.index.encoder
        if bundle.embedding is not None:
            return unit_vectors([bundle.embedding], 1, encoder.dimension, "QueryBundle.embedding")
        if not bundle.custom_embedding_strs:
            return None
        prompts = [self.retriever.prompt(text, self.element_type, context=self.context) for text in bundle.embedding_strs]
        vectors = encoder.encode_queries([fit_prompt(encoder, prompt) for prompt in prompts])
        mean: Vectors = vectors.mean(axis=0, keepdims=True)
        return mean


def _type_of(cls: type[ElementRetriever], given: str | None) -> str:
    name = given or cls.default_type
    if name is None:
        raise ParameterError('ElementRetriever needs an element type, such as element_type="step"')
    found = registered_type(name).name
    if cls.default_type not in (None, found):
        raise ParameterError(f"{cls.__name__} retrieves elements of type {cls.default_type!r} (got {given!r})")
    return found


class StepRetriever(ElementRetriever):
    """Retrieves steps."""

    default_type = "step"


class TableRetriever(ElementRetriever):
    """Retrieves tables."""

    default_type = "table"


class FieldRetriever(ElementRetriever):
    """Retrieves fields, on request of one table.

    Attributes:
        table: The table; None for fields of all tables.
    """

    default_type = "field"

    def __init__(
        self,
        retriever: MultiRetriever,
        element_type: str | None = None,
        *,
        table: str | None = None,
        where: Where | None = None,
        context: Context = None,
        **options: Any,
    ) -> None:
        """Makes a retriever.

        Args:
            retriever: What finds the fields.
            element_type: As of ``ElementRetriever``.
            table: Name of the table whose fields are wanted: written into the query, and others are left out.
            where: As of ``ElementRetriever``.
            context: As of ``ElementRetriever``.
            options: Further arguments of ``ElementRetriever``.

        Raises:
            ParameterError: The table is no name, or the filter names another one. Beside that, what ``ElementRetriever`` raises.
        """
        if table is not None:
            within = SearchOptions(context=context, where=where).within_table(table)
            where, context = within.where, within.context
        super().__init__(retriever, element_type, where=where, context=context, **options)
        self.table = table


class CatalogItemRetriever(ElementRetriever):
    """Retrieves catalog items."""

    default_type = "catalog_item"


class WorkflowRetriever(ElementRetriever):
    """Retrieves whole workflows."""

    default_type = "workflow"
