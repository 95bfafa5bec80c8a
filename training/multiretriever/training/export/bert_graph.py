"""A BERT's weights and architecture, told from its exported graph.

Torch's exporter drops the names of the matrices of products and those of constants that are equal (biases that are all 0), so
names are not relied on. What a weight is follows from where it stands: the scores before each softmax are the product of queries
and keys, what the softmax is multiplied by are the values, and the rest of a layer is a chain.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from multiretriever.training.export.restore import Linear, QuantizedGraph, attributes

_CHAIN = ("attention.output.dense", "intermediate.dense", "output.dense")
_ACTIVATIONS = {("Gelu", "none"): "gelu", ("Gelu", "tanh"): "gelu_pytorch_tanh", ("Relu", ""): "relu"}
_EMBEDDINGS = "transformer.embeddings."


class BertGraph:
    """The BERT in a graph.

    Attributes:
        weights: Float32 tensors by the names and in the shapes of transformers' ``BertModel``, without its pooler, which an
            encoder does not use.
        config: The content of its ``config.json``: sizes from the shapes; heads, epsilon and activation from the operators.
    """

    def __init__(self, graph: QuantizedGraph) -> None:
        """Tells the weights apart.

        Raises:
            EncoderError: The graph is not that of an exported BERT.
        """
        self._graph = graph
        # RoBERTa has BERT's parts and counts its positions from the padding's id, which needs a running sum.
        if self._nodes("CumSum"):
            raise graph.refusal("it counts positions as RoBERTa does")
        self._attentions = [self._attention(node) for node in self._nodes("Softmax")]
        self._linears = {item.output: item for item in graph.linears()}
        attended = {name for parts in self._attentions for name in parts}
        self._rest = [item for name, item in self._linears.items() if name not in attended]
        self._norms = self._nodes("LayerNormalization")
        layers = len(self._attentions)
        if (
            not layers
            or not attended <= set(self._linears)
            or len(self._rest) != 3 * layers
            or len(self._norms) != 2 * layers + 1
        ):
            raise graph.refusal(
                f"it has {layers} attentions, {len(self._linears)} products with weights and {len(self._norms)} layer norms"
            )
        self.weights = {**self._embedding_weights(), **self._layer_weights(), **self._norm_weights()}
        self.config = self._config()

    def _nodes(self, kind: str) -> list[onnx.NodeProto]:
        return [node for node in self._graph.nodes if node.op_type == kind]

    def _attention(self, softmax: onnx.NodeProto) -> tuple[str, str, str]:
        """Returns the names of the queries, keys and values of an attention, as the sums with their biases."""
        scores = self._nearest(softmax, "MatMul")
        for node in self._graph.takers(softmax.output[0]):
            if node.op_type == "MatMul" and node.input[0] == softmax.output[0]:
                return (
                    self._linear_before(scores.input[0]),
                    self._linear_before(scores.input[1]),
                    self._linear_before(node.input[1]),
                )
        raise self._graph.refusal(f"{softmax.name} is not that of an attention")

    def _nearest(self, start: onnx.NodeProto, kind: str) -> onnx.NodeProto:
        waiting = deque(self._graph.makers(start))
        while waiting:
            node = waiting.popleft()
            if node.op_type == kind:
                return node
            waiting.extend(self._graph.makers(node))
        raise self._graph.refusal(f"there is no {kind} before {start.name}")

    def _linear_before(self, name: str) -> str:
        """Goes back through reshaping and transposing to the sum with a bias."""
        for node in self._graph.nodes:
            if name in node.output:
                return name if node.op_type == "Add" else self._linear_before(node.input[0])
        raise self._graph.refusal(f"{name!r} is not made of a product and a bias")

    def _embedding_weights(self) -> dict[str, NDArray[np.float32]]:
        parts = {"word": self._graph.words()}
        for part in ("position", "token_type"):
            parts[part] = self._graph.constant(f"{_EMBEDDINGS}{part}_embeddings.weight")
        return {f"embeddings.{part}_embeddings.weight": table for part, table in parts.items()}

    def _layer_weights(self) -> dict[str, NDArray[np.float32]]:
        found = {}
        for layer, names in enumerate(self._attentions):
            own = dict(zip(("query", "key", "value"), (self._linears[name] for name in names), strict=True))
            named = {f"attention.self.{part}": linear for part, linear in own.items()}
            named.update(zip(_CHAIN, self._rest[3 * layer : 3 * layer + 3], strict=True))
            for part, linear in named.items():
                found[f"encoder.layer.{layer}.{part}.weight"] = linear.weight
                found[f"encoder.layer.{layer}.{part}.bias"] = linear.bias
        return found

    def _norm_weights(self) -> dict[str, NDArray[np.float32]]:
        layers = range(len(self._attentions))
        parts = [f"encoder.layer.{layer}.{part}" for layer in layers for part in ("attention.output", "output")]
        found = {}
        for part, node in zip(["embeddings", *parts], self._norms, strict=True):
            found[f"{part}.LayerNorm.weight"] = self._graph.constant(node.input[1])
            found[f"{part}.LayerNorm.bias"] = self._graph.constant(node.input[2])
        return found

    def _config(self) -> dict[str, Any]:
        words, positions, kinds = (
            self.weights[f"embeddings.{part}_embeddings.weight"].shape for part in ("word", "position", "token_type")
        )
        return {
            "architectures": ["BertModel"],
            "model_type": "bert",
            "hidden_size": words[1],
            "num_hidden_layers": len(self._attentions),
            "num_attention_heads": words[1] // self._head_size(),
            "intermediate_size": len(self._rest[1].bias),
            "hidden_act": self._activation(self._rest[2]),
            # Float32 in the graph: 9.99999996e-13 stands for 1e-12. ONNX leaves it out where it is 1e-5.
            "layer_norm_eps": float(f"{attributes(self._norms[0]).get('epsilon', 1e-5):.6g}"),
            "vocab_size": words[0],
            "max_position_embeddings": positions[0],
            "type_vocab_size": kinds[0],
        }

    def _head_size(self) -> int:
        """Returns the last axis of [batch, tokens, heads, head size], into which the queries are cut."""
        for node in self._graph.takers(self._attentions[0][0]):
            if node.op_type == "Reshape":
                makers = {output: maker for maker in self._graph.makers(node) for output in maker.output}
                shape = makers.get(node.input[1])
                last = shape.input[-1] if shape is not None and shape.op_type == "Concat" else node.input[1]
                return int(self._graph.constant(last)[-1])
        raise self._graph.refusal("its queries are not cut into heads")

    def _activation(self, linear: Linear) -> str:
        """Returns the name of what makes the input of the feed-forward block's second product."""
        for node in self._graph.nodes:
            if linear.source in node.output:
                known = (node.op_type, attributes(node).get("approximate", b"").decode())
                if known in _ACTIVATIONS:
                    return _ACTIVATIONS[known]
                raise self._graph.refusal(f"its activation {node.op_type} is not known")
        raise self._graph.refusal("its feed-forward block has no activation")
