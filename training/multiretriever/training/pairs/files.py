"""Writing pairs as Parquet or JSON Lines, and reading them back; both are loaded by ``datasets`` as they are."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from multiretriever.core import ParameterError, Problem
from multiretriever.core.errors import DatasetError, MissingDependencyError
from multiretriever.training.pairs.pair import Pair

BATCH = 2048
SUFFIXES = (".parquet", ".jsonl")


def check_output(path: str | Path) -> Path:
    """Returns where pairs are to be written.

    Raises:
        ParameterError: The suffix is neither ``.parquet`` nor ``.jsonl``.
        MissingDependencyError: Parquet is asked for, and pyarrow is not installed.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ParameterError(f"pairs are written as {' or '.join(SUFFIXES)} (got {str(path)!r})")
    if path.suffix.lower() == ".parquet":
        _pyarrow()
    return path


def write_pairs(path: str | Path, pairs: Iterable[Pair]) -> int:
    """Writes pairs as they come and returns how many there were.

    The file appears when it is whole: until then, and when writing fails or is interrupted, one that was there stays as it is.

    Raises:
        ParameterError: The suffix is neither ``.parquet`` nor ``.jsonl``.
        MissingDependencyError: Parquet is asked for, and pyarrow is not installed.
    """
    path = check_output(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        count = _write_parquet(part, pairs) if path.suffix.lower() == ".parquet" else _write_lines(part, pairs)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return count


def _write_lines(path: Path, pairs: Iterable[Pair]) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for pair in pairs:
            file.write(json.dumps(pair.to_dict(), ensure_ascii=False) + "\n")
            count += 1
    return count


def _write_parquet(path: Path, pairs: Iterable[Pair]) -> int:
    arrow, parquet = _pyarrow()
    text, texts = arrow.string(), arrow.list_(arrow.string())
    kinds = {name: texts if "tuple" in str(kind) else text for name, kind in Pair.__annotations__.items()}
    schema = arrow.schema(list(kinds.items()))
    count, rest = 0, iter(pairs)
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        while batch := [pair.to_dict() for pair in islice(rest, BATCH)]:
            writer.write_table(arrow.Table.from_pylist(batch, schema=schema))
            count += len(batch)
    return count


def read_pairs(path: str | Path) -> Iterator[Pair]:
    """Gives the pairs of a file, a batch in memory at a time.

    Raises:
        DatasetError: The file is not there or not one of pairs.
        MissingDependencyError: It is Parquet, and pyarrow is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise DatasetError([Problem("there is no such file", str(path))])
    rows = _parquet_rows(path) if path.suffix.lower() == ".parquet" else _line_rows(path)
    for number, row in enumerate(rows, start=1):
        try:
            yield Pair.from_dict(row)
        except KeyError as error:
            raise DatasetError([Problem(f"the key {error} is missing", str(path), number)]) from error


def _line_rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DatasetError([Problem(f"not JSON: {error}", str(path), number)]) from error
            if not isinstance(row, dict):
                raise DatasetError([Problem("an object is due", str(path), number)])
            yield row


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    arrow, parquet = _pyarrow()
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH):
                yield from batch.to_pylist()
    except arrow.ArrowInvalid as error:
        raise DatasetError([Problem(f"not Parquet: {error}", str(path))]) from error


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependencyError("Parquet needs pyarrow: pip install 'multiretriever[train]'") from error
    return pyarrow, pyarrow.parquet
