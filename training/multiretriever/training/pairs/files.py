"""Writing pairs as Parquet or JSON Lines, and reading them back; both are loaded by ``datasets`` as they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from multiretriever.training.pairs.pair import Pair
from multiretriever.training.row_files import check_suffix, read_rows, write_rows

_WHAT = "pairs"


def check_output(path: str | Path) -> Path:
    """Returns where pairs are to be written.

    Raises:
        ParameterError: The suffix is neither ``.parquet`` nor ``.jsonl``.
        MissingDependencyError: Parquet is asked for, and pyarrow is not installed.
    """
    return check_suffix(path, _WHAT)


def write_pairs(path: str | Path, pairs: Iterable[Pair]) -> int:
    """Writes pairs as they come and returns how many there were.

    The file appears when it is whole: until then, and when writing fails or is interrupted, one that was there stays as it is.

    Raises:
        ParameterError: The suffix is neither ``.parquet`` nor ``.jsonl``.
        MissingDependencyError: Parquet is asked for, and pyarrow is not installed.
    """
    return write_rows(path, pairs, Pair, what=_WHAT)


def read_pairs(path: str | Path) -> Iterator[Pair]:
    """Gives the pairs of a file, a batch in memory at a time.

    Raises:
        DatasetError: The file is not there or not one of pairs.
        MissingDependencyError: It is Parquet, and pyarrow is not installed.
    """
    yield from read_rows(path, Pair)
