"""Measures flows generated from the requirements of datasets, beside the flows that people made of them.

    python examples/flow_generation/measure.py data/hr --output build/generation [--encoder NAME=SPEC] [--llm PROVIDER:MODEL]

Flows are drafted by retrieval (``draft_flow``). With --llm a chat model writes them as well: alone, and grounded by each encoder
and mode. Prompts and answers are kept in a transcript; what it holds is not asked again, and without --llm it is replayed.
Needs the extra ``eval``, and ``llm`` for chat models.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pydantic
from pydantic import ConfigDict

from flow_writer import FlowQuestions, flow_alone, write_flow
from multiretriever.core import Catalog, Encoder, Flow, Index, MultiRetriever, MultiRetrieverError, ParameterError, load_encoder
from multiretriever.core.errors import AnswerError
from multiretriever.core.progress import counted
from multiretriever.core.query import MODES, Mode
from multiretriever.datasets import Dataset, open_dataset
from multiretriever.evaluation.measures import Sample, check_extras, interval
from multiretriever.evaluation.report_files import grid, line
from multiretriever.grounding import draft_flow, score_flow
from multiretriever.grounding.dialogue import Chat, converse
from multiretriever.grounding.journal import Transcript

LABELS = {
    "valid": "valid",
    "hallucinated_steps": "hallucinated steps",
    "hallucinated_tables": "hallucinated tables",
    "hallucinated_fields": "hallucinated fields",
    "trigger_match": "trigger",
    "bag_of_steps": "bag of steps",
    "order_similarity": "order of steps",
    "fields_given_table": "fields given table",
}
_HELD = ("step", "table", "field", "workflow")


@dataclass(frozen=True)
class Generated:
    """What a generator made of a requirement.

    Attributes:
        flow: The flow; None where what it wrote is none.
        changes: What was changed in the flow before it came out, in words.
        error: Why there is no flow.
    """

    flow: Flow | None
    changes: tuple[str, ...] = ()
    error: str = ""


# Makes a flow. Of the flow that a person made, its requirement is what is asked; its name is for leaving it out of what is shown.
Generator = Callable[[Dataset, Flow], Generated]


class Retrievers:
    """Retrievers over indexes in memory: those of one dataset at a time, one index for each encoder."""

    def __init__(self, encoders: Mapping[str, Encoder]) -> None:
        self._encoders = encoders
        self._dataset: Dataset | None = None
        self._indexes: dict[str, Index] = {}

    def of(self, dataset: Dataset, encoder: str, mode: Mode) -> MultiRetriever:
        """Returns a retriever over the elements that flows are made of."""
        if self._dataset is not dataset:
            self.close()
            self._dataset = dataset
        if encoder not in self._indexes:
            catalog = Catalog(item for item in dataset.catalog if item.element_type in _HELD)
            self._indexes[encoder] = Index.from_catalog(catalog, encoder=self._encoders[encoder])
        return MultiRetriever(self._indexes[encoder], mode=mode)

    def close(self) -> None:
        """Closes the indexes."""
        while self._indexes:
            self._indexes.popitem()[1].close()


def by_retrieval(retrievers: Retrievers, encoder: str, mode: Mode) -> Generator:
    """Drafts flows by retrieval alone."""

    def generate(dataset: Dataset, expected: Flow) -> Generated:
        retriever = retrievers.of(dataset, encoder, mode)
        return Generated(draft_flow(retriever, expected.requirement, catalog=dataset.catalog).flow)

    return generate


def by_grounded_model(retrievers: Retrievers, encoder: str, mode: Mode, chat: Chat) -> Generator:
    """Lets a chat model write flows question by question; it is shown the dataset's other flows, never the expected one."""
    stored: dict[str, dict[str, Flow]] = {}

    def generate(dataset: Dataset, expected: Flow) -> Generated:
        flows = stored.setdefault(dataset.name, {flow.name: flow for flow in dataset.flows()})
        retriever = retrievers.of(dataset, encoder, mode)
        questions = FlowQuestions(retriever, catalog=dataset.catalog, without=[expected.name], stored=flows)
        try:
            written = write_flow(chat, questions, expected.requirement)
        except AnswerError as error:
            return Generated(None, error=str(error))
        return Generated(written.flow, changes=tuple(str(item) for item in written.changes))

    return generate


def by_model_alone(chat: Chat) -> Generator:
    """Lets a chat model write flows that is shown nothing of the catalog."""

    def generate(dataset: Dataset, expected: Flow) -> Generated:
        reading = converse(flow_alone(expected.requirement), chat)
        return Generated(reading.value, error="" if reading.value is not None else "; ".join(reading.faults))

    return generate


@contextmanager
def generators(
    encoders: Mapping[str, Encoder], modes: Sequence[Mode] = MODES, *, chat: Chat | None = None, name: str = "model"
) -> Iterator[dict[str, Generator]]:
    """Makes the generators of a run: ``lexical`` (BM25) once, the others for each encoder; a chat model alone and grounded.

    Args:
        encoders: Encoders by name; the names stand before the modes where there are several.
        modes: Modes.
        chat: A chat model.
        name: Its name in reports.
    """
    setups = {
        f"{encoder}/{mode}" if len(encoders) > 1 and mode != "lexical" else mode: (encoder, mode)
        for mode in modes
        for encoder in encoders
    }
    with closing(Retrievers(encoders)) as retrievers:
        made = {label: by_retrieval(retrievers, *setup) for label, setup in setups.items()}
        if chat is not None:
            made[f"{name} alone"] = by_model_alone(chat)
            made |= {f"{name}, {label}": by_grounded_model(retrievers, *setup, chat) for label, setup in setups.items()}
        yield made


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

    def __str__(self) -> str:
        if self.value is None:
            return ""
        ends = f" [{self.low:.3f}, {self.high:.3f}]" if self.low is not None and self.high is not None else ""
        return f"{self.value:.3f}{ends}"


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
        """Returns a table: measures down, generators across."""
        rows = [line([label, *(str(figures[name]) for figures in self.figures.values())]) for name, label in LABELS.items()]
        counts = line(["flows", *(str(len(flows)) for flows in self.flows.values())])
        return "\n".join([*grid(["measure", *self.figures], 1), counts, *rows])


def measure(
    datasets: Iterable[Dataset],
    generators: Mapping[str, Generator],
    *,
    split: str | None = None,
    sample: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> GenerationReport:
    """Lets generators make flows of the requirements of datasets, and measures them (see ``score_flow``).

    Args:
        datasets: Datasets with flows that have a requirement and steps; their names are unique.
        generators: What makes flows, by name.
        split: Split of the datasets; None for all of each.
        sample: Flows of each dataset at most, drawn at random.
        seed: Seed of that draw and of the intervals.
        progress: Whether to show a bar on standard error.

    Raises:
        ParameterError: No flow is left, or two datasets have one name.
        DatasetError, FlowError: A dataset is not valid.
        MissingDependencyError: The extra ``eval`` is not installed.
    """
    check_extras()
    work = [(dataset, _drawn(dataset, split, sample, seed)) for dataset in datasets]
    names = [dataset.name for dataset, _ in work]
    if len(set(names)) < len(names):
        raise ParameterError(f"expected datasets with unique names, got {', '.join(names)}")
    total = sum(len(flows) for _, flows in work) * len(generators)
    if not total:
        raise ParameterError("no flow with a requirement and steps is left to be generated")
    made: dict[str, list[GeneratedFlow]] = {name: [] for name in generators}
    with counted("flows", total, shown=progress) as advance:
        for dataset, flows in work:
            for name, generate in generators.items():
                for expected in flows:
                    made[name].append(_entry(dataset, expected, generate(dataset, expected)))
                    advance(1)
    figures = {name: {item: _mean(entries, item, seed) for item in LABELS} for name, entries in made.items()}
    return GenerationReport(figures=figures, flows={name: tuple(flows) for name, flows in made.items()}, sample=sample, seed=seed)


def _drawn(dataset: Dataset, split: str | None, sample: int | None, seed: int) -> list[Flow]:
    flows = [flow for flow in dataset.flows(split) if flow.requirement and flow.steps]
    if sample is None or len(flows) <= sample:
        return flows
    chosen = set(random.Random(seed).sample(range(len(flows)), sample))
    return [flow for place, flow in enumerate(flows) if place in chosen]


def _entry(dataset: Dataset, expected: Flow, made: Generated) -> GeneratedFlow:
    return GeneratedFlow(
        dataset=dataset.name,
        name=expected.name,
        requirement=expected.requirement,
        flow=made.flow.to_yaml() if made.flow else "",
        error=made.error,
        changes=made.changes,
        scores=vars(score_flow(made.flow, expected, dataset.catalog)),
    )


def _mean(entries: Sequence[GeneratedFlow], name: str, seed: int) -> MeanScore:
    found = [(place, entry) for place, entry in enumerate(entries) if entry.scores[name] is not None]
    if not found:
        return MeanScore(value=None)
    values = np.array([np.nan if entry.scores[name] is None else entry.scores[name] for entry in entries], dtype=np.float64)
    sample = Sample(
        rows=np.array([place for place, _ in found], dtype=np.intp),
        strata=tuple(entry.dataset for _, entry in found),
        units=tuple((entry.dataset, place) for place, entry in found),
    )
    low, high = interval(sample, values, seed=seed) or (None, None)
    return MeanScore(value=sample.mean(values), low=low, high=high, flows=len(found))


def read_encoders(specs: Sequence[str]) -> dict[str, Encoder]:
    """Returns encoders by name: of ``NAME=SPEC``, of a ``SPEC`` by its last part; the shipped one where none is given.

    Raises:
        ParameterError: Two have one name.
        EncoderError: One cannot be loaded.
    """
    pairs = [(name if sign else Path(name).name, rest or name) for name, sign, rest in (spec.partition("=") for spec in specs)]
    if len(dict(pairs)) < len(pairs):
        raise ParameterError(f"expected encoders with unique names (--encoder NAME=SPEC), got {', '.join(specs)}")
    return {name: load_encoder(None if spec == "shipped" else spec) for name, spec in pairs or [("shipped", "shipped")]}


def open_chat(llm: str | None, transcript: Path | None) -> Chat | None:
    """Returns a chat model that keeps a transcript, or one that replays it; None where neither is asked for.

    Raises:
        ParameterError: There is no transcript to replay, or nowhere to keep one.
    """
    if transcript is None and llm is not None:
        raise ParameterError("--llm keeps what was asked and answered; say where with --output FOLDER or --transcript FILE")
    if transcript is None:
        return None
    if llm is None:
        if not transcript.is_file():
            raise ParameterError(f"there is no transcript {transcript} to replay; --llm PROVIDER:MODEL makes one")
        return Transcript(transcript)
    from multiretriever.langchain import chat_with, init_model

    return Transcript(transcript, chat_with(init_model(llm)), model=llm)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+", metavar="DATASET", help="a dataset's folder, or FOLDER@SPLIT")
    parser.add_argument("--encoder", action="append", default=[], metavar="[NAME=]SPEC", help="default: the shipped one")
    parser.add_argument("--mode", action="append", choices=MODES, help="default: all")
    parser.add_argument("--split")
    parser.add_argument("--sample", type=int, metavar="N", help="at most so many flows of each dataset, at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--llm", metavar="PROVIDER:MODEL", help="a chat model of LangChain")
    parser.add_argument("--transcript", type=Path, metavar="FILE", help="default: OUTPUT/transcript.jsonl")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="write generation.json and generation.md there")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    options = parse(argv)
    try:
        kept = options.transcript or (options.output / "transcript.jsonl" if options.llm and options.output else None)
        if options.output:
            options.output.mkdir(parents=True, exist_ok=True)
        datasets = [open_dataset(folder) for folder in options.datasets]
        chat = open_chat(options.llm, kept)
        encoders, modes = read_encoders(options.encoder), options.mode or MODES
        with generators(encoders, modes, chat=chat, name=options.llm or "replayed model") as made:
            chosen = {"split": options.split, "sample": options.sample, "seed": options.seed}
            report = measure(datasets, made, **chosen, progress=sys.stderr.isatty())
    except (MultiRetrieverError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(report.to_markdown())
    if options.output:
        (options.output / "generation.json").write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8", newline="\n")
        (options.output / "generation.md").write_text(report.to_markdown() + "\n", encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
