"""What the retrievers of one type and of several types share."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from llama_index.core.callbacks import CallbackManager
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle
from typing_extensions import Self

from multiretriever.core.catalog import Catalog
from multiretriever.core.encoders import Encoder
from multiretriever.core.filters import Where
from multiretriever.core.index import DEFAULT_NAME, Index
from multiretriever.core.query import Mode, QueryContext, check_context, check_mode
from multiretriever.core.retriever import Context, MultiRetriever


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
        self.mode = None if mode is None else check_mode(mode)
        self.where = where
        self.context: QueryContext = check_context(context)

    @classmethod
    def from_path(
        cls, location: str | Path, *, encoder: Encoder | str | Path | None = None, index_name: str = DEFAULT_NAME, **options: Any
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
        return cls._over(Index.open(location, encoder=encoder, name=index_name), options)

    @classmethod
    def from_catalog(
        cls,
        catalog: Catalog | str | Path,
        location: str | Path | None = None,
        *,
        encoder: Encoder | str | Path | None = None,
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
        read = catalog if isinstance(catalog, Catalog) else Catalog.from_path(catalog)
        return cls._over(Index.from_catalog(read, location, encoder=encoder, name=index_name), options)

    @classmethod
    def _over(cls, index: Index, options: dict[str, Any]) -> Self:
        try:
            return cls(MultiRetriever(index), **options)
        except BaseException:
            index.close()
            raise

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        # Encoder and index work synchronously; in a thread they leave the event loop free.
        return await asyncio.to_thread(self._retrieve, query_bundle)

    def close(self) -> None:
        """Closes the index, also for others that share ``retriever``."""
        self.retriever.close()
