"""From an exported encoder back to a checkpoint: the 8-bit weights as float32, to go on tuning from.

``python -m multiretriever.training.export.restore shipped --output build/shipped``

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
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pydantic

from multiretriever.core.encoders.onnx import CONFIG_FILE, EncoderConfig, OnnxEncoder
from multiretriever.core.errors import EncoderError, EncoderNotFoundError, MissingDependencyError, MultiRetrieverError
from multiretriever.training.export.checkpoint import (
    BASE_NAME,
    BASE_PACKAGE,
    INSTRUCTIONS_FILE,
    SHIPPED,
    Base,
    exported_folder,
    is_packaged,
    read_checkpoint,
)
from multiretriever.training.row_files import replace_folder

if TYPE_CHECKING:
    from multiretriever.training.export.quantization import QuantizedGraph

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


def find_base(spec: str | Path, *, work: Path | None = None) -> Base:
    """Returns the checkpoint that a folder or a name means. Nothing is ever downloaded.

    Args:
        spec: Folder of a checkpoint; the name of the base's package; ``shipped`` for the encoder that comes with this package; or
            the folder of an exported encoder. The last two are in 8 bits and are restored, see ``restore_checkpoint``.
        work: Folder that keeps restored checkpoints; one that is there already is used again.

    Raises:
        EncoderNotFoundError: There is no such folder, or it has no ``config.json``; or it is an exported encoder and no ``work``
            was given.
        EncoderError: An exported encoder cannot be restored.
        MissingDependencyError: The package, or what restoring needs, is not installed.
    """
    text = str(spec).strip()
    if is_packaged(text):
        return _packaged_base()
    exported = exported_folder(text)
    if exported is not None:
        return _restored_base(exported, text, work)
    folder = Path(text)
    if not text or not folder.is_dir():
        raise EncoderNotFoundError(
            f"there is no folder {text!r}; give the folder of a checkpoint, {SHIPPED!r} or {BASE_PACKAGE!r}"
        )
    if not (folder / "config.json").is_file():
        raise EncoderNotFoundError(f"{folder} has no config.json; expected the folder of a checkpoint")
    return Base(folder, folder.resolve().name)


def _restored_base(folder: Path, text: str, work: Path | None) -> Base:
    if work is None:
        raise EncoderNotFoundError(
            f"{folder} is an exported encoder in 8 bits, expected a checkpoint; "
            f"make one: python -m multiretriever.training.export.restore {text} --output FOLDER"
        )
    return Base(restore_into(folder, work), folder.resolve().name)


def _packaged_base() -> Base:
    try:
        folder = Path(str(resources.files(BASE_PACKAGE.replace("-", "_")).joinpath("model")))
    except ModuleNotFoundError as error:
        raise MissingDependencyError(f'{BASE_PACKAGE} is not installed: pip install "multiretriever[train]"') from error
    return Base(folder, BASE_NAME, f"{BASE_PACKAGE}=={metadata.version(BASE_PACKAGE)}")


def restore_checkpoint(folder: str | Path, output: str | Path) -> Path:
    """Makes a checkpoint of sentence-transformers from the folder of an exported encoder.

    It has the float32 weights, the architecture, tokenizer, pooling, normalisation, window, instructions and prompts of the
    export. The same export makes the same bytes. Before it is put in place, its vectors are compared with those of the exported
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
        EncoderError: It is damaged, its ``encoder.json`` does not name its weights, or ``output`` holds something else or cannot
            be written.
    """
    source = exported_folder(folder)
    if source is None:
        raise EncoderNotFoundError(f"{folder} has no {CONFIG_FILE}; expected the folder of an exported encoder, or {SHIPPED!r}")
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

    from multiretriever.training.export.quantization import QuantizedGraph  # torch and onnx take seconds to import

    content = (source / CONFIG_FILE).read_bytes()
    config = EncoderConfig.model_validate_json(content)
    facts = json.loads(content)
    made_of = _checkpoint(source, facts)
    _check_digest(source / "model.onnx", config.model_sha256)
    graph = QuantizedGraph(source / "model.onnx")
    tensors = {name: graph.weight(held_as) for name, held_as in made_of.weights.items()}
    # What encoders never use, such as BERT's pooler: where it is missing, transformers makes one by chance.
    tensors.update({name: np.zeros(shape, dtype=np.float32) for name, shape in made_of.unused.items()})
    (folder / "model.safetensors").write_bytes(save(tensors, metadata={"format": "pt"}))
    tokens = _token_settings(source / "tokenizer.json", config.max_length)
    shutil.copyfile(source / "tokenizer.json", folder / "tokenizer.json")
    pad = made_of.config.get("pad_token_id", tokens.pop("pad_token_id"))
    _write_json(folder / "tokenizer_config.json", tokens)
    _write_json(folder / "config.json", {**made_of.config, "pad_token_id": pad})
    _write_modules(folder, config)
    _write_prompts(folder, encoder, config.document_prompt)
    _write_json(folder / MARK_FILE, {"format": _FORMAT, **{key: facts.get(key) for key in _ORIGIN}})
    return graph


class _Checkpoint(pydantic.BaseModel):
    """What ``encoder.json`` says of the checkpoint that an encoder was made of.

    Attributes:
        config: The architecture, as transformers writes it.
        weights: Names in the graph by those of the weights.
        unused: Shapes of weights that no vector depends on, by name.
    """

    config: dict[str, Any]
    weights: dict[str, str]
    unused: dict[str, tuple[pydantic.PositiveInt, ...]]


def _checkpoint(source: Path, facts: Mapping[str, Any]) -> _Checkpoint:
    try:
        return _Checkpoint.model_validate(facts.get("checkpoint"))
    except pydantic.ValidationError as error:
        raise EncoderError(
            f'{source / CONFIG_FILE} does not name the weights of model.onnx (an object "checkpoint"), so no checkpoint can be '
            "made of it; export the encoder again with this version, or tune from the checkpoint that it was exported from"
        ) from error


def _check_digest(path: Path, expected: str) -> None:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != expected:
        raise EncoderError(f"{path} has the sha256 {found}, expected {expected} by {CONFIG_FILE}: one of them was changed")


def _token_settings(path: Path, max_length: int) -> dict[str, Any]:
    """Returns what transformers needs beside ``tokenizer.json``, and the id of the padding."""
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
    from multiretriever.training.export.onnx_graph import reference_encode  # torch takes seconds to import

    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "model.onnx").write_bytes(graph.in_float32())
        for name in (CONFIG_FILE, "tokenizer.json"):
            shutil.copyfile(source / name, Path(place) / name)
        expected = OnnxEncoder(place).encode_queries(_PROBES)
    gap = float(np.abs(reference_encode(read_checkpoint(folder))(_PROBES) - expected).max())
    if not gap <= _TOLERANCE:
        raise EncoderError(
            f"{source} cannot be made a checkpoint again: a vector differs from the encoder's by {gap:.1e}, "
            f"expected at most {_TOLERANCE}"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line. Returns 0, or 1 after an error."""
    parser = argparse.ArgumentParser(
        prog="python -m multiretriever.training.export.restore",
        description="Makes a float32 checkpoint from an exported encoder.",
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
