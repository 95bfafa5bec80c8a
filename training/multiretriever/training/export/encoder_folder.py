"""The folder of an exported encoder: model, tokenizer and description, put in place as a whole."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from multiretriever.core.encoders.onnx import CONFIG_FILE
from multiretriever.core.errors import EncoderError
from multiretriever.training.export.checkpoint import INSTRUCTIONS_FILE, Base, Checkpoint, Scheme, describe_scheme

FORMAT = 1


def check_output(output: Path) -> None:
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
    from multiretriever.training.export.onnx_graph import build_graph, quantize, strip  # torch and onnx take seconds to import

    tokenizer = _plain_tokenizer(checkpoint.folder / "tokenizer.json")
    model = build_graph(checkpoint)
    dimension = model.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    model = quantize(model, scheme=scheme, block_size=block_size)
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
