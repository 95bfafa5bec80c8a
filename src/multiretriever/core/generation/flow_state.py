"""Where the writing of a flow stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from multiretriever.core.flows import Flow
from multiretriever.core.generation.flow_forms import Call, Outline
from multiretriever.grounding import Change, FlowCheck

Stage = Literal["outline", "call", "inputs", "done"]


@dataclass(frozen=True)
class FlowState:
    """Where the writing of a flow stands. Immutable: each answer makes the next state.

    Attributes:
        requirement: What was asked for.
        stage: What is asked next: the ``outline``, the definition and table of a part (``call``), its ``inputs``; or ``done``.
        flow: The flow so far.
        outline: The outline; None before it is there.
        place: The part that is next: 0 for the trigger, from 1 for the steps.
        call: What was chosen for that part; None before.
        changes: What was changed in answers.
    """

    requirement: str
    stage: Stage
    flow: Flow
    outline: Outline | None = None
    place: int = 0
    call: Call | None = None
    changes: tuple[Change, ...] = ()

    @property
    def where(self) -> str:
        """The part that is next, in words."""
        return f"step {self.place}" if self.place else "trigger"

    @property
    def annotation(self) -> str:
        """Annotation of the part that is next; blank where none is."""
        if self.outline is None or self.stage == "done":
            return ""
        return self.outline.steps[self.place - 1].annotation if self.place else self.outline.trigger

    @property
    def progress(self) -> str:
        """What is being done, in one line."""
        if self.outline is None:
            return "outline"
        if self.stage == "done":
            return "done"
        count = len(self.outline.steps)
        where = f"step {self.place} of {count}" if self.place else "trigger"
        chosen = f": {self.call.definition}{f' on {self.call.table}' if self.call.table else ''}" if self.call else ""
        return f"{where} ({self.annotation}){chosen}"


@dataclass(frozen=True)
class WrittenFlow:
    """A flow that was generated.

    Attributes:
        flow: The flow.
        check: What checking it against the catalog gave.
        changes: What was changed in what the model wrote.
    """

    flow: Flow
    check: FlowCheck
    changes: tuple[Change, ...] = ()
