"""Low-rank adapters by peft, in place of training all weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from multiretriever.core.errors import EncoderError, MissingDependencyError
from multiretriever.training.recipe import LoraSection

ADAPTER = "adapter"


def add_adapter(model: Any, section: LoraSection) -> None:
    """Puts adapters on the queries, keys, values and outputs of all layers; all other weights are frozen.

    Raises:
        MissingDependencyError: peft is not installed.
        EncoderError: The model has no layers that peft knows.
    """
    try:
        from peft import LoraConfig, TaskType
    except ImportError as error:
        raise MissingDependencyError('peft is not installed: pip install "multiretriever[lora]"') from error
    config = LoraConfig(
        task_type=TaskType.FEATURE_EXTRACTION,
        r=section.rank,
        lora_alpha=section.alpha,
        lora_dropout=section.dropout,
        target_modules="all-linear",
    )
    try:
        model.add_adapter(config)
    except (ValueError, AttributeError) as error:
        raise EncoderError(f"no adapters can be put on this encoder: {error}") from error


def merge_adapter(model: Any, base: Path, folder: Path) -> Any:
    """Saves the adapters into ``folder`` and returns the base with them merged into its weights."""
    from peft import PeftModel
    from sentence_transformers import SentenceTransformer

    folder.mkdir(parents=True, exist_ok=True)
    model[0].auto_model.save_pretrained(str(folder))
    merged = SentenceTransformer(str(base), local_files_only=True)
    merged[0].auto_model = PeftModel.from_pretrained(merged[0].auto_model, str(folder)).merge_and_unload()
    return merged
