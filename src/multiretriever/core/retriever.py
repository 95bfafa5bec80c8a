"""The retriever: one encoder and one index for every element type."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from multiretriever.core.elements import Element, element_type
from multiretriever.core.encoders import Encoder, Vectors, unit_vectors
from multiretriever.core.errors import ParameterError
from multiretriever.core.index import DEFAULT_NAME, Index
from multiretriever.core.instructions import InstructionSet, Prompt
from multiretriever.core.prompts import fit_prompt, make_prompt
from multiretriever.core.query import Mode, QueryContext, Where, check_context, check_k, check_mode, check_query, check_where
from multiretriever.core.ranking import DENSE_WEIGHT, Search, rank

# What a retrieval gives back.


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

    def to_dict(self) -> dict[str, Any]:
        """Returns rank, score and the element's values."""
        element: Element = self.element
        return {"rank": self.rank, "score": round(self.score, 6), **element.model_dump(mode="json", exclude_defaults=True),
                "element_type": element.element_type}  # fmt: skip


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


DEFAULT_MODE: Mode = "hybrid"
Context = QueryContext | Mapping[str, Any] | None


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
        encoder: Encoder | str | Path | None = None,
        mode: Mode = DEFAULT_MODE,
        name: str = DEFAULT_NAME,
    ) -> MultiRetriever:
        """Opens an index and makes a retriever for it. Raises what ``Index.open`` raises."""
        check_mode(mode)  # first, or the folder would stay locked by an index that nobody can close
        return cls(Index.open(location, encoder=encoder, name=name), mode=mode)

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
        return self.retrieve_batch([query], element_type, k=k, context=context, where=where, mode=mode)[0]

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
        if isinstance(queries, str) or not isinstance(queries, Sequence):
            raise ParameterError(f"queries is a list of texts (got {type(queries).__name__})")
        request = _Request(self, element_type, k, where, mode)
        contexts = _contexts(context, len(queries))
        if vectors is not None:
            vectors = unit_vectors(vectors, len(queries), self.index.encoder.dimension, "given vectors")
        else:
            prompts = [self.prompt(query, element_type, context=item) for query, item in zip(queries, contexts, strict=True)]
            texts = [fit_prompt(self.index.encoder, item) for item in prompts] if request.dense else []
            vectors = self._encode(texts)
        return request.run([_words(query, item) for query, item in zip(queries, contexts, strict=True)], vectors)

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
        parts = self._split(where, wanted)
        requests = {name: _Request(self, name, count, parts[name], mode) for name, count in wanted.items()}
        texts = {name: fit_prompt(self.index.encoder, self.prompt(query, name, context=context)) for name in wanted}
        dense = [name for name, request in requests.items() if request.dense]
        vectors = dict(zip(dense, self._encode([texts[name] for name in dense]), strict=True))
        hits = {
            name: item.run([_words(query, context)], vectors[name][None] if name in vectors else None)[0]
            for name, item in requests.items()
        }
        return Grounding(query, hits)

    def prompt(self, query: str, name: str, *, context: Context = None) -> Prompt:
        """Returns what the encoder is given for a query.

        Raises:
            QueryError, ParameterError, ElementTypeError: See ``retrieve``.
        """
        return make_prompt(query, name, context, instructions=self._instructions)

    def _wanted(self, k: Mapping[str, int] | Iterable[str] | None) -> dict[str, int | None]:
        if k is None:
            return dict.fromkeys(self.index.manifest.types)
        if isinstance(k, str):
            k = [k]
        if not isinstance(k, Iterable):
            raise ParameterError(f"k of ground maps element types to numbers of hits, such as {{'step': 15}} (got {k!r})")
        wanted = dict(k) if isinstance(k, Mapping) else dict.fromkeys(k)
        if not wanted:
            raise ParameterError("ground needs at least one element type")
        return {element_type(name).name: count for name, count in wanted.items()}

    def _split(self, where: Where | None, wanted: Mapping[str, Any]) -> dict[str, Where]:
        if not where:
            return {kind: {} for kind in wanted}
        names = {name: self.index.entry(name).filters for name in wanted}
        check_where(where, tuple(dict.fromkeys(item for known in names.values() for item in known)), " or ".join(wanted))
        return {kind: {name: value for name, value in where.items() if name in names[kind]} for kind in wanted}

    def _encode(self, texts: Sequence[str]) -> Vectors:
        if not texts:
            return np.empty((0, self.index.encoder.dimension), dtype=np.float32)
        unique = list(dict.fromkeys(texts))
        encoder = self.index.encoder
        vectors = unit_vectors(encoder.encode_queries(unique), len(unique), encoder.dimension, encoder.name)
        row = {text: place for place, text in enumerate(unique)}
        found: Vectors = vectors[[row[text] for text in texts]]
        return found

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


class _Request:
    """What is asked of one element type, checked."""

    def __init__(self, retriever: MultiRetriever, name: str, k: int | None, where: Where | None, mode: Mode | None) -> None:
        kind = element_type(name)
        self._k = check_k(k, kind.default_k)
        self._mode = check_mode(retriever.mode if mode is None else mode)
        self._index = retriever.index
        self._name = kind.name
        self._weight = retriever._weight
        self._where: dict[str, Any] = {**check_where(where, self._index.entry(kind.name).filters, kind.name)}
        if kind.name == "field" and isinstance(self._where.get("table"), str):
            # The fields of a table are its own and those that it inherits.
            self._where["table"] = self._index.manifest.lineage(self._where["table"])

    @property
    def dense(self) -> bool:
        return self._mode != "lexical"

    def run(self, queries: Sequence[str], vectors: Vectors | None) -> list[list[Hit]]:
        if not queries:
            return []
        rows = vectors if vectors is not None and len(vectors) else [None] * len(queries)
        searches = [Search(query, vector) for query, vector in zip(queries, rows, strict=True)]
        ranked = rank(self._index, self._name, searches, k=self._k, where=self._where, mode=self._mode, weight=self._weight)
        elements = self._index.elements(self._name, list({element_id for found in ranked for element_id, _ in found}))
        return [self._hits(found, elements) for found in ranked]

    def _hits(self, found: Sequence[tuple[str, float]], elements: Mapping[str, Any]) -> list[Hit]:
        # One that was deleted between the two reads is left out.
        present = [(elements[element_id], score) for element_id, score in found if element_id in elements]
        return [Hit(element, score, place, self._mode) for place, (element, score) in enumerate(present, start=1)]


def _words(query: str, context: Context) -> str:
    """Returns what BM25 is given: the query, and the short values of its context, which are words of the elements too."""
    if not isinstance(query, str):
        check_query(query)  # Raises: only texts can be joined.
    return "\n".join([*check_context(context).words, query])


def _contexts(context: Context | Sequence[Context], count: int) -> list[Context]:
    if context is None or isinstance(context, QueryContext | Mapping):
        return [context] * count
    if not isinstance(context, Sequence) or isinstance(context, str) or len(context) != count:
        raise ParameterError(
            f"context is one for all queries, or a list of one for each of the {count} queries (got {context!r})"
        )
    return list(context)
