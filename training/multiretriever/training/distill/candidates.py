"""Lists of candidates: for each query what several retrievers find, fused, and always its answer."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from multiretriever.core import Encoder
from multiretriever.core.errors import ParameterError
from multiretriever.training.distill.corpora import Corpora, Corpus
from multiretriever.training.distill.lists import CandidateList
from multiretriever.training.distill.settings import DistillSettings
from multiretriever.training.pairs import Pair

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
        """Gives a list for each pair, those of one corpus after another.

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
