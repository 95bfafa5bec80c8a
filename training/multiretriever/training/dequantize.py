"""The float32 values behind the 8-bit weights of an exported graph: the reverse of ``quantize``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from multiretriever.core.errors import EncoderError
from multiretriever.training.onnx_graph import INPUTS

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
