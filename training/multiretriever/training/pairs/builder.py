"""From flows, catalogs and written queries to training pairs, in two passes that keep no flow in memory.

The first pass counts how often each element answers a kind of query and remembers all answers of each query; the second one thins
frequent elements, writes the texts and draws negatives.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from multiretriever.core import Element, Encoder, Flow, InstructionSet, ParameterError
from multiretriever.core.errors import DatasetError, Problem
from multiretriever.core.example import Example
from multiretriever.core.instructions import Prompt
from multiretriever.core.prompts import make_prompt
from multiretriever.core.query import check_context
from multiretriever.datasets import Dataset
from multiretriever.training.pairs.balancing import Balancer
from multiretriever.training.pairs.negatives import Miner, NegativeSampler
from multiretriever.training.pairs.pair import KnownAnswers, Pair, element_text, query_text
from multiretriever.training.pairs.pair_tables import DatasetReport
from multiretriever.training.recipe import PairSettings

CHUNK = 1024
TRAIN = "train"


@dataclass(frozen=True)
class _Kept:
    """A query with those of its answers that are kept, and its text with and without instruction."""

    example: Example
    positives: tuple[str, ...]
    known: frozenset[str]
    prompt: Prompt
    bare: str


class PairBuilder:
    """Makes the pairs of one dataset.

    Attributes:
        report: Counts; complete when ``build`` has come to its end.
    """

    def __init__(
        self,
        dataset: Dataset,
        settings: PairSettings | None = None,
        *,
        split: str | None = None,
        instructions: InstructionSet | None = None,
        encoder: Encoder | None = None,
        on_flow: Callable[[Flow], None] = lambda flow: None,
    ) -> None:
        """Prepares to make pairs.

        Args:
            dataset: Catalog, flows and written queries.
            settings: How pairs are made.
            split: Split to make them of; None for ``train`` where the dataset has it, else for all of it.
            instructions: Instructions put before queries; None for bare queries.
            encoder: What negatives are mined with.
            on_flow: Called with each flow that is read, in both passes, say for progress.

        Raises:
            ParameterError: There is no such split, or negatives are to be mined without an encoder.
        """
        self._dataset = dataset
        self._settings = settings or PairSettings()
        self._split = split if split is not None else TRAIN if TRAIN in dataset.splits else None
        self._instructions = instructions
        self._encoder = encoder
        if self._settings.mined_negatives and encoder is None:
            raise ParameterError("mining negatives needs an encoder; give one, or set mined_negatives to 0")
        if split and split not in dataset.splits:
            raise ParameterError(f"dataset {dataset.name!r} has no split {split!r}; it has {', '.join(dataset.splits) or 'none'}")
        self.report = DatasetReport(dataset.name)
        self._on_flow = on_flow
        self._steps: dict[str, bool] = {}
        self._known = KnownAnswers()
        self._texts: dict[tuple[str, str, tuple[str, ...]], str] = {}
        self._miners: dict[str, Miner] = {}

    def build(self) -> Iterator[Pair]:
        """Yields the pairs, in the order of the dataset.

        Raises:
            DatasetError: A query has an answer that the catalog does not have, or a file is not valid.
            FlowError: A flow is not valid.
        """
        self._count()
        settings = self._settings
        balancer = Balancer(self.report.uses, seed=settings.seed, enabled=settings.balance)
        sampler = NegativeSampler(
            self._dataset.catalog, random_count=settings.random_negatives, hard_count=settings.hard_negatives
        )
        kept = self._keep(balancer)
        while chunk := list(islice(kept, CHUNK)):
            mined = self._mine(chunk)
            for item, found in zip(chunk, mined, strict=True):
                for positive in item.positives:
                    pair = self._pair(item, positive, sampler, found)
                    self.report.add(pair)
                    yield pair

    def _stream(self, on_flow: Callable[[Flow], None]) -> Iterator[Example]:
        settings = self._settings
        return self._dataset.stream(self._split, settings.kinds, descriptions=settings.descriptions, on_flow=on_flow)

    def _note(self, flow: Flow) -> None:
        self.report.flows += 1
        names = [step.definition for step in flow.steps] + [flow.trigger.definition if flow.trigger is not None else None]
        self.report.unknown.update(name for name in names if name and not self._is_step(name))
        self._on_flow(flow)

    def _is_step(self, name: str) -> bool:
        if name not in self._steps:
            self._steps[name] = bool(self._dataset.catalog.find("step", name))
        return self._steps[name]

    def _count(self) -> None:
        problems: list[Problem] = []
        catalog = self._dataset.catalog
        for example in self._stream(self._note):
            missing = [item for item in example.relevant if catalog.get(example.element_type, item) is None]
            if missing:
                message = f"the catalog has no {example.element_type} {', '.join(map(repr, missing))}"
                problems.append(Problem(message, self._dataset.name, None, f"query {example.id}"))
                continue
            self.report.queries[(example.element_type, example.kind)] += 1
            self.report.uses.update((example.element_type, example.kind, item) for item in example.relevant)
            self._known.add(example)
        if problems:
            raise DatasetError(problems)

    def _keep(self, balancer: Balancer) -> Iterator[_Kept]:
        for example in self._stream(self._on_flow):
            kind = (example.element_type, example.kind)
            positives = tuple(item for item in example.relevant if balancer.keeps((*kind, item)))
            if positives:
                rng = self._chance(example, "text")
                prompt = query_text(example, self._instructions, rng)
                bare = make_prompt(example.query, example.element_type, example.context, instructions=None).text
                yield _Kept(example, positives, self._known.of(example), prompt, bare)

    def _chance(self, example: Example, purpose: str) -> random.Random:
        # By the query's id and not by its place, so that a query's pairs stay the same when others come or go.
        return random.Random(f"{self._settings.seed}\0{self._dataset.name}\0{example.id}\0{purpose}")

    def _mine(self, chunk: list[_Kept]) -> list[list[Element]]:
        found: list[list[Element]] = [[] for _ in chunk]
        if not self._settings.mined_negatives:
            return found
        by_type: dict[str, list[int]] = {}
        for place, item in enumerate(chunk):
            by_type.setdefault(item.example.element_type, []).append(place)
        for name, places in by_type.items():
            examples, known = [chunk[place].example for place in places], [chunk[place].known for place in places]
            mined = self._miner(name).mine(examples, known, self._settings.mined_negatives)
            for place, items in zip(places, mined, strict=True):
                found[place] = items
        return found

    def _miner(self, name: str) -> Miner:
        if name not in self._miners:
            assert self._encoder is not None
            elements = self._dataset.catalog.of(name)
            texts = [self._text(item) for item in elements]
            self._miners[name] = Miner(self._encoder, elements, texts, band=self._settings.band)
        return self._miners[name]

    def _pair(self, item: _Kept, positive_id: str, sampler: NegativeSampler, mined: list[Element]) -> Pair:
        example = item.example
        positive: Element = self._dataset.catalog.get(example.element_type, positive_id)
        rng = self._chance(example, positive_id)
        negatives = [*sampler.draw(example, positive, item.known | {other.id for other in mined}, rng)]
        negatives += [(other, "mined") for other in mined]
        return Pair(
            query=item.prompt.text,
            instruction=item.prompt.instruction,
            bare=item.bare,
            context=tuple(check_context(example.context).lines),
            positive=self._text(positive, example.hidden),
            negatives=tuple(self._text(other, example.hidden) for other, _ in negatives),
            element_type=example.element_type,
            kind=example.kind,
            template=item.prompt.template or "",
            language=example.language,
            dataset=self._dataset.name,
            query_id=example.id,
            positive_id=positive_id,
            negative_ids=tuple(other.id for other, _ in negatives),
            negative_kinds=tuple(kind for _, kind in negatives),
            relevant_ids=tuple(sorted(item.known)),
        )

    def _text(self, element: Element, hidden: tuple[str, ...] = ()) -> str:
        key = (element.element_type, element.id, hidden)
        if key not in self._texts:
            self._texts[key] = element_text(element, hidden)
        return self._texts[key]
