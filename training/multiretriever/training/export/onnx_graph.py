"""From a torch checkpoint to one ONNX graph that pools and normalises by itself."""

from __future__ import annotations

import hashlib
import inspect
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from tokenizers import Tokenizer
from transformers import AutoModel

from multiretriever.core.encoders.base import Vectors
from multiretriever.core.errors import EncoderError
from multiretriever.training.export.checkpoint import Checkpoint, Pooling

INPUTS = ("input_ids", "attention_mask")
OUTPUT = "embedding"
# The first opset with Gelu as one operator.
_OPSET = 20
_TOLERANCE = 1e-4
_BATCH = 32


@dataclass(frozen=True)
class ExportedGraph:
    """A graph and where it keeps what it was made of: torch's exporter renames the matrices of products.

    Attributes:
        model: The float32 graph.
        weights: Names of the transformer's weights, each with the name of the constant that holds it (transposed, if it is the
            matrix of a product). Weights with the same values share a constant.
        unused: Shapes of the weights that no vector depends on, such as those of BERT's pooler, by name.
    """

    model: onnx.ModelProto
    weights: dict[str, str]
    unused: dict[str, list[int]]


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


def build_graph(checkpoint: Checkpoint) -> ExportedGraph:
    """Exports a checkpoint as float32.

    Inputs are int64 ``input_ids`` and ``attention_mask`` [batch, tokens]; the output is ``embedding`` [batch, dimension].

    Raises:
        EncoderError: The checkpoint cannot be loaded or exported, or its export returns other vectors than torch.
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
    weights = _weight_names(model, transformer)
    unused = {name: list(value.shape) for name, value in transformer.named_parameters() if name not in weights}
    return ExportedGraph(model, weights, unused)


def _weight_names(model: onnx.ModelProto, transformer: torch.nn.Module) -> dict[str, str]:
    """Returns which constant is which weight, by their values, the one thing that the exporter leaves as it was."""
    constants = {_content(numpy_helper.to_array(item)): item.name for item in model.graph.initializer}
    found = {}
    for name, value in transformer.named_parameters():
        array = value.detach().numpy()
        constant = constants.get(_content(array)) or constants.get(_content(array.T))
        if constant is not None:
            found[name] = constant
    return found


def _content(array: NDArray[Any]) -> tuple[tuple[int, ...], bytes]:
    return array.shape, hashlib.sha256(array.tobytes()).digest()


def _probe_rows(vocabulary: int, max_length: int) -> list[list[int]]:
    generator = np.random.default_rng(0)
    lengths = [min(length, max_length) for length in (3, 17, 9)]
    return [generator.integers(0, max(vocabulary, 2), length).tolist() for length in lengths]


def _rename_output(model: onnx.ModelProto) -> None:
    """Names the output; the exporter cannot, since it puts the name on the lookup of the embeddings too."""
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
    found = session.run([OUTPUT], dict(zip(INPUTS, pad_rows(rows), strict=True)))[0]
    expected = np.concatenate([_run_torch(transformer, [row], checkpoint.pooling) for row in rows])
    if found.shape != expected.shape or not np.abs(found - expected).max() <= _TOLERANCE:
        gap = np.abs(found - expected).max() if found.shape == expected.shape else "different shapes"
        raise EncoderError(f"the export of {checkpoint.folder} differs from torch by {gap}, expected at most {_TOLERANCE}")
