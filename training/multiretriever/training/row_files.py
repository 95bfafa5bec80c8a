"""Rows of one kind as Parquet or JSON Lines: written whole or not at all, read a batch at a time.

A kind of row is a dataclass whose fields are text, numbers, and tuples of these. ``datasets`` loads both forms as they are.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from multiretriever.core import ParameterError
from multiretriever.core.errors import DatasetError, MissingDependencyError, Problem

BATCH = 2048
SUFFIXES = (".parquet", ".jsonl")
_Row = TypeVar("_Row")


def check_suffix(path: str | Path, what: str) -> Path:
    """Returns where rows are to be written.

    Args:
        path: The file.
        what: Word for the rows in messages, such as ``lists``.

    Raises:
        ParameterError: The suffix is neither ``.parquet`` nor ``.jsonl``.
        MissingDependencyError: Parquet is asked for, and pyarrow is not installed.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ParameterError(f"{what} are written as {' or '.join(SUFFIXES)}, got {str(path)!r}")
    if path.suffix.lower() == ".parquet":
        pyarrow()
    return path


def to_dict(row: Any) -> dict[str, Any]:
    """Returns a row as plain values."""
    values = {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


def from_dict(kind: type[_Row], values: Mapping[str, Any]) -> _Row:
    """Makes a row of plain values; keys that the kind does not have are left out.

    Raises:
        KeyError: A key without a default is missing.
    """
    made: dict[str, Any] = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if field.name in values or field.default is dataclasses.MISSING:
            value = values[field.name]
            made[field.name] = tuple(value) if isinstance(value, list) else value
    return kind(**made)


def write_rows(path: str | Path, rows: Iterable[_Row], kind: type[_Row], *, what: str = "rows") -> int:
    """Writes rows as they come and returns how many there were.

    The file appears when it is whole: until then, and when writing fails or is interrupted, one that was there stays as it is.

    Raises:
        ParameterError: The suffix is neither ``.parquet`` nor ``.jsonl``.
        MissingDependencyError: Parquet is asked for, and pyarrow is not installed.
    """
    path = check_suffix(path, what)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        count = _write_parquet(part, rows, kind) if path.suffix.lower() == ".parquet" else _write_lines(part, rows)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return count


def _write_lines(path: Path, rows: Iterable[Any]) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(to_dict(row), ensure_ascii=False) + "\n")
            count += 1
        file.flush()
        os.fsync(file.fileno())
    return count


def _write_parquet(path: Path, rows: Iterable[Any], kind: type[Any]) -> int:
    arrow, parquet = pyarrow()
    plain = {"str": arrow.string(), "int": arrow.int64(), "float": arrow.float64()}
    types = {**plain, **{f"tuple[{name}, ...]": arrow.list_(value) for name, value in plain.items()}}
    schema = arrow.schema([(field.name, types[str(field.type)]) for field in dataclasses.fields(kind)])
    count, rest = 0, iter(rows)
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        while batch := [to_dict(row) for row in islice(rest, BATCH)]:
            writer.write_table(arrow.Table.from_pylist(batch, schema=schema))
            count += len(batch)
    return count


def read_rows(path: str | Path, kind: type[_Row]) -> Iterator[_Row]:
    """Yields the rows of a file, a batch in memory at a time.

    Raises:
        DatasetError: The file is not there or not one of such rows.
        MissingDependencyError: It is Parquet, and pyarrow is not installed.
    """
    for number, values in read_values(path):
        try:
            yield from_dict(kind, values)
        except KeyError as error:
            raise DatasetError([Problem(f"the key {error} is missing", str(path), number)]) from error


def read_values(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields each row of a file as plain values, with its number from 1. Raises what ``read_rows`` raises."""
    path = Path(path)
    if not path.is_file():
        raise DatasetError([Problem("there is no such file", str(path))])
    yield from enumerate(_parquet_values(path) if path.suffix.lower() == ".parquet" else _line_values(path), start=1)


def _line_values(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                values = json.loads(line)
            except ValueError as error:
                raise DatasetError([Problem(f"not JSON: {error}", str(path), number)]) from error
            if not isinstance(values, dict):
                raise DatasetError([Problem(f"expected an object, got a {type(values).__name__}", str(path), number)])
            yield values


def _parquet_values(path: Path) -> Iterator[dict[str, Any]]:
    arrow, parquet = pyarrow()
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH):
                yield from batch.to_pylist()
    except arrow.ArrowInvalid as error:
        raise DatasetError([Problem(f"not Parquet: {error}", str(path))]) from error


def pyarrow() -> tuple[Any, Any]:
    """Returns pyarrow and its module of Parquet.

    Raises:
        MissingDependencyError: pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependencyError("Parquet needs pyarrow: pip install 'multiretriever[train]'") from error
    return pyarrow, pyarrow.parquet


def replace_folder(finished: Path, output: Path) -> None:
    """Puts a finished folder in the place of another, which stands beside it as ``.NAME.old`` until then.

    Raises:
        OSError: A folder cannot be moved; the old one is where it was.
    """
    old = output.with_name(f".{output.name}.old")
    if not output.exists():
        os.replace(finished, output)
        return
    shutil.rmtree(old, ignore_errors=True)
    os.replace(output, old)
    try:
        os.replace(finished, output)
    except OSError:
        os.replace(old, output)
        raise
    shutil.rmtree(old, ignore_errors=True)
