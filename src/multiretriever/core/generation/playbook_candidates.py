"""What is retrieved for a playbook: workflows and catalog items, for a whole requirement and for one stage."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import Any

from multiretriever.core.elements import Element, Workflow
from multiretriever.core.errors import ParameterError
from multiretriever.core.generation.playbook_parts import PlannedStage
from multiretriever.core.playbooks import ELEMENT_TYPES
from multiretriever.core.retriever import MultiRetriever
from multiretriever.grounding.dialogue import entry

CANDIDATES = 8
_CONTEXT = 600
_SHOWN = 300


class PlaybookCandidates:
    """Retrieves workflows and catalog items."""

    def __init__(self, retriever: MultiRetriever, *, k: int = CANDIDATES) -> None:
        """Makes it.

        Args:
            retriever: Retriever over an index with workflows, catalog items, or both.
            k: Candidates of each type at most.

        Raises:
            ParameterError: The index has neither workflows nor catalog items, or ``k`` is below 1.
        """
        held = retriever.index.manifest.types
        self.types = tuple(name for name in ELEMENT_TYPES.values() if name in held)
        if not self.types:
            raise ParameterError(
                f"playbooks are made of workflows and catalog items; the index has {', '.join(held) or 'nothing'}"
            )
        if k < 1:
            raise ParameterError(f"k must be at least 1 (got {k})")
        self._retriever = retriever
        self._k = k

    def check(self, requirement: str) -> None:
        """Checks a requirement as every query is checked.

        Raises:
            QueryError: It is empty, not text, or too long.
        """
        self._retriever.prompt(requirement, self.types[0])

    def for_requirement(self, requirement: str) -> dict[str, list[Element]]:
        """Returns the elements for a whole requirement, by element type."""
        return self._found([requirement])

    def for_stage(self, requirement: str, stage: PlannedStage) -> dict[str, list[Element]]:
        """Returns the elements for a stage, by element type: for its own words, and for them after the requirement, in turn.

        A stage's words find more where they say what is to be done; the requirement helps where they do not ("Preparation").
        """
        return self._found([stage.words, f"{requirement[:_CONTEXT]}\n{stage.words}"])

    def _found(self, queries: Sequence[str]) -> dict[str, list[Element]]:
        answers = [self._retriever.ground(query, dict.fromkeys(self.types, self._k)) for query in queries]
        return {name: self._in_turn([answer[name] for answer in answers]) for name in self.types}

    def _in_turn(self, lists: Sequence[Sequence[Any]]) -> list[Element]:
        hits = [hit for hit in chain.from_iterable(zip_longest(*lists)) if hit is not None]
        return list({hit.id: hit.element for hit in hits}.values())[: self._k]


def shown(found: dict[str, list[Element]]) -> dict[str, list[dict[str, Any]]]:
    """Returns what a chat model is shown of elements, by the name of the block that they stand in."""
    return {f"{name}s": [_entry(element) for element in elements] for name, elements in found.items() if elements}


def _entry(element: Element) -> dict[str, Any]:
    values = entry(element)
    if isinstance(element, Workflow) and element.flow is not None:
        # What a workflow was asked for says more of when to use it than the ids of its steps, which would be taken for names.
        values.pop("steps", None)
        values |= {"does": element.flow.requirement[:_SHOWN]} if element.flow.requirement else {}
    return values
