"""What a playbook is made of while it is written: the forms of answers, the plan, and written stages."""

from __future__ import annotations

from dataclasses import dataclass

import pydantic
from pydantic import ConfigDict, Field

from multiretriever.core.playbooks import Playbook, Stage
from multiretriever.core.yaml_io import Text
from multiretriever.grounding.flow_check import Change
from multiretriever.grounding.playbook_check import PlaybookCheck


class StageIdea(pydantic.BaseModel):
    """One stage of an outline."""

    name: Text = Field(description="name of the stage, a few words")
    purpose: Text = Field(description="what is to be reached in it, one sentence")


class PlaybookOutline(pydantic.BaseModel):
    """The outline of a playbook: its stages, in order."""

    label: Text = Field(default="", description="title of the playbook, a few words")
    description: Text = Field(default="", description="what the playbook does, one sentence")
    stages: list[StageIdea] = Field(description="the stages, in order")


class Choice(pydantic.BaseModel):
    """One activity that was chosen for a stage."""

    kind: Text = Field(description="flow for a workflow, form for a catalog item")
    id: Text = Field(description="id of the workflow or the catalog item, as it is listed")
    why: Text = Field(default="", description="what it is there for, a few words")
    after: list[Text] = Field(default_factory=list, description="ids of activities of this stage that must be done before it")


class StageChoice(pydantic.BaseModel):
    """The activities of a stage, in order, or what is missing for it."""

    activities: list[Choice] = Field(description="the activities, in order; empty where nothing that is listed fits")
    missing: Text = Field(default="", description="what the stage needs and nothing that is listed does; empty otherwise")


class _Held(pydantic.BaseModel):
    # Plain values, so that graphs and workflows can keep them in their states and events.
    model_config = ConfigDict(frozen=True)


class PlannedStage(_Held):
    """A stage without its activities.

    Attributes:
        name: Its name.
        purpose: What it is for.
    """

    name: str
    purpose: str

    @property
    def words(self) -> str:
        """Name and purpose as one text; the name alone only where there is no more."""
        return f"{self.name}: {self.purpose}" if self.purpose else self.name


class PlaybookPlan(_Held):
    """A playbook without activities.

    Attributes:
        requirement: What was asked for.
        label: Title of the playbook.
        description: What it does.
        stages: Its stages, in order.
        changes: What was changed in the outline.
    """

    requirement: str
    label: str = ""
    description: str = ""
    stages: tuple[PlannedStage, ...]
    changes: tuple[Change, ...] = ()


class WrittenStage(_Held):
    """A stage with its activities.

    Attributes:
        number: Its place in the playbook, from 1.
        stage: The stage.
        changes: What was changed in what was chosen for it.
    """

    number: int
    stage: Stage
    changes: tuple[Change, ...] = ()

    @property
    def progress(self) -> str:
        """What stands in it, in one line."""
        chosen = ", ".join(item.id for item in self.stage.activities) or "nothing"
        return f"stage {self.number} ({self.stage.name}): {chosen}"


@dataclass(frozen=True)
class WrittenPlaybook:
    """A playbook that was generated.

    Attributes:
        playbook: The playbook.
        check: What checking it against the catalog gave; no id in it is made up.
        changes: What was changed in what was generated.
    """

    playbook: Playbook
    check: PlaybookCheck
    changes: tuple[Change, ...] = ()
