"""What the trainer is given: marks of finished checkpoints, and batches of texts of about the same length.

A process that was killed while it wrote leaves a checkpoint unfinished; one without a mark is not gone on from.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from sentence_transformers.base.sampler import DefaultBatchSampler
from transformers import TrainerCallback

_PREFIX = "checkpoint-"
_COMPLETE = "complete"


class MarkComplete(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """Puts a mark into each checkpoint once all of it is written."""

    def on_save(self, args: Any, state: Any, control: Any, **known: Any) -> None:
        """Marks the newest checkpoint."""
        if not state.is_world_process_zero:
            return
        folder = Path(args.output_dir) / f"{_PREFIX}{state.global_step}"
        if folder.is_dir():
            _flush(folder)
            (folder / _COMPLETE).touch()


def newest_checkpoint(folder: Path) -> Path | None:
    """Returns the newest checkpoint that is complete, and removes those that are not."""
    found: list[tuple[int, Path]] = []
    for path in folder.glob(f"{_PREFIX}*"):
        number = path.name.removeprefix(_PREFIX)
        if not number.isdigit():
            continue
        if (path / _COMPLETE).is_file():
            found.append((int(number), path))
        else:
            shutil.rmtree(path)
    return max(found)[1] if found else None


def _flush(folder: Path) -> None:
    # The mark must not reach the disk before what it stands for.
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


# Rows are shuffled, cut into portions of so many batches, and sorted within each: chance still decides who meets whom.
PORTION = 16


class LengthBatchSampler(DefaultBatchSampler):  # type: ignore[misc]  # sentence-transformers is untyped
    """Random batches whose rows are about as long as each other. The same seed and epoch give the same batches."""

    def __init__(self, dataset: Any, batch_size: int, drop_last: bool, **options: Any) -> None:
        """Measures the rows, in characters; options are those of ``DefaultBatchSampler``."""
        super().__init__(dataset, batch_size=batch_size, drop_last=drop_last, **options)
        self._size = batch_size
        labels = self.valid_label_columns or ("label",)
        columns = [dataset[name] for name in dataset.column_names if name not in labels]
        # The query counts most: documents are short, and within a group of about one length.
        self._lengths = [sum(map(len, texts)) for texts in zip(*columns, strict=True)]

    def __iter__(self) -> Iterator[list[int]]:
        """Yields the batches of the epoch."""
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        order = torch.randperm(len(self._lengths), generator=generator).tolist()
        portion = self._size * PORTION
        batches: list[list[int]] = []
        for start in range(0, len(order), portion):
            rows = sorted(order[start : start + portion], key=self._lengths.__getitem__)
            batches += [rows[place : place + self._size] for place in range(0, len(rows), self._size)]
        if self.drop_last:
            batches = [batch for batch in batches if len(batch) == self._size]
        for place in torch.randperm(len(batches), generator=generator).tolist():
            yield batches[place]

    def __len__(self) -> int:
        return len(self._lengths) // self._size if self.drop_last else -(-len(self._lengths) // self._size)
