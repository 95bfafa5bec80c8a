"""What is evaluated: anything that ranks the elements of a dataset for queries."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from multiretriever.core.catalog import Catalog
from multiretriever.core.encoders import Encoder, EncoderSpec, Vectors, load_encoder
from multiretriever.core.errors import ParameterError, QueryTruncatedWarning
from multiretriever.core.example import Example
from multiretriever.core.index import Index
from multiretriever.core.instructions import InstructionSet
from multiretriever.core.prompts import fit_prompt, make_prompt
from multiretriever.core.query import MODES, Mode, check_mode
from multiretriever.core.ranking import DENSE_WEIGHT
from multiretriever.core.retriever import MultiRetriever
from multiretriever.datasets import Dataset


class NoEncoder:
    """Stands for the encoder of an index in which only words are looked up."""

    name = "none"
    dimension = 1
    fingerprint = "none"
    instructions: InstructionSet | None = None

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Returns ones, [len(texts), 1]."""
        return np.ones((len(texts), 1), dtype=np.float32)

    encode_queries = encode_documents


class Workbench:
    """Indexes in memory of the dataset at hand, by encoder, and the vectors of the queries at hand.

    Attributes:
        truncated: How many queries did not fit an encoder's window, by name of the encoder.
    """

    def __init__(self) -> None:
        """Makes an empty one."""
        self.truncated: dict[str, int] = {}
        self._encoders: dict[str, Encoder] = {}
        self._indexes: dict[str, Index] = {}
        self._types: dict[str, set[str]] = {}
        self._dataset: Dataset | None = None
        self._queries: tuple[str, ...] = ()
        self._vectors: dict[str, Vectors] = {}

    def add(self, name: str, spec: EncoderSpec) -> None:
        """Adds an encoder under a name. Raises what ``load_encoder`` raises."""
        self._encoders[name] = load_encoder(spec)

    def encoder(self, name: str) -> Encoder:
        """Returns the encoder of a name."""
        return self._encoders[name]

    def index(self, dataset: Dataset, element_type: str, name: str | None, *, progress: bool = False) -> Index:
        """Returns the index of a dataset for an encoder, in which the elements of a type are.

        Args:
            dataset: The dataset; indexes of another one are closed.
            element_type: Name of the type. Types that nobody asked for are not indexed.
            name: Name of the encoder; None where any will do.
            progress: Whether to show on standard error how elements are encoded.
        """
        if dataset is not self._dataset:
            self.release()
            self._dataset = dataset
        if name is None:
            name = next(iter(self._encoders), "")
        if name not in self._indexes:
            self._indexes[name] = Index.open(None, encoder=self._encoders.get(name) or NoEncoder(), create=True)
            self._types[name] = set()
        held = self._types[name]
        if element_type not in held:
            # Fields are checked against their tables. What the index holds already is not encoded again.
            held |= {element_type, "table"} if element_type == "field" else {element_type}
            part = Catalog(item for item in dataset.catalog if item.element_type in held)
            self._indexes[name].sync(part, progress=progress)
        return self._indexes[name]

    def vectors(self, name: str, element_type: str, examples: Sequence[Example]) -> Vectors:
        """Returns the vectors of queries, float32 [len(examples), dimension], as the retriever would make them."""
        ids = (element_type, *(example.id for example in examples))
        if ids != self._queries:
            self._queries, self._vectors = ids, {}
        if name not in self._vectors:
            encoder = self._encoders[name]
            prompts = [
                make_prompt(item.query, element_type, item.context, instructions=encoder.instructions) for item in examples
            ]
            texts = [fit_prompt(encoder, prompt) for prompt in prompts]
            cut = sum(text != prompt.text for text, prompt in zip(texts, prompts, strict=True))
            self.truncated[name] = self.truncated.get(name, 0) + cut
            self._vectors[name] = encoder.encode_queries(texts)
        return self._vectors[name]

    def release(self) -> None:
        """Closes all indexes and forgets all vectors."""
        for index in self._indexes.values():
            index.close()
        self._indexes, self._types, self._dataset, self._queries, self._vectors = {}, {}, None, (), {}


class Setup(NamedTuple):
    """A mode of an encoder.

    Attributes:
        name: Name in reports.
        mode: How is ranked.
        encoder: Name of the encoder in the workbench; None where only words are looked up.
    """

    name: str
    mode: Mode
    encoder: str | None


def set_up(encoders: EncoderSpec | Mapping[str, EncoderSpec], modes: Sequence[str]) -> tuple[Workbench, list[Setup]]:
    """Returns a workbench with some encoders, and their modes: ``lexical`` (BM25) once, the others for each encoder.

    Args:
        encoders: One encoder, as for ``load_encoder``; or several by short names, which then come before the mode:
            ``tuned/dense``.
        modes: Modes, each once.

    Raises:
        ParameterError: There is no such mode, no mode, or no encoder.
        EncoderError: An encoder cannot be loaded.
    """
    if not modes or len(set(modes)) != len(modes):
        raise ParameterError(f"modes are some of {', '.join(MODES)}, each once (got {list(modes)!r})")
    named = encoders if isinstance(encoders, Mapping) else {"": encoders}
    if not named:
        raise ParameterError("an evaluation of retrievers needs an encoder; None is the shipped one")
    checked = [check_mode(mode) for mode in modes]
    dense = [mode for mode in checked if mode != "lexical"]
    workbench = Workbench()
    found = [Setup("lexical", "lexical", None)] if "lexical" in checked else []
    for name, spec in named.items():
        if dense:
            workbench.add(name, spec)
        found += [Setup(f"{name}/{mode}" if name else mode, mode, name) for mode in dense]
    return workbench, found


Ranked = Sequence[tuple[str, float]]
"""Ids with their scores, best first."""


@runtime_checkable
class System(Protocol):
    """Anything that can be evaluated: a name, and a ranking.

    Attributes:
        name: Name in reports, unique among the systems of one evaluation.
    """

    @property
    def name(self) -> str:
        """Name in reports."""
        ...

    def search(self, dataset: Dataset, element_type: str, examples: Sequence[Example], depth: int) -> Sequence[Ranked]:
        """Ranks the elements of a type for some queries of a dataset.

        Args:
            dataset: The dataset. All chunks of its queries come before those of the next dataset.
            element_type: Name of the type.
            examples: A chunk of its queries. The answers in them are not for the system.
            depth: How many elements are ranked at most.

        Returns:
            For each query the ids of the best elements, each once, with scores, best first; fewer than ``depth``, or none, are
            fine.
        """
        ...


@runtime_checkable
class Indexing(Protocol):
    """A system that makes something of a dataset before it searches, and keeps it until the dataset is done."""

    def prepare(self, dataset: Dataset, element_type: str, *, progress: bool) -> None:
        """Makes ready for searches for a type; with ``progress`` a bar on standard error may be shown."""
        ...

    def release(self) -> None:
        """Lets go of what it keeps of the last dataset."""
        ...


@dataclass(frozen=True)
class SystemInfo:
    """What a report says of a system.

    Attributes:
        name: Its name.
        mode: ``lexical``, ``dense`` or ``hybrid``; blank for a system of another kind.
        encoder: Name of its encoder; blank without one.
        fingerprint: That of the encoder.
        tuned: Whether the encoder was trained with instructions, which those are that this package trains.
        truncated: How many queries did not fit the encoder's window.
    """

    name: str
    mode: str = ""
    encoder: str = ""
    fingerprint: str = ""
    tuned: bool = False
    truncated: int = 0


class RetrieverSystem:
    """A mode of ``MultiRetriever`` over an index in memory: what applications use."""

    def __init__(
        self, name: str, mode: Mode, *, workbench: Workbench, encoder: str | None = None, dense_weight: float = DENSE_WEIGHT
    ) -> None:
        """Makes a system.

        Args:
            name: Name in reports.
            mode: How it ranks.
            workbench: Holds indexes and vectors, shared with other systems.
            encoder: Name of its encoder in the workbench; None where only words are looked up.
            dense_weight: As for ``MultiRetriever``.
        """
        self.name = name
        self._mode = check_mode(mode)
        self._workbench = workbench
        self._encoder = encoder
        self._weight = dense_weight

    @property
    def info(self) -> SystemInfo:
        """What a report says of it."""
        if self._encoder is None:
            return SystemInfo(self.name, self._mode)
        encoder = self._workbench.encoder(self._encoder)
        cut = self._workbench.truncated.get(self._encoder, 0)
        return SystemInfo(self.name, self._mode, encoder.name, encoder.fingerprint, encoder.instructions is not None, cut)

    def prepare(self, dataset: Dataset, element_type: str, *, progress: bool = False) -> None:
        """Encodes the elements of a type, where another system with this encoder did not."""
        self._workbench.index(dataset, element_type, self._encoder, progress=progress)

    def search(self, dataset: Dataset, element_type: str, examples: Sequence[Example], depth: int) -> list[Ranked]:
        """Ranks as the retriever does; the context goes into the query and limits nothing."""
        index = self._workbench.index(dataset, element_type, self._encoder)
        retriever = MultiRetriever(index, mode=self._mode, dense_weight=self._weight)
        with warnings.catch_warnings():
            # One for each query would be too many; the report says how many there were.
            warnings.simplefilter("ignore", QueryTruncatedWarning)
            vectors = self._workbench.vectors(self._encoder, element_type, examples) if self._encoder is not None else None
            answers = retriever.retrieve_batch(
                [example.query for example in examples],
                element_type,
                k=depth,
                context=[example.context for example in examples],
                vectors=vectors,
            )
        return [[(hit.id, hit.score) for hit in hits] for hits in answers]

    def release(self) -> None:
        """Closes the indexes."""
        self._workbench.release()


def retriever_systems(
    encoders: EncoderSpec | Mapping[str, EncoderSpec] = None, modes: Sequence[str] = MODES
) -> tuple[RetrieverSystem, ...]:
    """Returns the systems of some encoders and modes: ``lexical`` (BM25) once, the others for each encoder.

    Args:
        encoders: One encoder, as for ``load_encoder``; or several by short names, which then come before the mode:
            ``tuned/dense``.
        modes: Modes, each once.

    Raises:
        ParameterError: There is no such mode, no mode, or no encoder.
        EncoderError: An encoder cannot be loaded.
    """
    workbench, setups = set_up(encoders, modes)
    return tuple(RetrieverSystem(name, mode, workbench=workbench, encoder=encoder) for name, mode, encoder in setups)
