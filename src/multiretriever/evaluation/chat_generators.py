"""Chat models as generators: grounded in what is retrieved, and alone."""

from __future__ import annotations

from collections.abc import Sequence

from multiretriever.core.errors import AnswerError
from multiretriever.core.flows import Flow
from multiretriever.core.generation import Chat, FlowQuestions, converse, flow_alone, write_flow
from multiretriever.datasets import Dataset
from multiretriever.evaluation.generators import Generated, Generator, Retrieval, RuleGenerator

_GROUNDED_IN = ("step", "table", "field", "workflow")


class GroundedGenerator:
    """A chat model that writes flows question by question (``write_flow``) over an index in memory.

    The stored workflows that it is shown as examples are the dataset's other flows, never the one that is due.
    """

    def __init__(self, name: str, retrieval: Retrieval, *, chat: Chat) -> None:
        """Makes a generator.

        Args:
            name: Name in reports.
            retrieval: What it retrieves with.
            chat: The chat model.
        """
        self.name = name
        self.retrieval = retrieval
        self._chat = chat
        self._stored: tuple[Dataset | None, dict[str, Flow]] = (None, {})

    def generate(self, dataset: Dataset, expected: Flow) -> Generated:
        """Lets the model write a flow."""
        retriever = self.retrieval.retriever(dataset, _GROUNDED_IN)
        if self._stored[0] is not dataset:
            self._stored = (dataset, {flow.name: flow for flow in dataset.flows()})
        questions = FlowQuestions(retriever, catalog=dataset.catalog, without=[expected.name], stored=self._stored[1])
        try:
            written = write_flow(self._chat, questions, expected.requirement)
        except AnswerError as error:
            return Generated(None, error=str(error))
        return Generated(written.flow, changes=tuple(str(item) for item in written.changes))

    def release(self) -> None:
        """Closes the indexes."""
        self.retrieval.workbench.release()


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


def chat_generators(chat: Chat, rules: Sequence[RuleGenerator], *, name: str = "model") -> tuple[Generator, ...]:
    """Returns a chat model alone, and grounded by what each of some drafters of rules retrieves with, over the same indexes.

    Args:
        chat: The chat model: ``chat_with(model)``, in a ``Transcript`` where prompts and answers are to be kept.
        rules: Drafters of rules (``rule_generators``).
        name: Stands before their names in reports: ``model, hybrid``.
    """
    grounded = [GroundedGenerator(f"{name}, {rule.name}", rule.retrieval, chat=chat) for rule in rules]
    return (UngroundedGenerator(f"{name} alone", chat=chat), *grounded)
