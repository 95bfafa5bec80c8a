"""What is evaluated: anything that ranks the elements of a dataset for queries."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from multiretriever.core.datasets import Dataset, Example
from multiretriever.core.errors import QueryTruncatedWarning
from multiretriever.core.evaluation.workbench import EncoderSpec, Workbench, set_up
from multiretriever.core.query import MODES, Mode, check_mode
from multiretriever.core.ranking import DENSE_WEIGHT
from multiretriever.core.retriever import MultiRetriever

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
    """A system that makes something of a dataset before it searches, and keeps it until it is told that the dataset is done."""

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
        encoders: One encoder, as for ``load_encoder``; or several by short names, which then stand before the mode:
            ``tuned/dense``.
        modes: Modes, each once.

    Raises:
        ParameterError: There is no such mode, no mode, or no encoder.
        EncoderError: An encoder cannot be loaded.
    """
    workbench, setups = set_up(encoders, modes)
    return tuple(RetrieverSystem(name, mode, workbench=workbench, encoder=encoder) for name, mode, encoder in setups)
