"""LangChain retrievers, one for every element type, over one retriever of core."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import pydantic
from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever, LangSmithRetrieverParams
from typing_extensions import Self

from multiretriever.core.catalog import Catalog
from multiretriever.core.elements import element_type
from multiretriever.core.elements import element_type as type_of
from multiretriever.core.encoders import Encoder
from multiretriever.core.errors import MultiRetrieverError, ParameterError
from multiretriever.core.index import DEFAULT_NAME, Index
from multiretriever.core.query import Mode, QueryContext, Where, check_context, check_k, check_mode, check_query, check_where
from multiretriever.core.retriever import Context, Hit, MultiRetriever
from multiretriever.langchain.batch import Answer, Configs, aend_runs, astart_runs, end_runs, raise_first, start_runs

# What all runnables of this package are given, at construction and at every call.

OPTIONS = ("k", "context", "where", "mode")
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

    def _options(self, given: Mapping[str, Any], known: Sequence[str] = OPTIONS) -> dict[str, Any]:
        """Returns the options of one call: those given to it, and the own ones for the others.

        Args:
            given: Arguments of the call; None stands for not given.
            known: Names that it may have.

        Raises:
            ParameterError: A name is unknown.
        """
        unknown = [name for name in given if name not in (*known, *_OF_LANGCHAIN)]
        if unknown:
            raise ParameterError(f"a call of {type(self).__name__} takes no {unknown[0]!r}; it takes {', '.join(known)}")
        return {name: getattr(self, name) if given.get(name) is None else given[name] for name in known}


def _core_error(owner: type, error: pydantic.ValidationError) -> MultiRetrieverError:
    """Returns what a validator raised, or else the first thing that is wrong as an error of core."""
    first = error.errors(include_url=False)[0]
    raised = first.get("ctx", {}).get("error")
    if isinstance(raised, MultiRetrieverError):
        return raised
    field = ".".join(str(part) for part in first["loc"])
    return ParameterError(f"{owner.__name__}: {field}: {first['msg']}")


def one_each(context: Context | Sequence[Context], count: int) -> list[Context]:
    """Returns the context of each of ``count`` queries.

    Raises:
        ParameterError: There are not as many contexts as queries.
    """
    if not _are_several(context):
        return [cast(Context, context)] * count
    contexts = list(cast(Sequence[Context], context))
    if len(contexts) != count:
        raise ParameterError(f"context is one for all queries, or a list of {count}, one for each (got {len(contexts)})")
    return contexts


def check_table(table: Any) -> str:
    """Returns the name of a table.

    Raises:
        ParameterError: It is no text, or blank.
    """
    if not isinstance(table, str) or not table.strip():
        raise ParameterError(f"table is the name of a table (got {table!r})")
    return table


def within_table(options: Mapping[str, Any], table: str) -> dict[str, Any]:
    """Returns options with the table in the context and in the filter.

    Raises:
        ParameterError: The filter names another table.
    """
    context, where = options["context"], options["where"] or {}
    if not isinstance(where, Mapping) or where.get("table", table) != table:
        raise ParameterError(f"table is {table!r} and where is {where!r}; give the table once")
    several = _are_several(context)
    contexts = [check_context(item).model_copy(update={"table": table}) for item in (context if several else [context])]
    return {**options, "context": contexts if several else contexts[0], "where": {**where, "table": table}}


def _are_several(context: Any) -> bool:
    return isinstance(context, Sequence) and not isinstance(context, str)


def fault_of(query: Any, context: Context) -> Exception | None:
    """Returns what is wrong with one query of a batch, or None."""
    try:
        check_query(query)
        check_context(context)
    except ParameterError as error:
        return error
    return None


# Hits as LangChain documents.


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
