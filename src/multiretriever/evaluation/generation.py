"""Measuring generators on the flows of datasets: what they make of the requirements, beside what people made of them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import pydantic
from pydantic import ConfigDict

from multiretriever.core.errors import ParameterError
from multiretriever.core.flows import Flow
from multiretriever.core.markdown import grid, line
from multiretriever.core.progress import counted
from multiretriever.datasets import Dataset
from multiretriever.evaluation.generators import Generated, Generator, Releasing, rule_generators
from multiretriever.evaluation.measures import Sample, check_extras, interval
from multiretriever.grounding import MEASURES, FlowScores, score_flow

LABELS = {
    "valid": "valid",
    "made_up_steps": "made-up steps",
    "made_up_tables": "made-up tables",
    "made_up_fields": "made-up fields",
    "trigger_match": "trigger",
    "bag_of_steps": "bag of steps",
    "order_similarity": "order of steps",
    "fields_given_table": "fields given table",
}


class GeneratedFlow(pydantic.BaseModel):
    """What one generator made of one requirement.

    Attributes:
        dataset: Name of the dataset.
        name: Name of the flow that a person made.
        requirement: What was asked for.
        flow: The flow as YAML; blank where there is none.
        error: Why there is none.
        changes: What was changed in it before it came out.
        scores: Its measures, by name, 0 to 1; None where it has nothing that the measure is of.
    """

    model_config = ConfigDict(frozen=True)

    dataset: str
    name: str
    requirement: str
    flow: str = ""
    error: str = ""
    changes: tuple[str, ...] = ()
    scores: dict[str, float | None]


class MeanScore(pydantic.BaseModel):
    """Mean of a measure: over the flows of each dataset, then over datasets.

    Attributes:
        value: The mean, 0 to 1; None where no flow has anything that the measure is of.
        low: Lower end of the 95% bootstrap interval over flows; None where there are too few.
        high: Its upper end.
        flows: How many flows it is of.
    """

    model_config = ConfigDict(frozen=True)

    value: float | None
    low: float | None = None
    high: float | None = None
    flows: int = 0


class GenerationReport(pydantic.BaseModel):
    """Measures of generators on datasets, down to the single flow.

    Attributes:
        figures: Means by generator and measure.
        flows: What each generator made, in the order of the requirements.
        sample: How many flows of each dataset were drawn at most; None for all.
        seed: Seed of that draw and of the intervals.
    """

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    figures: dict[str, dict[str, MeanScore]]
    flows: dict[str, tuple[GeneratedFlow, ...]]
    sample: int | None = None
    seed: int = 0

    def to_markdown(self) -> str:
        """Returns a table: generators down, measures across."""
        lines = grid(["generator", "flows", *LABELS.values()], 1)
        for name, figures in self.figures.items():
            lines.append(line([name, str(len(self.flows[name])), *(cell_text(figures[measure]) for measure in LABELS)]))
        return "\n".join(lines)


def evaluate_generation(
    datasets: Dataset | Iterable[Dataset],
    generators: Sequence[Generator] | None = None,
    *,
    split: str | None = None,
    sample: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> GenerationReport:
    """Lets generators make flows of the requirements of datasets, and measures them (see ``score_flow``).

    Args:
        datasets: Datasets with flows that have a requirement and steps.
        generators: What makes flows; None for the drafter of rules with the shipped encoder in all three modes.
        split: Split of the datasets; None for all of each.
        sample: Flows of each dataset at most, drawn at random.
        seed: Seed of that draw and of the intervals.
        progress: Whether to show a bar on standard error.

    Raises:
        ParameterError: No flow is left, or names are not unique.
        DatasetError, FlowError: A dataset is not valid.
        MissingDependencyError: The extra ``eval`` is not installed.
    """
    check_extras()
    chosen = list(rule_generators()) if generators is None else list(generators)
    everything = [datasets] if isinstance(datasets, Dataset) else list(datasets)
    for names in ([item.name for item in chosen], [item.name for item in everything]):
        if not names or len(set(names)) < len(names):
            raise ParameterError(f"generators and datasets need names that are unique (got {', '.join(names) or 'none'})")
    work = [(dataset, _drawn(dataset, split, sample, seed)) for dataset in everything]
    total = sum(len(flows) for _, flows in work)
    if not total:
        raise ParameterError("no flow with a requirement and steps is left to be generated")
    made = _generate(work, chosen, total, progress=progress)
    figures = {name: {measure: _figure(entries, measure, seed) for measure in MEASURES} for name, entries in made.items()}
    return GenerationReport(
        figures=figures, flows={name: tuple(entries) for name, entries in made.items()}, sample=sample, seed=seed
    )


def _generate(
    work: Sequence[tuple[Dataset, list[Flow]]], generators: Sequence[Generator], total: int, *, progress: bool
) -> dict[str, list[GeneratedFlow]]:
    made: dict[str, list[GeneratedFlow]] = {generator.name: [] for generator in generators}
    try:
        with counted("flows", total * len(generators), shown=progress) as advance:
            for dataset, flows in work:
                for generator in generators:
                    for expected in flows:
                        made[generator.name].append(_entry(dataset, expected, generator.generate(dataset, expected)))
                        advance(1)
    finally:
        for generator in generators:
            if isinstance(generator, Releasing):
                generator.release()
    return made


def _drawn(dataset: Dataset, split: str | None, sample: int | None, seed: int) -> list[Flow]:
    flows = [flow for flow in dataset.flows(split) if flow.requirement and flow.steps]
    if sample is None or len(flows) <= sample:
        return flows
    chosen = set(random.Random(seed).sample(range(len(flows)), sample))
    return [flow for place, flow in enumerate(flows) if place in chosen]


def _entry(dataset: Dataset, expected: Flow, made: Generated) -> GeneratedFlow:
    scores: FlowScores = score_flow(made.flow, expected, dataset.catalog)
    return GeneratedFlow(
        dataset=dataset.name,
        name=expected.name,
        requirement=expected.requirement,
        flow=made.flow.to_yaml() if made.flow else "",
        error=made.error,
        changes=made.changes,
        scores=vars(scores),
    )


def _figure(entries: Sequence[GeneratedFlow], measure: str, seed: int) -> MeanScore:
    found = [(place, entry) for place, entry in enumerate(entries) if entry.scores[measure] is not None]
    if not found:
        return MeanScore(value=None)
    values = np.array([np.nan if entry.scores[measure] is None else entry.scores[measure] for entry in entries], dtype=np.float64)
    sample = Sample(
        rows=np.array([place for place, _ in found], dtype=np.intp),
        strata=tuple(entry.dataset for _, entry in found),
        units=tuple((entry.dataset, place) for place, entry in found),
    )
    low, high = interval(sample, values, seed=seed) or (None, None)
    return MeanScore(value=sample.mean(values), low=low, high=high, flows=len(found))


def cell_text(figure: MeanScore) -> str:
    """Returns a mean with its interval; blank where there is none."""
    if figure.value is None:
        return ""
    ends = f" [{figure.low:.3f}, {figure.high:.3f}]" if figure.low is not None and figure.high is not None else ""
    return f"{figure.value:.3f}{ends}"
