"""What candidates are taken from: the elements of one type of one dataset, with BM25 and vectors of their texts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from multiretriever.core.datasets import Dataset
from multiretriever.core.encoders import Encoder, Vectors
from multiretriever.core.lexical import LexicalIndex, top
from multiretriever.core.registry import element_type
from multiretriever.training.distill.prompts import fitted, plain_query, split_prompt
from multiretriever.training.pairs import Pair
from multiretriever.training.pairs.texts import element_text

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
        return [top(self._lexical.scores(plain_query(split_prompt(pair.query, pair.template)), {}), depth).tolist()
                for pair in pairs]  # fmt: skip

    def by_encoder(self, encoder: Encoder, pairs: Sequence[Pair], depth: int) -> list[list[int]]:
        """Returns the rows of the nearest texts for each query, nearest first; of equally near ones the earlier row."""
        if encoder.fingerprint not in self._vectors:
            self._vectors[encoder.fingerprint] = encoder.encode_documents(list(self.texts))
        vectors = encoder.encode_queries([_asked(encoder, pair) for pair in pairs])
        return [_nearest(scores, depth) for scores in vectors @ self._vectors[encoder.fingerprint].T]


def _asked(encoder: Encoder, pair: Pair) -> str:
    prompt = split_prompt(pair.query, pair.template)
    if encoder.instructions is None:
        # As retrieval does for encoders that were trained without instructions.
        prompt = split_prompt(plain_query(prompt), "")
    return fitted(encoder, prompt)


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
