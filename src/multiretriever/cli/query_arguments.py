"""From what stands on the command line to what the retriever takes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import typer

from multiretriever.core import Index, ParameterError, read_flows
from multiretriever.core.query import MAX_QUERY, check_query

Scalar = str | int | float | bool


def read_query(text: str) -> str:
    """Returns the query, from standard input for ``-``.

    Raises:
        QueryError: It is blank or too long.
    """
    if text == "-":
        text = typer.get_text_stream("stdin", errors="replace").read(MAX_QUERY + 1).rstrip("\r\n")
    return check_query(text)


def split_pairs(option: str, pairs: Iterable[str] | None) -> dict[str, str]:
    """Splits ``NAME=VALUE`` arguments.

    Raises:
        ParameterError: One has no name or no equals sign, or a name comes twice.
    """
    found: dict[str, str] = {}
    for pair in pairs or ():
        name, sign, value = pair.partition("=")
        if not sign or not name.strip():
            raise ParameterError(f"{option} takes NAME=VALUE (got {pair!r})")
        if name.strip() in found:
            raise ParameterError(f"{option} names {name.strip()!r} twice; one value each is taken")
        found[name.strip()] = value
    return found


def read_context(pairs: Iterable[str] | None, flow: Path | None, *, annotation: bool) -> dict[str, Any] | None:
    """Returns the context of the query, if any.

    Raises:
        ParameterError: A pair is malformed, or given a second time by an option of its own.
        FlowError: The file holds no valid flow.
    """
    context: dict[str, Any] = dict(split_pairs("--context", pairs))
    given = {"flow": flow is not None, "text": annotation}
    twice = [name for name, is_given in given.items() if is_given and name in context]
    if twice:
        raise ParameterError(f"the context's {twice[0]!r} is given twice, by --context and by an option of its own")
    if flow is not None:
        flows = read_flows(flow)
        if len(flows) != 1:
            raise ParameterError(f"--flow takes a file with one flow ({flow} holds {len(flows)})")
        context["flow"] = flows[0]
    if annotation:
        context["text"] = "annotation"
    return context or None


def read_where(index: Index, types: Sequence[str], pairs: Mapping[str, str]) -> dict[str, Scalar]:
    """Returns the filter, each value with the type that it has in the index.

    The command line has only text, and the index tells ``"3"`` from 3: of the values that the text can stand for, the first
    that any element has is taken.
    """
    return {name: _typed(index, types, name, text) for name, text in pairs.items()}


def _typed(index: Index, types: Sequence[str], name: str, text: str) -> Scalar:
    readings = _readings(text)
    holders = [item for item in types if name in index.entry(item).filters]
    if len(readings) == 1 or not holders:
        return text
    return next((value for value in readings if any(_occurs(index, item, name, value) for item in holders)), text)


def _readings(text: str) -> list[Scalar]:
    try:
        value = json.loads(text)
    except ValueError:
        return [text]
    if isinstance(value, bool | float):
        return [text, value]
    return [text, value, float(value)] if isinstance(value, int) else [text]


def _occurs(index: Index, element_type: str, name: str, value: Scalar) -> bool:
    # Any vector will do: the filter alone decides whether something is found.
    vector = np.eye(1, index.encoder.dimension, dtype=np.float32)
    return bool(index.search(element_type, vector, 1, {name: value})[0])
