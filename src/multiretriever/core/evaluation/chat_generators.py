"""Chat models as generators: grounded in what is retrieved, and alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from multiretriever.core.datasets import Dataset
from multiretriever.core.errors import AnswerError
from multiretriever.core.evaluation.generators import Generated, Generator
from multiretriever.core.evaluation.workbench import EncoderSpec, Workbench, set_up
from multiretriever.core.flows import Flow
from multiretriever.core.generation import Chat, FlowQuestions, converse, flow_alone, write_flow
from multiretriever.core.query import MODES, Mode
from multiretriever.core.retriever import MultiRetriever

_GROUNDED_IN = ("step", "table", "field", "workflow")


class GroundedGenerator:
    """A chat model that writes flows question by question (``write_flow``) over an index in memory.

    The stored workflows that it is shown as examples are the dataset's other flows, never the one that is due.
    """

    def __init__(self, name: str, mode: Mode, *, chat: Chat, workbench: Workbench, encoder: str | None = None) -> None:
        """Makes a generator.

        Args:
            name: Name in reports.
            mode: How its retriever ranks.
            chat: The chat model.
            workbench: Holds indexes, shared with other generators.
            encoder: Name of its encoder in the workbench; None where only words are looked up.
        """
        self.name = name
        self._mode = mode
        self._chat = chat
        self._workbench = workbench
        self._encoder = encoder
        self._stored: tuple[Dataset | None, dict[str, Flow]] = (None, {})

    def generate(self, dataset: Dataset, expected: Flow) -> Generated:
        """Lets the model write a flow."""
        held = {item.element_type for item in dataset.catalog}
        for name in _GROUNDED_IN:
            if name in held:
                index = self._workbench.index(dataset, name, self._encoder)
        if self._stored[0] is not dataset:
            self._stored = (dataset, {flow.name: flow for flow in dataset.flows()})
        retriever = MultiRetriever(index, mode=self._mode)
        questions = FlowQuestions(retriever, catalog=dataset.catalog, without=[expected.name], stored=self._stored[1])
        try:
            written = write_flow(self._chat, questions, expected.requirement)
        except AnswerError as error:
            return Generated(None, error=str(error))
        return Generated(written.flow, changes=tuple(str(item) for item in written.changes))

    def release(self) -> None:
        """Closes the indexes."""
        self._workbench.release()


class UngroundedGenerator:
    """A chat model that is told nothing of the catalog (``flow_alone``)."""

    def __init__(self, name: str, *, chat: Chat) -> None:
        """Makes a generator.

        Args:
            name: Name in reports.
            chat: The chat model.
        """
        self.name = name
        self._chat = chat

    def generate(self, dataset: Dataset, expected: Flow) -> Generated:
        """Lets the model write a flow."""
        reading = converse(flow_alone(expected.requirement), self._chat)
        return Generated(reading.value, error="" if reading.value is not None else "; ".join(reading.faults))


def chat_generators(
    chat: Chat, encoders: EncoderSpec | Mapping[str, EncoderSpec] = None, modes: Sequence[str] = MODES, *, name: str = "model"
) -> tuple[Generator, ...]:
    """Returns a chat model alone, and grounded by some encoders and modes (see ``rule_generators``).

    Args:
        chat: The chat model: ``chat_with(model)``, in a ``Transcript`` where prompts and answers are to be kept.
        encoders: As for ``rule_generators``.
        modes: As for ``rule_generators``.
        name: Stands before the mode in reports: ``model, hybrid``.

    Raises:
        ParameterError: There is no such mode, no mode, or no encoder.
        EncoderError: An encoder cannot be loaded.
    """
    workbench, setups = set_up(encoders, modes)
    grounded = [
        GroundedGenerator(f"{name}, {label}", mode, chat=chat, workbench=workbench, encoder=encoder)
        for label, mode, encoder in setups
    ]
    return (UngroundedGenerator(f"{name} alone", chat=chat), *grounded)
