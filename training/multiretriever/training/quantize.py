"""Eight bits for the weights of an exported encoder.

The word embeddings stay int8 in memory, and only the rows of a text are scaled back. The weights of matrix products are int8 in
memory too, or float32 there: see ``quantize``. Plain dynamic quantisation, with one scale for all activations of a product,
moves a tenth of the 15 nearest elements and is not offered.
"""

from __future__ import annotations

import logging

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from multiretriever.core.errors import EncoderError
from multiretriever.training.onnx_graph import INPUTS
from multiretriever.training.scheme import Scheme

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
