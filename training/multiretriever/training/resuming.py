"""Checkpoints of a run, of which a process that was killed while it wrote leaves one unfinished."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

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
