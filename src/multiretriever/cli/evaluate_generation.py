"""``multiretriever evaluate-generation``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from multiretriever.cli import options
from multiretriever.cli.evaluate_command import Encoders, Folders, Modes, Progress, Seed, Split, check_output, encoders_of
from multiretriever.cli.output import note, show_json, show_table

if TYPE_CHECKING:
    from multiretriever.core.generation import Chat
    from multiretriever.evaluation import GenerationReport

Sample = Annotated[
    int | None, typer.Option("--sample", metavar="N", min=1, help="At most so many flows of each dataset, at random.")
]
Llm = Annotated[
    str | None,
    typer.Option(
        "--llm",
        metavar="PROVIDER:MODEL",
        help="Let a chat model of LangChain write the flows as well: alone, and grounded by each encoder and mode.",
    ),
]
Kept = Annotated[
    Path | None,
    typer.Option(
        "--transcript",
        metavar="FILE",
        help="Keep prompts and answers there (OUTPUT/transcript.jsonl where --output is given). What the file holds is not asked "
        "again: an interrupted run goes on, and without --llm the file is replayed.",
    ),
]
Output = Annotated[Path | None, typer.Option("--output", metavar="FOLDER", help="Write generation.json and generation.md there.")]


def evaluate_generation(
    folders: Folders,
    encoder: Encoders = None,
    mode: Modes = None,
    split: Split = None,
    sample: Sample = None,
    seed: Seed = 0,
    llm: Llm = None,
    transcript: Kept = None,
    output: Output = None,
    progress: Progress = None,
    plugin: options.Plugins = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Measure flows that are generated from requirements, beside the flows that people made of them.

    Shares of made-up steps, tables and fields, trigger match, bag of steps, order of steps, fields given the table. Flows are
    drafted by rules over what BM25 and encoders retrieve; with --llm a chat model writes them too.
    """
    from multiretriever import evaluation
    from multiretriever.cli.plugins import load_plugins
    from multiretriever.core.query import MODES
    from multiretriever.datasets import open_dataset

    load_plugins(plugin)
    check_output(output)
    rules = evaluation.rule_generators(encoders_of(encoder), mode or MODES)
    generators: list[evaluation.Generator] = [*rules]
    if llm is not None or transcript is not None:
        generators += evaluation.chat_generators(_chat(llm, transcript, output), rules, name=llm or "replayed model")
    report = evaluation.evaluate_generation(
        [open_dataset(folder) for folder in folders],
        generators,
        split=split,
        sample=sample,
        seed=seed,
        progress=sys.stderr.isatty() if progress is None else progress,
    )
    if output is not None:
        _save(report, output)
    if as_json:
        show_json(report.model_dump(mode="json", exclude={"flows"}))
    else:
        _show(report)
    if output is not None:
        note(f"generation.json and generation.md are in {output}")


def _chat(llm: str | None, transcript: Path | None, output: Path | None) -> Chat:
    from multiretriever.core import ParameterError
    from multiretriever.core.generation import Transcript

    path = transcript or (output and output / "transcript.jsonl")
    if path is None:
        raise ParameterError("--llm keeps what was asked and answered; say where with --output FOLDER or --transcript FILE")
    if llm is None:
        if not path.is_file():
            raise ParameterError(f"there is no transcript {path} to replay; --llm PROVIDER:MODEL makes one")
        return Transcript(path)
    from multiretriever.langchain import chat_with, init_model

    return Transcript(path, chat_with(init_model(llm)), model=llm)


def _save(report: GenerationReport, folder: Path) -> None:
    from multiretriever.core import ParameterError

    try:
        (folder / "generation.json").write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8", newline="\n")
        (folder / "generation.md").write_text(report.to_markdown() + "\n", encoding="utf-8", newline="\n")
    except OSError as error:
        raise ParameterError(f"the report cannot be written to {folder}: {error.strerror or error}") from error


def _show(report: GenerationReport) -> None:
    """Shows measures down and generators across, which fits a terminal."""
    from multiretriever.evaluation.generation import LABELS, cell_text

    rows = [[label, *(cell_text(figures[measure]) for figures in report.figures.values())] for measure, label in LABELS.items()]
    show_table(["measure", *report.figures], rows, flexible=(0,))
    note(f"\n{len(next(iter(report.flows.values())))} flows; [95% bootstrap interval]")
