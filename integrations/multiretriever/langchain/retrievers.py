"""LangChain retrievers, one for every element type, over one retriever of core."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import pydantic
from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever, LangSmithRetrieverParams
from typing_extensions import Self

from multiretriever.core.catalog import Catalog
from multiretriever.core.elements import element_type as type_of
from multiretriever.core.encoders import EncoderSpec
from multiretriever.core.errors import MultiRetrieverError, ParameterError
from multiretriever.core.index import DEFAULT_NAME
from multiretriever.core.query import (
    Context,
    Mode,
    QueryContext,
    SearchOptions,
    Where,
    check_context,
    check_k,
    check_mode,
    check_query,
    check_where,
)
from multiretriever.core.retriever import Hit, MultiRetriever
from multiretriever.langchain.batch import Answer, Configs, aend_runs, astart_runs, end_runs, raise_first, start_runs

# LangChain takes these out of a call's arguments only after it has handed them on.
_OF_LANGCHAIN = ("verbose",)


class SearchFields(pydantic.BaseModel):
    """Fields that a retriever and a grounding have in common. What is wrong with a field is raised as core's own error.

    Attributes:
        retriever: The retriever of core.
        context: What else is known of every query.
        where: Values that hits must have.
        mode: How to rank; None for the retriever's own.
    """

    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    # What a call takes beside the options of a search.
    beside: ClassVar[tuple[str, ...]] = ()

    retriever: MultiRetriever
    context: QueryContext | None = None
    where: Where | None = None
    mode: Mode | None = None

    # Type checkers are to see the fields as arguments.
    if not TYPE_CHECKING:

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
            except pydantic.ValidationError as error:
                raise _core_error(type(self), error) from error

    @pydantic.field_validator("context", mode="before")
    @classmethod
    def _check_context(cls, value: Any) -> Any:
        return None if value is None else check_context(value)

    @pydantic.field_validator("where", mode="before")
    @classmethod
    def _check_where(cls, value: Any) -> Any:
        # Which names there are is known only to the index, and checked there.
        return None if value is None else check_where(value, tuple(value) if isinstance(value, Mapping) else (), "any")

    @pydantic.field_validator("mode", mode="before")
    @classmethod
    def _check_mode(cls, value: Any) -> Any:
        return None if value is None else check_mode(value)

    def _options(self, given: Mapping[str, Any]) -> SearchOptions:
        """Returns the options of one call: those given to it, and the own ones for the others.

        Raises:
            ParameterError: A name is unknown, or a value is not valid.
        """
        own = SearchOptions(context=self.context, where=self.where, mode=self.mode)
        named = {name: value for name, value in given.items() if name not in _OF_LANGCHAIN}
        return own.replaced(named, beside=self.beside)


def _core_error(owner: type, error: pydantic.ValidationError) -> MultiRetrieverError:
    """Returns what a validator raised, or else the first thing that is wrong as an error of core."""
    first = error.errors(include_url=False)[0]
    raised = first.get("ctx", {}).get("error")
    if isinstance(raised, MultiRetrieverError):
        return raised
    field = ".".join(str(part) for part in first["loc"])
    return ParameterError(f"{owner.__name__}: {field}: {first['msg']}")


def _one_each(context: Any, count: int) -> list[Context]:
    """Returns the context of each of ``count`` queries, of one for all or of a list of one for each."""
    if not isinstance(context, Sequence) or isinstance(context, str):
        return [cast(Context, context)] * count
    if len(context) != count:
        raise ParameterError(f"context is one for all queries, or a list of {count}, one for each (got {len(context)})")
    return list(context)


def to_document(hit: Hit) -> Document:
    """Returns a hit as a new document, which shares nothing with it.

    ``id`` is that of the element, ``page_content`` the text that was embedded, ``metadata`` what ``Hit.metadata`` returns and the
    ``score``.
    """
    return Document(id=hit.id, page_content=hit.text, metadata={**hit.metadata(), "score": float(hit.score)})


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
        encoder: EncoderSpec = None,
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
        return cls._over(MultiRetriever.from_catalog(catalog, location, encoder=encoder, name=index_name), options)

    @classmethod
    def _over(cls, retriever: MultiRetriever, options: dict[str, Any]) -> Self:
        try:
            return cls(retriever=retriever, **options)
        except BaseException:
            retriever.close()
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
            return_exceptions: Whether an exception takes the place of its answer; otherwise the first one is raised, after
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

    def _options(self, given: Mapping[str, Any]) -> SearchOptions:
        return super()._options({"k": self.k, **{name: value for name, value in given.items() if value is not None}})

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **options: Any
    ) -> list[Document]:
        (hits,) = self.retriever.search([query], self.element_type, self._options(options))
        return [to_document(hit) for hit in hits]

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **options: Any
    ) -> list[Document]:
        (hits,) = await asyncio.to_thread(self.retriever.search, [query], self.element_type, self._options(options))
        return [to_document(hit) for hit in hits]

    def _answers(self, queries: Sequence[str], given: Mapping[str, Any]) -> list[Answer]:
        """Answers all queries in one pass; a query with a fault of its own does not spoil the others."""
        try:
            contexts = _one_each(given.get("context"), len(queries))
            asked = [self._asked(query, {**given, "context": item}) for query, item in zip(queries, contexts, strict=True)]
            sound = {place: item for place, item in enumerate(asked) if isinstance(item, SearchOptions)}
            found = self.retriever.search(
                [queries[place] for place in sound],
                self.element_type,
                next(iter(sound.values()), None),
                contexts=[options.context for options in sound.values()],
            )
        except Exception as error:
            return [error] * len(queries)
        documents = {place: [to_document(hit) for hit in hits] for place, hits in zip(sound, found, strict=True)}
        return [documents[place] if isinstance(item, SearchOptions) else item for place, item in enumerate(asked)]

    def _asked(self, query: Any, given: Mapping[str, Any]) -> SearchOptions | Exception:
        """Returns the options of one query of a batch, or what is wrong with it."""
        try:
            check_query(query)
            return self._options(given)
        except ParameterError as error:
            return error

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
    """Retrieves fields, of one table where one is named.

    Attributes:
        table: Name of the table, also as an argument of a call. It goes into the query and limits the hits.
    """

    beside: ClassVar[tuple[str, ...]] = ("table",)

    element_type: Literal["field"] = "field"
    table: str | None = None

    @pydantic.field_validator("table", mode="before")
    @classmethod
    def _check_table(cls, value: Any) -> str | None:
        if value is not None:
            SearchOptions().within_table(value)
        return cast("str | None", value)

    def _options(self, given: Mapping[str, Any]) -> SearchOptions:
        table = self.table if given.get("table") is None else given["table"]
        options = super()._options({name: value for name, value in given.items() if name != "table"})
        return options if table is None else options.within_table(table)


class CatalogItemRetriever(ElementRetriever):
    """Retrieves things that people can order or ask for."""

    element_type: Literal["catalog_item"] = "catalog_item"


class WorkflowRetriever(ElementRetriever):
    """Retrieves whole stored workflows."""

    element_type: Literal["workflow"] = "workflow"
