"""Lists of candidates: for each query what several retrievers find, fused, always its answer, and what a teacher thinks of each.

Candidates are taken from the elements of one type of one dataset, by BM25 and by the vectors of encoders.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from multiretriever.core.elements import element_type
from multiretriever.core.encoders import Encoder, Vectors
from multiretriever.core.errors import DatasetError, ParameterError, Problem
from multiretriever.core.index.lexical import LexicalIndex, top
from multiretriever.core.instructions import Prompt
from multiretriever.datasets import Dataset
from multiretriever.training.pairs import Pair
from multiretriever.training.pairs.pair import element_text, prompt_of
from multiretriever.training.recipe import DistillSettings
from multiretriever.training.row_files import read_rows, write_rows
from multiretriever.training.token_window import fitted


@dataclass(frozen=True)
class CandidateList:
    """One row of a list file.

    Attributes:
        query: Instruction, context and query: the whole text that the student reads.
        instruction: The first part of ``query``; blank without instructions.
        query_id: Id of the query.
        element_type: Type of the candidates.
        kind: Template id of the kind of query, as in ``Pair``.
        template: Id of the template whose instruction stands in ``query``; blank without instructions.
        language: Language of the query.
        dataset: Name of the dataset.
        candidate_ids: Ids of the candidates, each once, best first by the fused ranking.
        candidates: Their texts.
        positive: Place of the positive in ``candidate_ids``, from 0.
        known_ids: Ids of all elements that are known to answer the query, the positive among them.
        retrieved_rank: Place of the positive in the fused ranking without other known answers, from 1; 0 where it was not found.
        scores: The teacher's score of each candidate; empty before they are scored.
    """

    query: str
    instruction: str
    query_id: str
    element_type: str
    kind: str
    template: str
    language: str
    dataset: str
    candidate_ids: tuple[str, ...]
    candidates: tuple[str, ...]
    positive: int
    known_ids: tuple[str, ...]
    retrieved_rank: int
    scores: tuple[float, ...] = ()

    @property
    def positive_id(self) -> str:
        """Id of the positive."""
        return self.candidate_ids[self.positive]

    @property
    def positive_score(self) -> float:
        """The teacher's score of the positive."""
        return self.scores[self.positive]

    @property
    def group(self) -> tuple[str, str, str]:
        """What lists share whose scores are compared: dataset, element type and kind of query."""
        return self.dataset, self.element_type, self.kind

    @property
    def teacher_rank(self) -> int:
        """Place of the positive in the teacher's ranking, from 1. Other known answers before it do not count."""
        known = set(self.known_ids)
        others = zip(self.candidate_ids, self.scores, strict=True)
        return 1 + sum(score > self.positive_score for item, score in others if item not in known)

    @property
    def prompt(self) -> Prompt:
        """The query, its instruction apart."""
        return prompt_of(self.query, self.instruction, self.template)


def write_lists(path: str | Path, lists: Iterable[CandidateList]) -> int:
    """Writes lists as Parquet or JSON Lines, whole or not at all, and returns how many there were. Raises as ``write_rows``."""
    return write_rows(path, lists, CandidateList, what="lists")


def read_lists(path: str | Path) -> Iterator[CandidateList]:
    """Yields the lists of a file.

    Raises:
        DatasetError: The file is not there or not one of lists, or a list has not as many ids, texts and scores.
        MissingDependencyError: It is Parquet, and pyarrow is not installed.
    """
    for number, item in enumerate(read_rows(path, CandidateList), start=1):
        count = len(item.candidate_ids)
        if len(item.candidates) != count or len(item.scores) not in (0, count) or not 0 <= item.positive < count:
            message = (
                f"expected an id, a text and a score for each candidate, and a positive among them, got {count} ids, "
                f"{len(item.candidates)} texts, {len(item.scores)} scores and positive {item.positive}"
            )
            raise DatasetError([Problem(message, str(path), number)])
        yield item


CHUNK = 256
# What each retriever puts up for the fusion: at least so many, and a multiple of the list's length.
_MIN_DEPTH = 50
_DEPTH_PER_CANDIDATE = 3


def fuse(rankings: Sequence[Sequence[int]], constant: int) -> list[int]:
    """Returns the rows of all rankings by the sum of their reciprocal ranks, best first; of equal ones the lower row.

    Cormack, Clarke and Büttcher (SIGIR 2009). As a ranking of its own it loses to weighted scores; here it only pools what
    different retrievers find, and needs no weights.

    Args:
        rankings: Rows of each retriever, best first.
        constant: What is added to each rank; the larger, the less the first places count.
    """
    sums: dict[int, float] = {}
    for ranking in rankings:
        for rank, row in enumerate(ranking, start=1):
            sums[row] = sums.get(row, 0.0) + 1 / (constant + rank)
    return sorted(sums, key=lambda row: (-sums[row], row))


def draw_pairs(pairs: Iterable[Pair], settings: DistillSettings) -> list[Pair]:
    """Returns the pairs that lists are made of: of each query some of its answers, and of all these ``max_lists`` at most.

    The choice depends on the seed and the query's id, so that a query keeps its lists when others come or go.
    """
    by_query: dict[tuple[str, str], list[Pair]] = {}
    for pair in pairs:
        by_query.setdefault((pair.dataset, pair.query_id), []).append(pair)
    drawn: list[Pair] = []
    for key, found in by_query.items():
        count = min(settings.positives_per_query, len(found))
        chosen = random.Random("\0".join((str(settings.seed), *key))).sample(range(len(found)), count)
        drawn += [found[place] for place in sorted(chosen)]
    if settings.max_lists is not None and len(drawn) > settings.max_lists:
        kept = set(random.Random(settings.seed).sample(range(len(drawn)), settings.max_lists))
        drawn = [pair for place, pair in enumerate(drawn) if place in kept]
    return drawn


class ListBuilder:
    """Makes lists of pairs.

    Attributes:
        left_out: Pairs that no list was made of, by why.
    """

    def __init__(
        self,
        corpora: Corpora,
        settings: DistillSettings | None = None,
        *,
        encoders: Sequence[Encoder] = (),
        words: bool = True,
        on_list: Callable[[int], object] = lambda count: None,
    ) -> None:
        """Prepares to make lists.

        Args:
            corpora: Where candidates are taken from.
            settings: Length of a list, fusion, seed.
            encoders: Encoders that find candidates.
            words: Whether BM25 finds candidates as well.
            on_list: Called with the number of lists that were made since the last call, say for progress.

        Raises:
            ParameterError: There is no retriever at all.
        """
        if not encoders and not words:
            raise ParameterError("candidates need a retriever: give an encoder, or leave BM25 on")
        self._corpora = corpora
        self._settings = settings or DistillSettings()
        self._encoders = tuple(encoders)
        self._words = words
        self._on_list = on_list
        self.left_out: Counter[str] = Counter()

    def build(self, pairs: Iterable[Pair]) -> Iterator[CandidateList]:
        """Yields a list for each pair, those of one corpus after another.

        Pairs whose positive has another text in the corpus are left out: their query was made of what the text hides.
        """
        by_corpus: dict[int, tuple[Corpus, list[Pair]]] = {}
        for pair in pairs:
            corpus = self._corpora.find(pair)
            if corpus is None or len(corpus.ids) < 2:
                self.left_out["not in the corpus, or with another text" if corpus is None else "a corpus of one"] += 1
                continue
            by_corpus.setdefault(id(corpus), (corpus, []))[1].append(pair)
        for corpus, found in by_corpus.values():
            for start in range(0, len(found), CHUNK):
                chunk = found[start : start + CHUNK]
                for pair, fused in zip(chunk, self._fused(corpus, chunk), strict=True):
                    yield self._list(corpus, pair, fused)
                self._on_list(len(chunk))

    def _fused(self, corpus: Corpus, pairs: Sequence[Pair]) -> list[list[int]]:
        depth = max(_MIN_DEPTH, _DEPTH_PER_CANDIDATE * self._settings.list_length)
        rankings = [corpus.by_encoder(encoder, pairs, depth) for encoder in self._encoders]
        if self._words:
            rankings.append(corpus.by_words(pairs, depth))
        return [fuse(found, self._settings.fusion_constant) for found in zip(*rankings, strict=True)]

    def _list(self, corpus: Corpus, pair: Pair, fused: Sequence[int]) -> CandidateList:
        positive = corpus.row[pair.positive_id]
        known = {pair.positive_id, *pair.relevant_ids}
        others = [row for row in fused if row == positive or corpus.ids[row] not in known]
        rows = self._filled(corpus, pair, fused)
        if positive not in rows:
            rows = [*rows[: self._settings.list_length - 1], positive]
        return CandidateList(
            query=pair.query,
            instruction=pair.instruction,
            query_id=pair.query_id,
            element_type=pair.element_type,
            kind=pair.kind,
            template=pair.template,
            language=pair.language,
            dataset=pair.dataset,
            candidate_ids=tuple(corpus.ids[row] for row in rows),
            candidates=tuple(corpus.texts[row] for row in rows),
            positive=rows.index(positive),
            known_ids=tuple(sorted(known)),
            retrieved_rank=others.index(positive) + 1 if positive in others else 0,
        )

    def _filled(self, corpus: Corpus, pair: Pair, fused: Sequence[int]) -> list[int]:
        """Returns the first rows of the fused ranking, and random ones where BM25 alone found too few."""
        rows = list(fused[: self._settings.list_length])
        missing = min(self._settings.list_length, len(corpus.ids)) - len(rows)
        if missing > 0:
            taken = set(rows)
            left = [row for row in range(len(corpus.ids)) if row not in taken]
            rng = random.Random("\0".join((str(self._settings.seed), pair.dataset, pair.query_id, "filling")))
            rows += rng.sample(left, missing)
        return rows


_DESCRIPTION = ("description",)


class Corpus:
    """Texts that are searched.

    Attributes:
        ids: Id of each element.
        texts: Text of each.
        row: Place of each id.
    """

    def __init__(self, ids: Sequence[str], texts: Sequence[str]) -> None:
        """Takes the elements; they are indexed and embedded when they are first searched."""
        self.ids = tuple(ids)
        self.texts = tuple(texts)
        self.row = {item: place for place, item in enumerate(self.ids)}
        self._vectors: dict[str, Vectors] = {}

    @cached_property
    def digest(self) -> str:
        """Digest of ids and texts."""
        return hashlib.sha256("\0".join((*self.ids, *self.texts)).encode()).hexdigest()

    @cached_property
    def _lexical(self) -> LexicalIndex:
        return LexicalIndex(self.ids, self.texts, [{} for _ in self.ids])

    def by_words(self, pairs: Sequence[Pair], depth: int) -> list[list[int]]:
        """Returns the rows of the best texts for each query by BM25, best first; none of those that share no word."""
        return [top(self._lexical.scores(pair.bare, {}), depth).tolist() for pair in pairs]

    def by_encoder(self, encoder: Encoder, pairs: Sequence[Pair], depth: int) -> list[list[int]]:
        """Returns the rows of the nearest texts for each query, nearest first; of equally near ones the earlier row."""
        if encoder.fingerprint not in self._vectors:
            self._vectors[encoder.fingerprint] = encoder.encode_documents(list(self.texts))
        vectors = encoder.encode_queries([_asked(encoder, pair) for pair in pairs])
        return [_nearest(scores, depth) for scores in vectors @ self._vectors[encoder.fingerprint].T]


def _asked(encoder: Encoder, pair: Pair) -> str:
    # Encoders that were trained without instructions read the bare query, as in retrieval.
    return fitted(encoder, pair.prompt if encoder.instructions is not None else Prompt("", pair.bare))


def _nearest(scores: npt.NDArray[np.float32], depth: int) -> list[int]:
    if depth < len(scores):
        bound = np.partition(scores, -depth)[-depth]
        rows = np.flatnonzero(scores >= bound)
    else:
        rows = np.arange(len(scores))
    found: list[int] = rows[np.argsort(-scores[rows], kind="stable")][:depth].tolist()
    return found


class Corpora:
    """The corpora of some datasets, or of what stands in pairs."""

    def __init__(self, corpora: dict[tuple[str, ...], Corpus]) -> None:
        """Use ``of_datasets`` or ``of_pairs``."""
        self._corpora = corpora

    @classmethod
    def of_datasets(cls, datasets: Iterable[Dataset]) -> Corpora:
        """Takes all elements of the catalogs. Of each type there is a second corpus, of texts without the description.

        Queries that are the description of an element are asked there, since a text that holds the query teaches nothing.
        """
        found: dict[tuple[str, ...], Corpus] = {}
        for dataset in datasets:
            for name in dataset.catalog.counts:
                elements = dataset.catalog.of(element_type(name).name)
                ids = [item.id for item in elements]
                found[(dataset.name, name)] = Corpus(ids, [element_text(item) for item in elements])
                found[(dataset.name, name, *_DESCRIPTION)] = Corpus(ids, [element_text(item, _DESCRIPTION) for item in elements])
        return cls(found)

    @classmethod
    def of_pairs(cls, pairs: Iterable[Pair]) -> Corpora:
        """Takes all positives and negatives; of an element with several texts the longest, which hides nothing."""
        texts: dict[tuple[str, ...], dict[str, str]] = {}
        for pair in pairs:
            held = texts.setdefault((pair.dataset, pair.element_type), {})
            ids, given = (pair.positive_id, *pair.negative_ids), (pair.positive, *pair.negatives)
            for item, text in zip(ids, given, strict=True):
                if len(text) > len(held.get(item, "")):
                    held[item] = text
        return cls({key: Corpus(list(held), list(held.values())) for key, held in texts.items()})

    def with_others(self, others: Corpora) -> Corpora:
        """Returns these corpora, and those of others where these have none of the dataset and type."""
        return Corpora({**others._corpora, **self._corpora})

    @cached_property
    def digest(self) -> str:
        """Digest of all elements and texts."""
        parts = sorted(f"{' '.join(key)} {corpus.digest}" for key, corpus in self._corpora.items())
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def find(self, pair: Pair) -> Corpus | None:
        """Returns the corpus in which the positive of a pair has the text that it has in the pair; None where none has."""
        for key in ((pair.dataset, pair.element_type), (pair.dataset, pair.element_type, *_DESCRIPTION)):
            corpus = self._corpora.get(key)
            if corpus is not None and pair.positive_id in corpus.row:
                if corpus.texts[corpus.row[pair.positive_id]] == pair.positive:
                    return corpus
        return None
