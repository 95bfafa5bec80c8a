"""From an exported encoder back to a checkpoint: the 8-bit weights as float32, to go on tuning from.

``python -m multiretriever.training.restore shipped --output build/shipped``

The rounding of the export stays in the weights; nothing more is lost. So the package need not carry its encoder twice.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from multiretriever.core.encoders.onnx import CONFIG_FILE, EncoderConfig, OnnxEncoder
from multiretriever.core.errors import EncoderError, EncoderNotFoundError, MissingDependencyError, MultiRetrieverError
from multiretriever.training.checkpoint import INSTRUCTIONS_FILE, SHIPPED, exported_folder, read_checkpoint
from multiretriever.training.encoder_folder import replace_folder

if TYPE_CHECKING:
    from multiretriever.training.dequantize import QuantizedGraph  # needs onnx

MARK_FILE = "restored.json"
_FORMAT = 1
_NEEDED = ("onnx", "safetensors", "tokenizers", "torch", "transformers")
_ORIGIN = ("name", "model_sha256", "base", "quantization")
_PAD = "[PAD]"
_SPECIAL = {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
_TOLERANCE = 1e-4
_PROBES = (
    "look up incident tasks that do not have assignees",
    "Every day, remind the owner of a certificate which expires within 30 days by e-mail. " * 4,
    "sys_user.manager",
)


def restore_checkpoint(folder: str | Path, output: str | Path) -> Path:
    """Makes a checkpoint of sentence-transformers from the folder of an exported encoder.

    It has the float32 weights, the architecture, tokenizer, pooling, normalisation, window, instructions and prompts of the
    export. The same export gives the same bytes. Before it is put in place, its vectors are compared with those of the exported
    graph, which agree to 1e-4 where that computes in float32 too. An encoder of ``matmul-nbits`` rounds activations as well
    while it runs, and is nearer to the checkpoint than to its float32 original, not equal (0.9997 of cosine for the shipped one).

    Args:
        folder: Folder with ``encoder.json``, of either scheme of ``quantize``; or ``shipped`` for the encoder that comes with the
            package.
        output: Folder to make, or to replace if it holds an earlier one; it appears as a whole or not at all.

    Returns:
        The folder.

    Raises:
        MissingDependencyError: onnx, torch or transformers is not installed.
        EncoderNotFoundError: There is no exported encoder at ``folder``.
        EncoderError: It is damaged or no BERT, its weights cannot be told apart, or ``output`` holds something else or cannot be
            written.
    """
    source = exported_folder(folder)
    if source is None:
        raise EncoderNotFoundError(f"{folder} has no {CONFIG_FILE}; the folder of an exported encoder is due, or {SHIPPED!r}")
    _require(_NEEDED)
    target = Path(output).absolute()
    _check_output(target)
    encoder = OnnxEncoder(source)
    partial = target.with_name(f".{target.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        graph = _write(source, encoder, partial)
        _compare(source, graph, partial)
        replace_folder(partial, target)
    except OSError as error:
        raise EncoderError(f"{output} cannot be written: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Path(output)


def restore_into(folder: Path, work: Path) -> Path:
    """Restores an exported encoder into a folder of such checkpoints, or finds the one of before. Returns the checkpoint.

    Args:
        folder: Folder with ``encoder.json``.
        work: Folder that keeps the checkpoints, each under a name of its encoder's content.

    Raises:
        MissingDependencyError, EncoderError: See ``restore_checkpoint``.
    """
    digest = hashlib.sha256(f"{_FORMAT}".encode())
    try:
        for file in (CONFIG_FILE, INSTRUCTIONS_FILE):  # the first holds the digests of the others
            path = folder / file
            digest.update(path.read_bytes() if path.is_file() else b"")
    except OSError as error:
        raise EncoderError(f"{folder} cannot be read: {error}") from error
    place = work / f"{folder.resolve().name}-{digest.hexdigest()[:12]}"
    return place if (place / MARK_FILE).is_file() else restore_checkpoint(folder, place)


def _require(modules: Sequence[str]) -> None:
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingDependencyError(f'restoring needs {", ".join(missing)}: pip install "multiretriever[train]"')


def _check_output(output: Path) -> None:
    if output.exists() and not (output.is_dir() and ((output / MARK_FILE).is_file() or not any(output.iterdir()))):
        raise EncoderError(
            f"{output} holds something else than a restored checkpoint and would be replaced; choose another folder"
        )


def _write(source: Path, encoder: OnnxEncoder, folder: Path) -> QuantizedGraph:
    from safetensors.numpy import save

    from multiretriever.training.bert_graph import BertGraph  # torch and onnx take seconds to import
    from multiretriever.training.dequantize import QuantizedGraph

    content = (source / CONFIG_FILE).read_bytes()
    config = EncoderConfig.model_validate_json(content)
    _check_digest(source / "model.onnx", config.model_sha256)
    graph = QuantizedGraph(source / "model.onnx")
    bert = BertGraph(graph)
    tensors = {**bert.weights, **_pooler(encoder.dimension)}
    (folder / "model.safetensors").write_bytes(save(tensors, metadata={"format": "pt"}))
    tokens = _token_settings(source / "tokenizer.json", config.max_length)
    shutil.copyfile(source / "tokenizer.json", folder / "tokenizer.json")
    _write_json(folder / "tokenizer_config.json", {key: value for key, value in tokens.items() if key != "pad_token_id"})
    _write_json(folder / "config.json", {**bert.config, "pad_token_id": tokens["pad_token_id"]})
    _write_modules(folder, config)
    _write_prompts(folder, encoder, config.document_prompt)
    facts = json.loads(content)
    _write_json(folder / MARK_FILE, {"format": _FORMAT, **{key: facts.get(key) for key in _ORIGIN}})
    return graph


def _check_digest(path: Path, due: str) -> None:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != due:
        raise EncoderError(f"{path} has the sha256 {found}, and {CONFIG_FILE} beside it says {due}: one of them was changed")


def _pooler(width: int) -> dict[str, NDArray[np.float32]]:
    """Returns a head that BertModel has and encoders never use: where it is missing, transformers makes one by chance."""
    return {
        "pooler.dense.weight": np.zeros((width, width), dtype=np.float32),
        "pooler.dense.bias": np.zeros(width, dtype=np.float32),
    }


def _token_settings(path: Path, max_length: int) -> dict[str, Any]:
    """Returns what transformers must be told beside ``tokenizer.json``, and the id of the padding."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    special = {token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special}
    pad = tokenizer.token_to_id(_PAD) or 0
    return {
        # Takes tokenizer.json as it is; a class of its own for BERT would build another one from settings.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_length,
        "pad_token": tokenizer.id_to_token(pad),
        "pad_token_id": pad,
        **{key: token for key, token in _SPECIAL.items() if token in special},
    }


def _write_modules(folder: Path, config: EncoderConfig) -> None:
    """Writes the layout in the form that all versions of sentence-transformers read."""
    kinds = {"Transformer": "", "Pooling": "1_Pooling", **({"Normalize": "2_Normalize"} if config.normalize else {})}
    modules = [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for index, (kind, path) in enumerate(kinds.items())
    ]
    _write_json(folder / "modules.json", modules)
    (folder / kinds["Pooling"]).mkdir()
    pooling = {
        "word_embedding_dimension": config.dimension,
        "pooling_mode_cls_token": config.pooling == "cls",
        "pooling_mode_mean_tokens": config.pooling == "mean",
    }
    _write_json(folder / kinds["Pooling"] / "config.json", pooling)
    _write_json(folder / "sentence_bert_config.json", {"max_seq_length": config.max_length, "do_lower_case": False})


def _write_prompts(folder: Path, encoder: OnnxEncoder, document_prompt: str) -> None:
    instructions = encoder.instructions
    prompts = {"document": document_prompt, **(instructions.prompts if instructions else {})}
    _write_json(folder / "config_sentence_transformers.json", {"prompts": prompts, "default_prompt_name": None})
    if instructions is not None:
        (folder / INSTRUCTIONS_FILE).write_text(instructions.to_yaml(), encoding="utf-8", newline="\n")


def _write_json(path: Path, content: Mapping[str, Any] | Sequence[Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")


def _compare(source: Path, graph: QuantizedGraph, folder: Path) -> None:
    """Compares the checkpoint on torch with the same graph in float32: with 8-bit activations they are only near each other."""
    from multiretriever.training.onnx_graph import reference_encode  # torch takes seconds to import

    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "model.onnx").write_bytes(graph.in_float32())
        for name in (CONFIG_FILE, "tokenizer.json"):
            shutil.copyfile(source / name, Path(place) / name)
        due = OnnxEncoder(place).encode_queries(_PROBES)
    gap = float(np.abs(reference_encode(read_checkpoint(folder))(_PROBES) - due).max())
    if not gap <= _TOLERANCE:
        raise EncoderError(
            f"{source} cannot be read back to a checkpoint: a vector differs from the encoder's by {gap:.1e}, and at most "
            f"{_TOLERANCE} is due; only exports of BERT models can"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line. Returns 0, or 1 after an error."""
    parser = argparse.ArgumentParser(
        prog="python -m multiretriever.training.restore", description="Makes a float32 checkpoint from an exported encoder."
    )
    parser.add_argument("folder", metavar="FOLDER", help=f"folder of an exported encoder, or {SHIPPED}")
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER", help="folder to make")
    options = parser.parse_args(arguments)
    try:
        made = restore_checkpoint(options.folder, options.output)
    except MultiRetrieverError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{made}: {(made / 'model.safetensors').stat().st_size / 1e6:.1f} MB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
