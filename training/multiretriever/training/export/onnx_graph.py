"""From a torch checkpoint to one ONNX graph that pools and normalises by itself."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from tokenizers import Tokenizer
from transformers import AutoModel

from multiretriever.core.encoders.base import Vectors
from multiretriever.core.errors import EncoderError
from multiretriever.training.export.checkpoint import Checkpoint, Pooling, Scheme

INPUTS = ("input_ids", "attention_mask")
OUTPUT = "embedding"
# The first opset with Gelu as one operator.
_OPSET = 20
_TOLERANCE = 1e-4
_BATCH = 32


class PooledEncoder(torch.nn.Module):
    """A transformer with pooling and L2 normalisation after it."""

    def __init__(self, transformer: torch.nn.Module, pooling: Pooling) -> None:
        super().__init__()
        self.transformer = transformer
        self.pooling = pooling
        self.token_types = "token_type_ids" in inspect.signature(transformer.forward).parameters

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Returns float32 [batch, dimension], rows of length 1, for int64 [batch, tokens] twice."""
        keep = attention_mask.to(torch.float32)
        # A mask of four axes passes through transformers as it is; of two axes it becomes a dozen operators.
        bias = (1.0 - keep[:, None, None, :]) * torch.finfo(torch.float32).min
        extra = {"token_type_ids": torch.zeros_like(input_ids)} if self.token_types else {}
        states = self.transformer(input_ids=input_ids, attention_mask=bias, **extra).last_hidden_state
        return pool(states, keep, self.pooling)


def pool(states: torch.Tensor, keep: torch.Tensor, pooling: Pooling) -> torch.Tensor:
    """Returns unit vectors [batch, dimension] for token vectors [batch, tokens, dimension] and a 0/1 mask [batch, tokens]."""
    if pooling == "cls":
        return torch.nn.functional.normalize(states[:, 0], dim=-1)
    weights = keep.unsqueeze(-1)
    mean = (states * weights).sum(1) / weights.sum(1).clamp(min=1e-9)
    return torch.nn.functional.normalize(mean, dim=-1)


def load_transformer(checkpoint: Checkpoint) -> torch.nn.Module:
    """Loads the weights as float32, from the folder alone: no hub, no remote code, no pickle.

    Raises:
        EncoderError: transformers cannot load the folder.
    """
    try:
        model: torch.nn.Module = AutoModel.from_pretrained(
            checkpoint.folder, local_files_only=True, use_safetensors=True, trust_remote_code=False, attn_implementation="eager"
        )
    except Exception as error:  # transformers lets errors of safetensors, json and torch through
        raise EncoderError(f"{checkpoint.folder} cannot be loaded by transformers: {error}") from error
    return model.float().eval()


def reference_encode(checkpoint: Checkpoint) -> Callable[[Sequence[str]], Vectors]:
    """Returns the unquantised encoder on torch: texts to float32 [len(texts), dimension], rows of length 1."""
    transformer = load_transformer(checkpoint)
    tokenizer = Tokenizer.from_file(str(checkpoint.folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(checkpoint.max_length)

    def encode(texts: Sequence[str]) -> Vectors:
        rows = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
        parts = [
            _run_torch(transformer, [rows[index] for index in order[start : start + _BATCH]], checkpoint.pooling)
            for start in range(0, len(order), _BATCH)
        ]
        vectors = np.concatenate(parts)
        restored = np.empty_like(vectors)
        restored[order] = vectors
        return restored

    return encode


def pad_rows(rows: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns token ids and mask, both [len(rows), longest row], filled with 0 at the end."""
    ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
    mask = np.zeros_like(ids)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row
        mask[index, : len(row)] = 1
    return ids, mask


def _run_torch(transformer: torch.nn.Module, rows: Sequence[Sequence[int]], pooling: Pooling) -> Vectors:
    ids, mask = (torch.from_numpy(array) for array in pad_rows(rows))
    with torch.inference_mode():
        states = transformer(input_ids=ids, attention_mask=mask).last_hidden_state
        vectors: Vectors = pool(states, mask.to(torch.float32), pooling).numpy()
    return vectors


def build_graph(checkpoint: Checkpoint) -> onnx.ModelProto:
    """Exports a checkpoint as float32.

    Inputs are int64 ``input_ids`` and ``attention_mask`` [batch, tokens]; the output is ``embedding`` [batch, dimension].

    Raises:
        EncoderError: The checkpoint cannot be loaded or exported, or its export gives other vectors than torch.
    """
    transformer = load_transformer(checkpoint)
    rows = _probe_rows(int(getattr(transformer.config, "vocab_size", 0)), checkpoint.max_length)
    example = tuple(torch.from_numpy(array) for array in pad_rows(rows))
    axes = {0: "batch", 1: "tokens"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program: Any = torch.onnx.export(
                PooledEncoder(transformer, checkpoint.pooling).eval(),
                example,
                dynamo=True,
                input_names=list(INPUTS),
                dynamic_shapes=dict.fromkeys(INPUTS, axes),
                opset_version=_OPSET,
                verbose=False,
            )
    except Exception as error:  # the exporter raises classes of torch.export, torch.onnx and onnxscript
        raise EncoderError(f"{checkpoint.folder} cannot be exported: {error}") from error
    model = program.model_proto
    _rename_output(model)
    strip(model)
    _check(model, transformer, checkpoint, rows)
    return model


def _probe_rows(vocabulary: int, max_length: int) -> list[list[int]]:
    generator = np.random.default_rng(0)
    lengths = [min(length, max_length) for length in (3, 17, 9)]
    return [generator.integers(0, max(vocabulary, 2), length).tolist() for length in lengths]


def _rename_output(model: onnx.ModelProto) -> None:
    """Names the output; the exporter cannot, since it gives the name to the lookup of the embeddings too."""
    old = model.graph.output[0].name
    for node in model.graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                names[index] = {old: OUTPUT, OUTPUT: f"{OUTPUT}_lookup"}.get(name, name)
    model.graph.output[0].name = OUTPUT


def strip(model: onnx.ModelProto) -> None:
    """Removes what differs from machine to machine, or is of no use to run it: stack traces, paths, intermediate shapes."""
    del model.graph.value_info[:]
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        part.doc_string = ""
        del part.metadata_props[:]


def _check(model: onnx.ModelProto, transformer: torch.nn.Module, checkpoint: Checkpoint, rows: list[list[int]]) -> None:
    """Compares a padded batch in ONNX Runtime with the same rows one by one, unpadded, in torch."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    given = session.run([OUTPUT], dict(zip(INPUTS, pad_rows(rows), strict=True)))[0]
    due = np.concatenate([_run_torch(transformer, [row], checkpoint.pooling) for row in rows])
    if given.shape != due.shape or not np.abs(given - due).max() <= _TOLERANCE:
        gap = np.abs(given - due).max() if given.shape == due.shape else "different shapes"
        raise EncoderError(f"the export of {checkpoint.folder} differs from torch by {gap}; at most {_TOLERANCE} is due")


# Eight bits for the weights of an exported encoder.
#
# The word embeddings stay int8 in memory, and only the rows of a text are scaled back. The weights of matrix products are int8 in
# memory too, or float32 there: see ``quantize``. Plain dynamic quantisation, with one scale for all activations of a product,
# moves a tenth of the 15 nearest elements and is not offered.

_LARGEST = 127


def quantize(model: onnx.ModelProto, *, scheme: Scheme = "matmul-nbits", block_size: int = 32) -> onnx.ModelProto:
    """Returns the model with 8-bit weights; the given one is changed too.

    Args:
        model: A float32 graph of ``build_graph``.
        scheme: ``matmul-nbits`` keeps the weights int8 in memory and computes with 8-bit activations, a scale a block (ONNX
            Runtime's own operator MatMulNBits): a process takes half the memory, and processors without VNNI are slower than
            with float32. ``int8-weights`` computes in float32 with standard operators: ONNX Runtime folds the scaling once,
            while the session loads; closest to the original, and on every processor alike.
        block_size: Inputs of a matrix that share a scale; fewer is closer and larger.

    Raises:
        EncoderError: The graph has no word embeddings or no matrix products with weights.
    """
    _quantize_lookup(model.graph)
    if scheme == "matmul-nbits":
        return _quantize_nbits(model, block_size)
    _quantize_products(model.graph, block_size)
    return model


def round_blocks(weights: NDArray[np.float32], block: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Rounds [inputs, outputs] to int8 [inputs / block, block, outputs] and float32 scales [inputs / block, 1, outputs]."""
    inputs, outputs = weights.shape
    blocks = weights.reshape(inputs // block, block, outputs)
    scales = (np.abs(blocks).max(axis=1, keepdims=True) / _LARGEST).astype(np.float32)
    scales[scales == 0] = 1
    return np.rint(blocks / scales).astype(np.int8), scales


def _quantize_lookup(graph: onnx.GraphProto) -> None:
    tables = {item.name: item for item in graph.initializer}
    found = [node for node in graph.node if node.op_type == "Gather" and node.input[0] in tables and node.input[1] == INPUTS[0]]
    if len(found) != 1:
        raise EncoderError(f"the graph looks up {len(found)} tables by {INPUTS[0]}; 1 is due")
    lookup = found[0]
    name, output = lookup.input[0], lookup.output[0]
    rows, scales = round_blocks(numpy_helper.to_array(tables[name]).T.copy(), tables[name].dims[1])
    graph.initializer.remove(tables[name])
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.ascontiguousarray(rows[0].T), f"{name}.int8"),
            numpy_helper.from_array(np.ascontiguousarray(scales[0].T), f"{name}.scale"),
        ]
    )
    nodes = [
        helper.make_node("Gather", [f"{name}.int8", INPUTS[0]], [f"{output}.int8"], f"{name}.lookup"),
        helper.make_node("Cast", [f"{output}.int8"], [f"{output}.float"], f"{name}.cast", to=onnx.TensorProto.FLOAT),
        helper.make_node("Gather", [f"{name}.scale", INPUTS[0]], [f"{output}.scale"], f"{name}.lookup_scale"),
        helper.make_node("Mul", [f"{output}.float", f"{output}.scale"], [output], f"{name}.rescale"),
    ]
    place = list(graph.node).index(lookup)
    graph.node.remove(lookup)
    for offset, node in enumerate(nodes):
        graph.node.insert(place + offset, node)


def _quantize_products(graph: onnx.GraphProto, block_size: int) -> None:
    tensors = {item.name: item for item in graph.initializer}
    names = dict.fromkeys(node.input[1] for node in graph.node if node.op_type == "MatMul" and node.input[1] in tensors)
    if not names:
        raise EncoderError("the graph has no matrix product with weights")
    nodes = []
    for name in names:
        weights = numpy_helper.to_array(tensors[name])
        block = block_size if weights.shape[0] % block_size == 0 else weights.shape[0]
        values, scales = round_blocks(weights, block)
        graph.initializer.remove(tensors[name])
        graph.initializer.extend(
            [
                numpy_helper.from_array(values, f"{name}.int8"),
                numpy_helper.from_array(scales, f"{name}.scale"),
                numpy_helper.from_array(np.array(weights.shape, dtype=np.int64), f"{name}.shape"),
            ]
        )
        # Cast and Mul, not DequantizeLinear: ONNX Runtime never folds that one, and would dequantise for every query.
        nodes += [
            helper.make_node("Cast", [f"{name}.int8"], [f"{name}.float"], f"{name}.cast", to=onnx.TensorProto.FLOAT),
            helper.make_node("Mul", [f"{name}.float", f"{name}.scale"], [f"{name}.scaled"], f"{name}.rescale"),
            helper.make_node("Reshape", [f"{name}.scaled", f"{name}.shape"], [name], f"{name}.reshape"),
        ]
    for place, node in enumerate(nodes):
        graph.node.insert(place, node)


def _quantize_nbits(model: onnx.ModelProto, block_size: int) -> onnx.ModelProto:
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    logging.getLogger("onnxruntime.quantization.matmul_nbits_quantizer").setLevel(logging.WARNING)
    quantizer = MatMulNBitsQuantizer(model, bits=8, block_size=block_size, is_symmetric=True, accuracy_level=4)
    quantizer.process()
    return quantizer.model.model
