"""What is measured by ``evaluate_generation``: anything that makes a flow of a requirement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from multiretriever.core.drafting import draft_flow
from multiretriever.core.encoders import EncoderSpec
from multiretriever.core.flows import Flow
from multiretriever.core.query import MODES, Mode
from multiretriever.core.retriever import MultiRetriever
from multiretriever.datasets import Dataset
from multiretriever.evaluation.systems import Workbench, set_up

_DRAFTED_FROM = ("step", "table", "field")


@dataclass(frozen=True)
class Generated:
    """What a generator made of a requirement.

    Attributes:
        flow: The flow; None where what it wrote is none.
        changes: What was changed in the flow before it came out, such as names that do not exist, in words.
        error: Why there is no flow.
    """

    flow: Flow | None
    changes: tuple[str, ...] = ()
    error: str = ""


@runtime_checkable
class Generator(Protocol):
    """Makes flows.

    Attributes:
        name: Name in reports, unique among the generators of one evaluation.
    """

    @property
    def name(self) -> str:
        """Name in reports."""
        ...

    def generate(self, dataset: Dataset, expected: Flow) -> Generated:
        """Makes a flow.

        Args:
            dataset: The dataset, whose catalog is known. All its flows come before those of the next dataset.
            expected: The flow that a person made. Its ``requirement`` is what is asked; nothing else of it is for the generator
                but its ``name``, by which a generator leaves it out of what it shows as examples.
        """
        ...


@runtime_checkable
class Releasing(Protocol):
    """A generator that keeps something open, such as indexes, and is told when the evaluation has ended."""

    def release(self) -> None:
        """Lets go of what it keeps."""
        ...


@dataclass(frozen=True)
class Retrieval:
    """What a generator retrieves with.

    Attributes:
        workbench: Holds indexes in memory, shared with other generators.
        mode: How is ranked.
        encoder: Name of the encoder in the workbench; None where only words are looked up.
    """

    workbench: Workbench
    mode: Mode
    encoder: str | None = None

    def retriever(self, dataset: Dataset, element_types: Sequence[str]) -> MultiRetriever:
        """Returns a retriever over those of the element types that the dataset has; its index is made once."""
        for name in element_types:
            if name in dataset.catalog.types:
                index = self.workbench.index(dataset, name, self.encoder)
        return MultiRetriever(index, mode=self.mode)


class RuleGenerator:
    """The drafter of rules (``draft_flow``) over an index in memory."""

    def __init__(self, name: str, retrieval: Retrieval) -> None:
        """Makes a generator.

        Args:
            name: Name in reports.
            retrieval: What it retrieves with.
        """
        self.name = name
        self.retrieval = retrieval

    def generate(self, dataset: Dataset, expected: Flow) -> Generated:
        """Drafts a flow."""
        retriever = self.retrieval.retriever(dataset, _DRAFTED_FROM)
        return Generated(draft_flow(retriever, expected.requirement, catalog=dataset.catalog).flow)

    def release(self) -> None:
        """Closes the indexes."""
        self.retrieval.workbench.release()


def rule_generators(
    encoders: EncoderSpec | Mapping[str, EncoderSpec] = None, modes: Sequence[str] = MODES
) -> tuple[RuleGenerator, ...]:
    """Returns drafters of rules over some encoders and modes: ``lexical`` (BM25) once, the others for each encoder.

    Args:
        encoders: One encoder, as for ``load_encoder``; or several by short names, which then stand before the mode.
        modes: Modes, each once.

    Raises:
        ParameterError: There is no such mode, no mode, or no encoder.
        EncoderError: An encoder cannot be loaded.
    """
    workbench, setups = set_up(encoders, modes)
    return tuple(RuleGenerator(name, Retrieval(workbench, mode, encoder)) for name, mode, encoder in setups)
