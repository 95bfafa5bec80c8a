"""LangChain retrievers, one for every element type, over one retriever of core."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import pydantic
from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever, LangSmithRetrieverParams
from typing_extensions import Self

from multiretriever.core.catalog import Catalog
from multiretriever.core.encoders import Encoder
from multiretriever.core.index import DEFAULT_NAME, Index
from multiretriever.core.query import check_k
from multiretriever.core.registry import element_type as type_of
from multiretriever.core.retriever import MultiRetriever
from multiretriever.langchain.documents import to_document
from multiretriever.langchain.options import OPTIONS, SearchFields, check_table, fault_of, one_each, within_table
from multiretriever.langchain.runs import Answer, Configs, aend_runs, astart_runs, end_runs, raise_first, start_runs


class ElementRetriever(SearchFields, BaseRetriever):
    """Retrieves the elements of one type as documents.

    ``k``, ``context``, ``where`` and ``mode`` can be given at construction and at every call, such as
    ``invoke(query, k=3, where={"scope": "core"})``; what is given at a call takes the place of the retriever's own. ``batch`` and
    ``abatch`` encode all queries in one pass, and there ``context`` may be a list of one for each query.

    Attributes:
        retriever: The retriever of core; retrievers of several types can share one.
        element_type: Name of the element type.
        k: Documents at most; None for the type's default (15 steps, 5 of the others).
        context: What else is known of every query (see ``QueryContext``). It goes into the query and does not limit the hits.
        where: Values that hits must have, such as ``{"scope": "core"}``.
        mode: How to rank: ``dense``, ``lexical`` or ``hybrid``; None for the retriever's own.
    """

    model_config = pydantic.ConfigDict(extra="forbid")

    element_type: str
    k: int | None = None

    @pydantic.field_validator("element_type", mode="before")
    @classmethod
    def _check_type(cls, value: Any) -> str:
        return type_of(value).name

    @pydantic.field_validator("k", mode="before")
    @classmethod
    def _check_k(cls, value: Any) -> int | None:
        return None if value is None else check_k(value, 1)

    @classmethod
    def from_path(
        cls,
        location: str | Path,
        *,
        encoder: Encoder | str | Path | None = None,
        index_name: str = DEFAULT_NAME,
        **options: Any,
    ) -> Self:
        """Opens an index and makes a retriever for it.

        Args:
            location: Folder of the index, or URL of a Chroma server.
            encoder: The encoder, or what ``load_encoder`` takes; None for the shipped one.
            index_name: Name of the index, where one server holds several.
            **options: Fields of the retriever, such as ``k``.

        Raises:
            StoreError: The index cannot be opened; see ``Index.open``.
            EncoderError: The encoder cannot be loaded.
            ParameterError: An option is not valid.
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
        """Indexes a catalog and makes a retriever for it.

        Args:
            catalog: The catalog, or what ``Catalog.from_path`` reads.
            location: Where the index is to be; None for memory.
            encoder: As for ``from_path``.
            index_name: As for ``from_path``.
            **options: As for ``from_path``.

        Raises:
            CatalogError: The catalog cannot be read. Beside that, what ``from_path`` raises.
        """
        known = catalog if isinstance(catalog, Catalog) else Catalog.from_path(catalog)
        return cls._over(Index.from_catalog(known, location, encoder=encoder, name=index_name), options)

    @classmethod
    def _over(cls, index: Index, options: dict[str, Any]) -> Self:
        try:
            return cls(retriever=MultiRetriever(index), **options)
        except BaseException:
            index.close()
            raise

    def close(self) -> None:
        """Closes the index, for everything that shares the retriever of core."""
        self.retriever.close()

    def batch(
        self, inputs: list[str], config: Configs = None, *, return_exceptions: bool = False, **kwargs: Any
    ) -> list[list[Document]]:
        """Retrieves for many queries in one pass of the encoder; each has a run of its own for callbacks.

        Args:
            inputs: The queries.
            config: One config for all, or one for each.
            return_exceptions: Whether an exception stands in the place of its answer; otherwise the first one is raised, after
                the other queries were answered.
            **kwargs: ``k``, ``context`` (one, or a list), ``where``, ``mode``.

        Raises:
            MultiRetrieverError: See ``MultiRetriever.retrieve``.
        """
        runs = start_runs(self, inputs, config, kwargs)
        answers = self._answers(inputs, kwargs)
        end_runs(runs, answers)
        if not return_exceptions:
            raise_first(answers)
        return cast(list[list[Document]], answers)

    async def abatch(
        self, inputs: list[str], config: Configs = None, *, return_exceptions: bool = False, **kwargs: Any
    ) -> list[list[Document]]:
        """Does ``batch`` in a thread, so that the event loop goes on."""
        runs = await astart_runs(self, inputs, config, kwargs)
        answers = await asyncio.to_thread(self._answers, inputs, kwargs)
        await aend_runs(runs, answers)
        if not return_exceptions:
            raise_first(answers)
        return cast(list[list[Document]], answers)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **options: Any
    ) -> list[Document]:
        return [to_document(hit) for hit in self.retriever.retrieve(query, self.element_type, **self._options(options))]

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **options: Any
    ) -> list[Document]:
        hits = await self.retriever.aretrieve(query, self.element_type, **self._options(options))
        return [to_document(hit) for hit in hits]

    def _answers(self, queries: Sequence[str], given: Mapping[str, Any]) -> list[Answer]:
        """Answers all queries in one pass; a query with a fault of its own does not spoil the others."""
        try:
            options = self._options(given)
            contexts = one_each(options.pop("context"), len(queries))
            faults = [fault_of(query, context) for query, context in zip(queries, contexts, strict=True)]
            sound = [place for place, fault in enumerate(faults) if fault is None]
            found = self.retriever.retrieve_batch(
                [queries[place] for place in sound],
                self.element_type,
                context=[contexts[place] for place in sound],
                **options,
            )
        except Exception as error:
            return [error] * len(queries)
        documents = {place: [to_document(hit) for hit in hits] for place, hits in zip(sound, found, strict=True)}
        return [documents[place] if fault is None else fault for place, fault in enumerate(faults)]

    def _get_ls_params(self, **kwargs: Any) -> LangSmithRetrieverParams:
        params = super()._get_ls_params(**kwargs)
        params["ls_vector_store_provider"] = "Chroma"
        params["ls_embedding_provider"] = "multiretriever"
        params["ls_embedding_model"] = self.retriever.index.encoder.name
        return params


class StepRetriever(ElementRetriever):
    """Retrieves steps that a flow can be made of."""

    element_type: Literal["step"] = "step"


class TableRetriever(ElementRetriever):
    """Retrieves tables."""

    element_type: Literal["table"] = "table"


class FieldRetriever(ElementRetriever):
    """Retrieves fields, of one table where it is told which.

    Attributes:
        table: Name of the table, also as an argument of a call. It goes into the query and limits the hits.
    """

    element_type: Literal["field"] = "field"
    table: str | None = None

    @pydantic.field_validator("table", mode="before")
    @classmethod
    def _check_table(cls, value: Any) -> str | None:
        return None if value is None else check_table(value)

    def _options(self, given: Mapping[str, Any], known: Sequence[str] = (*OPTIONS, "table")) -> dict[str, Any]:
        options = super()._options(given, known)
        table = options.pop("table")
        return options if table is None else within_table(options, check_table(table))


class CatalogItemRetriever(ElementRetriever):
    """Retrieves things that people can order or ask for."""

    element_type: Literal["catalog_item"] = "catalog_item"


class WorkflowRetriever(ElementRetriever):
    """Retrieves whole stored workflows."""

    element_type: Literal["workflow"] = "workflow"
