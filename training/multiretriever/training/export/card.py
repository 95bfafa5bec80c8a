"""The READMEs of exported and of fused encoders, and what a checkpoint says of how it came to be."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multiretriever.training.export.checkpoint import BASE_NAME
from multiretriever.training.export.fidelity import LEAST_OVERLAP, MOST_LOSS, FidelityReport

CARD_FILE = "README.md"
TRAINING_FILE = "training.json"
FUSION_FILE = "fusion.json"
# Of a tuned checkpoint the base, of a fused one what its parts were tuned from.
_BASE_KEYS = {TRAINING_FILE: "base", FUSION_FILE: "origin"}
_HEADING = re.compile(r"^(?=#{2,5} )", re.MULTILINE)


@dataclass(frozen=True)
class History:
    """How a checkpoint came to be.

    Attributes:
        base: Name of what it was tuned from.
        text: Data, recipes, figures and limits, as Markdown with headings from the second level on.
    """

    base: str
    text: str


def history_of(folder: Path) -> History | None:
    """Returns what a checkpoint says of itself; None where it was neither tuned by a recipe nor fused of such."""
    for name, key in _BASE_KEYS.items():
        try:
            base = json.loads((folder / name).read_text(encoding="utf-8"))[key]
            _, heading, text = (folder / CARD_FILE).read_text(encoding="utf-8").partition("\n## ")
        except (OSError, ValueError, KeyError, TypeError):  # not there, or not from us
            continue
        if base and heading:
            return History(str(base), f"## {text}")
    return None


def fusion_card(name: str, facts: Mapping[str, Any], parts: Sequence[tuple[str, History | None]]) -> str:
    """Returns the README of a checkpoint whose weights were fused.

    Args:
        name: Its name.
        facts: The content of ``fusion.json``.
        parts: Names of the two with what they say of themselves; one that was not tuned says nothing.
    """
    share = facts["tuned_share"]
    lines = [
        f"# {name}",
        "",
        "An encoder for retrieval, fused by `multiretriever fuse`.",
        "",
        "## Weights",
        "",
        f"{share:g} of the weights of {facts['tuned']}, and {1 - share:g} of those of {facts['base']}.",
    ]
    for part, history in parts:
        if history is not None:
            lines += ["", f"## {part}, tuned from {history.base}", "", _HEADING.sub("#", history.text).rstrip()]
    return "\n".join(lines) + "\n"


_ORIGIN = {
    BASE_NAME: (
        f"The weights are those of [{BASE_NAME}](https://huggingface.co/{BASE_NAME}), under the Apache License 2.0,\n"
        "made by the sentence-transformers project. Changed here: exported to ONNX with pooling and normalisation inside, and\n"
        "the weights rounded to 8 bits. It was not trained further. The text of the licence is the LICENSE file of this project."
    )
}
_OWN = "The weights are those of the checkpoint `{name}`; its licence applies to this folder too."
_COMPUTE = {
    "float32": "The weights of matrix products are int8 in the file (a scale for each {block_size} inputs of an output), and\n"
    "become float32 once, while the session loads: leave ONNX Runtime's graph optimisation on, or every query pays for it.",
    "int8": "Matrix products are computed with 8-bit activations by ONNX Runtime's own operator MatMulNBits\n"
    "(blocks of {block_size}).",
}
_CARD = """# {name}

An encoder for retrieval: text to a unit vector of {dimension} numbers. 8-bit ONNX, one file, no torch at run time.

## Origin and licence

{origin}

Weights: sha256 `{weights_sha256}`{package}.

## How it was made

```
{command}
```

Run again with the same versions of torch, transformers, onnx and onnxscript, it makes the same bytes.
{compute}
The word embeddings are int8 with a scale for each row, in the file and in memory.

## How to use it

`multiretriever.core.encoders.OnnxEncoder(folder)`, or any ONNX Runtime:

| | name | type | shape |
| --- | --- | --- | --- |
| input | `input_ids` | int64 | [batch, tokens] |
| input | `attention_mask` | int64 | [batch, tokens], 1 for a token, 0 for padding |
| output | `embedding` | float32 | [batch, {dimension}], rows of length 1 ({pooling} pooling) |

`tokenizer.json` has no padding and no truncation: cut texts at {max_length} tokens, special tokens
included, and pad a batch with 0.

## Fidelity

{fidelity}

## Limits

- Text past {max_length} tokens is not read.
{limits}{training}"""
_TUNED = "The weights were tuned by multiretriever from those of {base}, as is said below."
_BASE_LICENCE = (
    "Those are under the Apache License 2.0 and were made by\nthe sentence-transformers project; so is this encoder under the "
    "Apache License 2.0. The text of the licence is the LICENSE file of this project."
)
_PACKAGED_LIMITS = (
    "- English. It knows no company's own names, and was trained for the similarity of sentences, without instructions: give\n"
    "  it the bare query. Train an encoder on your own flows and tables for more (`multiretriever.training`).\n"
)


def write_card(config: dict[str, Any], *, command: str, fidelity: FidelityReport | None, history: History | None = None) -> str:
    """Returns the text of the card.

    Args:
        config: The content of ``encoder.json``.
        command: The command that makes the folder.
        fidelity: Comparison with the float32 checkpoint, if it was measured.
        history: What the checkpoint says of its tuning.
    """
    base, quantization = config["base"], config["quantization"]
    origin = _ORIGIN.get(base["name"], _OWN.format(name=base["name"]))
    if history is not None:
        origin = _TUNED.format(base=history.base) + (f" {_BASE_LICENCE}" if history.base == BASE_NAME else "")
    return _CARD.format(
        name=config["name"],
        dimension=config["dimension"],
        pooling=config["pooling"],
        max_length=config["max_length"],
        origin=origin,
        weights_sha256=base["weights_sha256"],
        package=f" (from the package `{base['package']}`)" if base["package"] else "",
        command=command,
        compute=_COMPUTE[quantization["compute"]].format(block_size=quantization["block_size"]),
        fidelity=_describe(fidelity) if fidelity else "Not measured; `--fidelity DATASET_DIR` measures it.",
        training=f"\n{history.text.rstrip()}\n" if history else "",
        limits=_PACKAGED_LIMITS if base["name"] == BASE_NAME else "",
    )


def _describe(report: FidelityReport) -> str:
    head = (
        f"Against the float32 checkpoint on torch: cosine {report.cosine_mean:.5f} on average and {report.cosine_min:.4f}\n"
        f"at the lowest; {report.overlap:.1%} of the 15 best elements are the same. Bounds: at least {LEAST_OVERLAP:.0%}, and\n"
        f"at most {MOST_LOSS} points of recall lost on a dataset, averaged over its types: "
        f"{'met' if report.within_bounds else 'NOT met'}\n"
        f"({', '.join(f'{name} {loss:+.2f}' for name, loss in report.losses.items())}; below 0 is a gain).\n"
    )
    rows = [
        f"| {item.dataset} | {item.element_type} | {item.queries} | {item.cosine_mean:.5f} | {item.overlap:.4f} "
        f"| {item.depth} | {item.recall_reference:.4f} | {item.recall_candidate:.4f} | {item.loss:+.2f} |"
        for item in report.types
    ]
    header = "| dataset | type | queries | cosine | top-15 overlap | k | recall@k float32 | recall@k 8 bit | loss, points |"
    return "\n".join([head, header, "| --- | --- | --- | --- | --- | --- | --- | --- | --- |", *rows])
