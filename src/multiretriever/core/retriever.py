"""The retriever: one encoder and one index for every element type, and the hits that it returns."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from multiretriever.core.catalog import Catalog
from multiretriever.core.elements import Element, ElementType, element_type
from multiretriever.core.encoders import EncoderSpec, Vectors, unit_vectors
from multiretriever.core.errors import ParameterError
from multiretriever.core.index import DEFAULT_NAME, Index
from multiretriever.core.instructions import InstructionSet, Prompt
from multiretriever.core.prompts import fit_prompt, make_prompt
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
from multiretriever.core.ranking import DENSE_WEIGHT, Ranked, Request, rank

DEFAULT_MODE: Mode = "hybrid"


@dataclass(frozen=True)
class Hit:
    """An element that was found.

    Attributes:
        element: The element.
        score: How well it fits; the larger the better. Comparable within one answer, and by mode: ``dense`` is the cosine of
            query and element, -1 to 1; ``lexical`` is the BM25 score, from 0 without upper bound; ``hybrid`` is
            ``w * cosine + (1 - w) * BM25 / highest BM25 of the query``, at most 1.
        rank: Its place in the answer, from 1.
        mode: How it was found.
    """

    element: Any
    score: float
    rank: int
    mode: Mode

    @property
    def id(self) -> str:
        """Id of the element."""
        return str(self.element.id)

    def metadata(self) -> dict[str, Any]:
        """Returns the hit as the flat values that frameworks keep beside a text; nothing in them is shared with the hit.

        ``rank``, ``mode``, ``id``, ``element_type``, ``scope``, ``name``, ``label`` and ``description``; the attributes that the
        type can be filtered on, such as ``table``, where they have a value; and the element's own metadata, which gives way where
        a name is the same.

        Raises:
            ElementTypeError: The type of the element is no longer registered.
        """
        element: Element = self.element
        filters = {name: getattr(element, name) for name in element_type(element.element_type).filters}
        return {
            **copy.deepcopy(element.metadata),
            **{name: value for name, value in filters.items() if value not in (None, "")},
            **{name: getattr(element, name) for name in ("id", "element_type", "scope", "name", "label", "description")},
            "rank": self.rank,
            "mode": self.mode,
        }

    @property
    def text(self) -> str:
        """The text of the element that the index embedded."""
        return element_type(self.element.element_type).text(self.element)

    def to_dict(self) -> dict[str, Any]:
        """Returns rank, score and the element's values, without the schema of a step's inputs, which can be long."""
        element: Element = self.element
        values = element.model_dump(mode="json", exclude_defaults=True, exclude={"input_schema"})
        return {"rank": self.rank, "score": round(self.score, 6), **values, "element_type": element.element_type}


@dataclass(frozen=True)
class Grounding(Mapping[str, list[Hit]]):
    """What was found for one query, by element type.

    Attributes:
        query: The query.
        hits: Hits, best first, by element type.
    """

    query: str
    hits: Mapping[str, list[Hit]]

    def __getitem__(self, element_type: str) -> list[Hit]:
        return self.hits[element_type]

    def __iter__(self) -> Iterator[str]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    def to_dict(self) -> dict[str, Any]:
        """Returns the query and the hits of each type as plain values."""
        return {"query": self.query, "hits": {name: [hit.to_dict() for hit in hits] for name, hits in self.hits.items()}}


class MultiRetriever:
    """Retrieves elements of every type of one index. Safe to share between threads.

    Attributes:
        index: The index.
        mode: How it ranks when a call does not say: ``dense``, ``lexical`` or ``hybrid``.
    """

    def __init__(
        self,
        index: Index,
        *,
        mode: Mode = DEFAULT_MODE,
        dense_weight: float = DENSE_WEIGHT,
        instructions: InstructionSet | None = None,
    ) -> None:
        """Makes a retriever.

        Args:
            index: The index.
            mode: How to rank.
            dense_weight: Share of the cosine in ``hybrid``, 0 to 1.
            instructions: Instructions put before queries; None for those that the encoder was trained with, if any.

        Raises:
            ParameterError: There is no such mode, or the weight is not between 0 and 1.
        """
        if isinstance(dense_weight, bool) or not isinstance(dense_weight, int | float) or not 0 <= dense_weight <= 1:
            raise ParameterError(f"dense_weight is a number from 0 to 1 (got {dense_weight!r})")
        self.index = index
        self.mode = check_mode(mode)
        self._weight = float(dense_weight)
        self._instructions = instructions or index.encoder.instructions

    @classmethod
    def open(
        cls,
        location: str | Path,
        *,
        encoder: EncoderSpec = None,
        mode: Mode = DEFAULT_MODE,
        name: str = DEFAULT_NAME,
    ) -> MultiRetriever:
        """Opens an index and makes a retriever for it. Raises what ``Index.open`` raises."""
        check_mode(mode)  # first, or the folder would stay locked by an index that nobody can close
        return cls(Index.open(location, encoder=encoder, name=name), mode=mode)

    @classmethod
    def from_catalog(
        cls,
        catalog: Catalog | str | Path,
        location: str | Path | None = None,
        *,
        encoder: EncoderSpec = None,
        name: str = DEFAULT_NAME,
    ) -> MultiRetriever:
        """Indexes a catalog, in memory without a location, and makes a retriever for it.

        Args:
            catalog: The catalog, or what ``Catalog.from_path`` reads.
            location: Where the index is to be; None for memory.
            encoder: The encoder, or what ``load_encoder`` takes; None for the shipped one.
            name: Name of the index, where one server holds several.

        Raises:
            MultiRetrieverError: What ``Catalog.from_path`` and ``Index.from_catalog`` raise.
        """
        known = catalog if isinstance(catalog, Catalog) else Catalog.from_path(catalog)
        return cls(Index.from_catalog(known, location, encoder=encoder, name=name))

    def retrieve(
        self,
        query: str,
        element_type: str,
        *,
        k: int | None = None,
        context: Context = None,
        where: Where | None = None,
        mode: Mode | None = None,
    ) -> list[Hit]:
        """Returns the ``k`` best elements of a type for a query, best first.

        Args:
            query: A requirement, an annotation, a description.
            element_type: Name of the element type, such as ``step``.
            k: Hits at most; None for the type's default (15 steps, 5 of the others).
            context: What else is known (see ``QueryContext``). It goes into the query and does not limit the hits.
            where: Values that hits must have, such as ``{"scope": "core"}``. A field's table may also be one that extends the
                table in which the field is declared.
            mode: How to rank; None for the retriever's own.

        Raises:
            QueryError: The query is empty, not text, or too long.
            ParameterError: ``k``, ``mode`` or ``context`` is not valid.
            FilterError: The filter names something unknown.
            ElementTypeError: The type is unknown or not in the index.
            StoreError: The index cannot be read.
        """
        return self.search([query], element_type, SearchOptions(k, context, where, mode))[0]

    def retrieve_batch(
        self,
        queries: Sequence[str],
        element_type: str,
        *,
        k: int | None = None,
        context: Context | Sequence[Context] = None,
        where: Where | None = None,
        mode: Mode | None = None,
        vectors: Vectors | None = None,
    ) -> list[list[Hit]]:
        """Does ``retrieve`` for many queries in one pass of the encoder.

        Args:
            queries: The queries.
            element_type: As for ``retrieve``.
            k: As for ``retrieve``.
            context: One context for all, or one for each query.
            where: As for ``retrieve``.
            mode: As for ``retrieve``.
            vectors: Vectors of the queries, [len(queries), dimension], where they are known already: the encoder is not asked,
                and the texts serve BM25 alone and may be empty.

        Raises:
            ParameterError: There are not as many contexts as queries. Beside that, what ``retrieve`` raises.
            EncoderError: ``vectors`` has another shape, or a row that has no direction.
        """
        if context is None or isinstance(context, QueryContext | Mapping):
            return self.search(queries, element_type, SearchOptions(k, context, where, mode), vectors=vectors)
        return self.search(queries, element_type, SearchOptions(k, None, where, mode), contexts=context, vectors=vectors)

    def search(
        self,
        queries: Sequence[str],
        element_type: str | ElementType,
        options: SearchOptions | None = None,
        *,
        contexts: Sequence[Context] | None = None,
        vectors: Vectors | None = None,
    ) -> list[list[Hit]]:
        """Does ``retrieve_batch`` with options that were checked before: what adapters of frameworks call.

        Args:
            queries: The queries.
            element_type: The element type, or its name.
            options: How to search; None for the defaults.
            contexts: A context for each query, in the place of that of the options.
            vectors: As for ``retrieve_batch``.

        Raises:
            MultiRetrieverError: See ``retrieve_batch``.
        """
        if isinstance(queries, str) or not isinstance(queries, Sequence):
            raise ParameterError(f"queries is a list of texts (got {type(queries).__name__})")
        if not isinstance(options, SearchOptions | None):
            raise ParameterError(f"options: expected SearchOptions, got {type(options).__name__}")
        chosen = options or SearchOptions()
        request = self._request(element_type, chosen)
        known = _one_each(chosen.context, contexts, len(queries))
        asked = list(zip(queries, known, strict=True))
        if vectors is not None:
            vectors = unit_vectors(vectors, len(queries), self.index.encoder.dimension, "given vectors")
            words = [context.before(_checked_text(query)) for query, context in asked]
        else:
            prompts = [self.prompt(query, request.kind, context=context) for query, context in asked]
            vectors = self._encode([fit_prompt(self.index.encoder, item) for item in prompts] if request.dense else [])
            words = [prompt.bare for prompt in prompts]
        return self._hits(request, rank(self.index, request, words, vectors) if words else [])

    def ground(
        self,
        query: str,
        k: Mapping[str, int] | Iterable[str] | None = None,
        *,
        context: Context = None,
        where: Where | None = None,
        mode: Mode | None = None,
    ) -> Grounding:
        """Retrieves several element types for one query in one pass of the encoder.

        Args:
            query: As for ``retrieve``.
            k: Hits by element type; or just the types, each with its default; None for all types of the index.
            context: As for ``retrieve``; each type takes the instruction that fits it.
            where: As for ``retrieve``; types that cannot be filtered on a name are filtered on the others.
            mode: As for ``retrieve``.

        Raises:
            FilterError: No asked-for type can be filtered on a name. Beside that, what ``retrieve`` raises.
        """
        wanted = self._wanted(k)
        filters = self._filters(where, wanted)
        requests = [
            self._request(kind, SearchOptions(count, context, filters[kind.name], mode)) for kind, count in wanted.items()
        ]
        prompts = [self.prompt(query, request.kind, context=context) for request in requests]
        fitted = [fit_prompt(self.index.encoder, prompt) for prompt in prompts]
        vectors = self._encode(fitted if requests and requests[0].dense else [])
        found: dict[str, list[Hit]] = {}
        for place, (request, prompt) in enumerate(zip(requests, prompts, strict=True)):
            ranked = rank(self.index, request, [prompt.bare], vectors[place : place + 1])
            (found[request.kind.name],) = self._hits(request, ranked)
        return Grounding(query, found)

    def prompt(self, query: str, kind: str | ElementType, *, context: Context = None) -> Prompt:
        """Returns what the encoder is given for a query.

        Raises:
            QueryError, ParameterError, ElementTypeError: See ``retrieve``.
        """
        return make_prompt(query, kind, context, instructions=self._instructions)

    def _request(self, name: str | ElementType, options: SearchOptions) -> Request:
        kind = element_type(name)
        where: dict[str, Any] = {**check_where(options.where, self.index.entry(kind).filters, kind.name)}
        if kind.name == "field" and isinstance(where.get("table"), str):
            # The fields of a table are its own and those that it inherits.
            where["table"] = self.index.manifest.lineage(where["table"])
        return Request(kind, check_k(options.k, kind.default_k), where, check_mode(options.mode or self.mode), self._weight)

    def _wanted(self, k: Mapping[str, int] | Iterable[str] | None) -> dict[ElementType, int | None]:
        if k is None:
            return {element_type(name): None for name in self.index.manifest.types}
        if isinstance(k, str):
            k = [k]
        if not isinstance(k, Iterable):
            raise ParameterError(f"k of ground maps element types to numbers of hits, such as {{'step': 15}} (got {k!r})")
        wanted: Mapping[str, int | None] = k if isinstance(k, Mapping) else dict.fromkeys(k)
        if not wanted:
            raise ParameterError("ground needs at least one element type")
        return {element_type(name): count for name, count in wanted.items()}

    def _filters(self, where: Where | None, wanted: Iterable[ElementType]) -> dict[str, Where]:
        """Returns for each type the part of a filter that its elements can be filtered on."""
        if not where:
            return {kind.name: {} for kind in wanted}
        names = {kind.name: self.index.entry(kind).filters for kind in wanted}
        check_where(where, tuple(dict.fromkeys(item for known in names.values() for item in known)), " or ".join(names))
        return {kind: {name: value for name, value in where.items() if name in known} for kind, known in names.items()}

    def _encode(self, prompts: Sequence[str]) -> Vectors:
        encoder = self.index.encoder
        if not prompts:
            return np.empty((0, encoder.dimension), dtype=np.float32)
        unique = list(dict.fromkeys(prompts))
        vectors = unit_vectors(encoder.encode_queries(unique), len(unique), encoder.dimension, encoder.name)
        row = {text: place for place, text in enumerate(unique)}
        found: Vectors = vectors[[row[text] for text in prompts]]
        return found

    def _hits(self, request: Request, ranked: Sequence[Ranked]) -> list[list[Hit]]:
        elements = self.index.elements(request.kind, list({element_id for found in ranked for element_id, _ in found}))
        # One that was deleted between the two reads is left out.
        present = [[(elements[name], score) for name, score in found if name in elements] for found in ranked]
        return [
            [Hit(element, score, place, request.mode) for place, (element, score) in enumerate(found, 1)] for found in present
        ]

    async def aretrieve(self, query: str, element_type: str, **options: Any) -> list[Hit]:
        """Does ``retrieve`` in a thread, so that the event loop goes on."""
        return await asyncio.to_thread(self.retrieve, query, element_type, **options)

    async def aretrieve_batch(self, queries: Sequence[str], element_type: str, **options: Any) -> list[list[Hit]]:
        """Does ``retrieve_batch`` in a thread, so that the event loop goes on."""
        return await asyncio.to_thread(self.retrieve_batch, queries, element_type, **options)

    async def aground(self, query: str, k: Mapping[str, int] | Iterable[str] | None = None, **options: Any) -> Grounding:
        """Does ``ground`` in a thread, so that the event loop goes on."""
        return await asyncio.to_thread(self.ground, query, k, **options)

    def close(self) -> None:
        """Closes the index."""
        self.index.close()

    def __enter__(self) -> MultiRetriever:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _one_each(context: Context, contexts: Sequence[Context] | None, count: int) -> list[QueryContext]:
    if contexts is None:
        return [check_context(context)] * count
    if not isinstance(contexts, Sequence) or isinstance(contexts, str) or len(contexts) != count:
        raise ParameterError(
            f"context is one for all queries, or a list of one for each of the {count} queries (got {contexts!r})"
        )
    return [check_context(item) for item in contexts]


def _checked_text(query: Any) -> str:
    """Returns a query that may be empty, since its vector is known."""
    return query if isinstance(query, str) else check_query(query)
