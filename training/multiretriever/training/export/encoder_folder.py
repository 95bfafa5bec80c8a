"""The folder of an exported encoder: 8-bit ONNX model, tokenizer and description, put in place as a whole.

``multiretriever.core.encoders.OnnxEncoder`` loads it without torch.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from multiretriever.core.encoders.onnx import CONFIG_FILE, OnnxEncoder
from multiretriever.core.errors import EncoderError, MissingDependencyError, ParameterError
from multiretriever.core.prompts import fit_prompt
from multiretriever.training.export.card import history_of, write_card
from multiretriever.training.export.checkpoint import (
    BASE_PACKAGE,
    BLOCK_SIZES,
    INSTRUCTIONS_FILE,
    Base,
    Checkpoint,
    Scheme,
    describe_scheme,
    read_checkpoint,
)
from multiretriever.training.export.fidelity import FidelityReport, measure_fidelity
from multiretriever.training.export.restore import find_base
from multiretriever.training.row_files import replace_folder

FORMAT = 1
PROGRAM = "python -m multiretriever.training.export"
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
        raise ParameterError(f"expected a block_size of {BLOCK_SIZES}, got {block_size}")
    base = find_base(model_dir)
    checkpoint = read_checkpoint(base.folder, max_length=max_length)
    output = Path(output_dir).absolute()
    _check_output(output)
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
    parts = [PROGRAM, f"--base {BASE_PACKAGE if base.package else base.name}", f"--output {shown}"]
    if max_length is not None:
        parts.append(f"--max-length {max_length}")
    return " ".join([*parts, f"--scheme {scheme}", f"--block-size {block_size}"])


def _check_output(output: Path) -> None:
    """Checks that a folder may be replaced: that it is new, empty, or an exported encoder.

    Raises:
        EncoderError: It holds something else.
    """
    if output.exists() and not (output.is_dir() and ((output / CONFIG_FILE).is_file() or not any(output.iterdir()))):
        raise EncoderError(f"{output} holds something else than an exported encoder and would be replaced; choose another folder")


def write_encoder(base: Base, checkpoint: Checkpoint, folder: Path, name: str, scheme: Scheme, block_size: int) -> dict[str, Any]:
    """Exports a checkpoint into an empty folder and returns the content of ``encoder.json``.

    Raises:
        EncoderError: The checkpoint cannot be loaded, exported or rounded.
        OSError: A file cannot be written.
    """
    from multiretriever.training.export.onnx_graph import build_graph, strip  # torch and onnx take seconds to import
    from multiretriever.training.export.quantization import quantize

    tokenizer = _plain_tokenizer(checkpoint.folder / "tokenizer.json")
    graph = build_graph(checkpoint)
    dimension = graph.model.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    model = quantize(graph.model, scheme=scheme, block_size=block_size)
    strip(model)
    weights = model.SerializeToString(deterministic=True)
    (folder / "model.onnx").write_bytes(weights)
    (folder / "tokenizer.json").write_bytes(tokenizer)
    if checkpoint.instructions:
        shutil.copyfile(checkpoint.instructions, folder / INSTRUCTIONS_FILE)
    config = {
        "format": FORMAT,
        "name": name,
        "dimension": dimension,
        "pooling": checkpoint.pooling,
        "normalize": True,
        "max_length": checkpoint.max_length,
        "document_prompt": checkpoint.document_prompt,
        "instructions": INSTRUCTIONS_FILE if checkpoint.instructions else None,
        "model_sha256": hashlib.sha256(weights).hexdigest(),
        "tokenizer_sha256": hashlib.sha256(tokenizer).hexdigest(),
        "base": {"name": base.name, "package": base.package, "weights_sha256": checkpoint.weights_sha256()},
        "quantization": describe_scheme(scheme, block_size),
        # What `restore` needs to make a checkpoint of the folder again.
        "checkpoint": {"config": checkpoint.architecture(), "weights": graph.weights, "unused": graph.unused},
    }
    text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    (folder / CONFIG_FILE).write_text(text, encoding="utf-8", newline="\n")
    return config


def _plain_tokenizer(path: Path) -> bytes:
    """Returns ``tokenizer.json`` without the padding and truncation that are often baked in: every text would pay for them."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content.update(padding=None, truncation=None)
    except (OSError, ValueError, AttributeError) as error:
        raise EncoderError(f"{path} cannot be read as a tokenizer: {error}") from error
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
