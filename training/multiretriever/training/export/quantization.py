"""Eight bits for the weights of an exported graph, and the float32 values behind them.

The word embeddings stay int8 in memory, and only the rows of a text are scaled back. The weights of matrix products are int8 in
memory too, or float32 there: see ``quantize``. Plain dynamic quantisation, with one scale for all activations of a product,
moves a tenth of the 15 nearest elements and is not offered. ``QuantizedGraph`` reads either form back.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from multiretriever.core.errors import EncoderError
from multiretriever.training.export.checkpoint import Scheme
from multiretriever.training.export.onnx_graph import INPUTS

_BITS = 8
_LARGEST = 127
# MatMulNBits without zero points stores a weight of 0 as the middle of 0 to 255.
_ZERO = 128
# MatMulNBits' levels of accuracy: products in float32, and with 8-bit activations.
_FLOAT32, _INT8 = 1, 4


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
        raise EncoderError(f"the graph looks up {len(found)} tables by {INPUTS[0]}, expected 1")
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
    quantizer = MatMulNBitsQuantizer(model, bits=_BITS, block_size=block_size, is_symmetric=True, accuracy_level=_INT8)
    quantizer.process()
    return quantizer.model.model


class QuantizedGraph:
    """A graph that ``quantize`` rounded, in either scheme.

    Attributes:
        path: The file.
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
        self._tensors = {item.name: item for item in self._model.graph.initializer}
        self._products = {node.input[1]: node for node in self._model.graph.node if node.op_type == "MatMulNBits"}

    def weight(self, name: str) -> NDArray[np.float32]:
        """Returns a weight as float32, in the shape in which torch keeps it: a matrix of a product as [outputs, inputs].

        Args:
            name: The weight's name in the graph before it was rounded.

        Raises:
            EncoderError: There is none of the name, or it is not rounded as ``quantize`` does.
        """
        if f"{name}_Q{_BITS}" in self._products:
            return self._from_blocks(self._products[f"{name}_Q{_BITS}"])
        if f"{name}.int8" not in self._tensors:
            return self._constant(name)
        values: NDArray[np.float32] = self._constant(f"{name}.int8").astype(np.float32) * self._constant(f"{name}.scale")
        if f"{name}.shape" not in self._tensors:  # the word embeddings
            return values
        return np.ascontiguousarray(values.reshape(self._constant(f"{name}.shape")).T)

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

    def _constant(self, name: str) -> NDArray[Any]:
        if name not in self._tensors:
            raise EncoderError(f"{self.path} has no weight {name!r}, and its encoder.json names it; export the encoder again")
        array: NDArray[Any] = numpy_helper.to_array(self._tensors[name])
        return array

    def _from_blocks(self, node: onnx.NodeProto) -> NDArray[np.float32]:
        facts = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        if facts.get("bits") != _BITS or any(node.input[3:]):
            raise EncoderError(f"{self.path}: {node.name} is not 8-bit and symmetric")
        values, scales = self._constant(node.input[1]), self._constant(node.input[2])
        outputs, inputs = facts["N"], facts["K"]
        blocks = values.astype(np.float32).reshape(outputs, -1, facts["block_size"]) - _ZERO
        # The last block is filled up where the inputs are no multiple of its size.
        rows: NDArray[np.float32] = (blocks * scales.reshape(outputs, -1, 1)).reshape(outputs, -1)[:, :inputs]
        return np.ascontiguousarray(rows)
