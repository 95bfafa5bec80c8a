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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

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
from multiretriever.training.export.onnx_graph import INPUTS
from multiretriever.training.row_files import replace_folder


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
        raise EncoderNotFoundError(f"{folder} has no config.json; the folder of a checkpoint is due")
    return Base(folder, folder.resolve().name)


def _restored_base(folder: Path, text: str, work: Path | None) -> Base:

    if work is None:
        raise EncoderNotFoundError(
            f"{folder} is an exported encoder in 8 bits, and a checkpoint is due; "
            f"make one: python -m multiretriever.training.export.restore {text} --output FOLDER"
        )
    return Base(restore_into(folder, work), folder.resolve().name)


def _packaged_base() -> Base:
    try:
        folder = Path(str(resources.files(BASE_PACKAGE.replace("-", "_")).joinpath("model")))
    except ModuleNotFoundError as error:
        raise MissingDependencyError(f'{BASE_PACKAGE} is not installed: pip install "multiretriever[train]"') from error
    return Base(folder, BASE_NAME, f"{BASE_PACKAGE}=={metadata.version(BASE_PACKAGE)}")


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

    from multiretriever.training.export.bert_graph import BertGraph  # torch and onnx take seconds to import

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
    from multiretriever.training.export.onnx_graph import reference_encode  # torch takes seconds to import

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


# The float32 values behind the 8-bit weights of an exported graph: the reverse of ``quantize``.

# MatMulNBits without zero points stores a weight of 0 as the middle of 0 to 255.
_ZERO = 128
# MatMulNBits' levels of accuracy; the export asks for 4, which is 8-bit activations.
_FLOAT32 = 1


@dataclass(frozen=True)
class Linear:
    """A product with a matrix and the sum with its bias.

    Attributes:
        source: Name of what is multiplied.
        output: Name of the sum.
        weight: Float32 [outputs, inputs], which is how torch keeps it.
        bias: Float32 [outputs].
    """

    source: str
    output: str
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]


class QuantizedGraph:
    """A graph that ``export_onnx`` wrote, in either scheme of ``quantize``.

    Attributes:
        path: The file.
        nodes: Its operators, each after those whose outputs it takes.
    """

    def __init__(self, path: Path) -> None:
        """Reads a graph.

        Args:
            path: ``model.onnx`` of an exported encoder.

        Raises:
            EncoderError: The file cannot be read.
        """
        self.path = path
        try:
            self._model = onnx.load(path, load_external_data=False)
        except Exception as error:  # protobuf raises classes of its own
            raise EncoderError(f"{path} cannot be read as an ONNX model: {error}") from error
        self.nodes: tuple[onnx.NodeProto, ...] = tuple(self._model.graph.node)
        self._tensors = {item.name: item for item in self._model.graph.initializer}
        self._makers = {output: node for node in self.nodes for output in node.output}

    def refusal(self, why: str) -> EncoderError:
        """Returns the error for a graph that is not as an export of a BERT makes it."""
        return EncoderError(f"{self.path} cannot be read back to a checkpoint: {why}; only exports of BERT models can")

    def constant(self, name: str) -> NDArray[Any]:
        """Returns the value of a constant.

        Raises:
            EncoderError: There is none of the name.
        """
        if name not in self._tensors:
            raise self.refusal(f"it has no constant {name!r}")
        array: NDArray[Any] = numpy_helper.to_array(self._tensors[name])
        return array

    def makers(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Returns the operators that make what an operator takes, constants and inputs of the graph aside."""
        return [self._makers[name] for name in node.input if name in self._makers]

    def takers(self, output: str) -> list[onnx.NodeProto]:
        """Returns the operators that take an output."""
        return [node for node in self.nodes if output in node.input]

    def words(self) -> NDArray[np.float32]:
        """Returns the word embeddings, float32 [vocabulary, dimension].

        Raises:
            EncoderError: The graph has no 8-bit table that is looked up by token ids.
        """
        for node in self.nodes:
            if node.op_type == "Gather" and node.input[0].endswith(".int8") and node.input[1] == INPUTS[0]:
                scales = self.constant(node.input[0].removesuffix("int8") + "scale")
                values: NDArray[np.float32] = self.constant(node.input[0]).astype(np.float32) * scales
                return values
        raise self.refusal("it has no 8-bit word embeddings")

    def linears(self) -> Iterator[Linear]:
        """Yields the products with matrices, in the order of the graph.

        Raises:
            EncoderError: A product has no bias, or is not rounded as ``quantize`` does.
        """
        for node in self.nodes:
            matrix = self._matrix(node)
            if matrix is not None:
                bias, output = self._bias(node)
                yield Linear(node.input[0], output, np.ascontiguousarray(matrix.T), bias)

    def in_float32(self) -> bytes:
        """Returns the model with all products computed in float32 on the 8-bit weights, as a checkpoint of them computes."""
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        for node in model.graph.node:
            for item in node.attribute:
                if node.op_type == "MatMulNBits" and item.name == "accuracy_level":
                    item.i = _FLOAT32
        content: bytes = model.SerializeToString()
        return content

    def _matrix(self, node: onnx.NodeProto) -> NDArray[np.float32] | None:
        """Returns the matrix of a product as float32 [inputs, outputs]; None for an operator that has none."""
        if node.op_type == "MatMulNBits":
            return self._from_blocks(node)
        name = node.input[1] if node.op_type == "MatMul" else ""
        if f"{name}.int8" in self._tensors:
            values: NDArray[np.float32] = self.constant(f"{name}.int8").astype(np.float32) * self.constant(f"{name}.scale")
            return values.reshape(self.constant(f"{name}.shape"))
        return self.constant(name) if name in self._tensors else None

    def _from_blocks(self, node: onnx.NodeProto) -> NDArray[np.float32]:
        facts = attributes(node)
        if facts.get("bits") != 8 or any(node.input[3:]):
            raise self.refusal(f"{node.name} is not 8-bit and symmetric")
        values, scales = self.constant(node.input[1]), self.constant(node.input[2])
        outputs, inputs = facts["N"], facts["K"]
        blocks = values.astype(np.float32).reshape(outputs, -1, facts["block_size"]) - _ZERO
        # The last block is filled up where the inputs are no multiple of its size.
        rows: NDArray[np.float32] = (blocks * scales.reshape(outputs, -1, 1)).reshape(outputs, -1)[:, :inputs]
        return rows.T

    def _bias(self, product: onnx.NodeProto) -> tuple[NDArray[np.float32], str]:
        for node in self.takers(product.output[0]):
            for name in node.input:
                if node.op_type == "Add" and name in self._tensors:
                    return self.constant(name), node.output[0]
        raise self.refusal(f"the product {product.name} has no bias")


def attributes(node: onnx.NodeProto) -> Mapping[str, Any]:
    """Returns the attributes of an operator by name."""
    return {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
