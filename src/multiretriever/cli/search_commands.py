"""``multiretriever search`` and ``multiretriever ground``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from multiretriever.cli import options
from multiretriever.cli.output import note, show_json, show_table, write

if TYPE_CHECKING:
    from multiretriever.core import Hit

Type = Annotated[str, typer.Option("--type", "-t", metavar="TYPE", help="Element type to look for; `status` lists them.")]
Count = Annotated[
    int | None,
    typer.Option("-k", metavar="N", min=1, show_default="the type's: 15 steps, 5 of the others", help="Hits at most."),
]


def search(
    query: options.Query,
    element_type: Type = "step",
    k: Count = None,
    where: options.Where = None,
    context: options.Context = None,
    flow: options.FlowFile = None,
    annotation: options.Annotation = False,
    mode: options.Mode = options.DEFAULT_MODE,
    location: options.Location = options.DEFAULT_LOCATION,
    encoder: options.Encoder = None,
    name: options.Name = options.DEFAULT_NAME,
    plugin: options.Plugins = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Find the elements of one type that fit a query, best first."""
    from multiretriever.cli.plugins import load_plugins
    from multiretriever.cli.query_arguments import read_context, read_query, read_where, split_pairs
    from multiretriever.core import MultiRetriever
    from multiretriever.core import element_type as find_type
    from multiretriever.core.query import check_mode

    load_plugins(plugin)
    kind, ranking, known = find_type(element_type).name, check_mode(mode), read_context(context, flow, annotation=annotation)
    pairs, text = split_pairs("--where", where), read_query(query)
    with MultiRetriever.open(location, encoder=encoder, mode=ranking, name=name) as retriever:
        hits = retriever.retrieve(text, kind, k=k, context=known, where=read_where(retriever.index, [kind], pairs))
    if as_json:
        show_json({"query": text, "element_type": kind, "hits": [hit.to_dict() for hit in hits]})
    elif hits:
        show_hits(hits)
    else:
        note("no hits")


def show_hits(hits: Sequence[Hit]) -> None:
    """Writes hits as a table."""
    rows = [(hit.rank, hit.score, hit.id, hit.element.label, hit.element.scope, hit.element.description) for hit in hits]
    show_table(("rank", "score", "id", "label", "scope", "description"), rows, flexible=(3, 5))


_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
Types = Annotated[
    list[str] | None,
    typer.Option(
        "--type",
        "-t",
        metavar="TYPE[=N]",
        show_default="all types of the index",
        help="Element type to look for, and how many hits at most. Repeatable.",
    ),
]


def ground(
    query: options.Query,
    types: Types = None,
    where: options.Where = None,
    context: options.Context = None,
    flow: options.FlowFile = None,
    annotation: options.Annotation = False,
    mode: options.Mode = options.DEFAULT_MODE,
    location: options.Location = options.DEFAULT_LOCATION,
    encoder: options.Encoder = None,
    name: options.Name = options.DEFAULT_NAME,
    plugin: options.Plugins = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Find what fits a query in several element types at once.

    Such as the steps, tables and fields that a new workflow can be made of.
    """
    from multiretriever.cli.plugins import load_plugins
    from multiretriever.cli.query_arguments import read_context, read_query, read_where, split_pairs
    from multiretriever.core import MultiRetriever
    from multiretriever.core.query import check_mode

    load_plugins(plugin)
    counts, ranking, known = _counts(types), check_mode(mode), read_context(context, flow, annotation=annotation)
    pairs, text = split_pairs("--where", where), read_query(query)
    with MultiRetriever.open(location, encoder=encoder, mode=ranking, name=name) as retriever:
        wanted = counts or dict.fromkeys(retriever.index.manifest.types)
        values = read_where(retriever.index, list(wanted), pairs)
        grounding = retriever.ground(text, wanted, context=known, where=values)
    if as_json:
        show_json(grounding.to_dict())
        return
    for place, (kind, hits) in enumerate(grounding.items()):
        write(f"{chr(10) if place else ''}{kind}")
        if hits:
            show_hits(hits)
        else:
            note("no hits")


def _counts(types: Iterable[str] | None) -> dict[str, int | None]:
    from multiretriever.core import ParameterError, element_type

    counts: dict[str, int | None] = {}
    for item in types or ():
        name, sign, number = item.partition("=")
        kind = element_type(name.strip()).name
        if kind in counts:
            raise ParameterError(f"--type names {kind!r} twice")
        if sign and not _NUMBER.fullmatch(number):
            raise ParameterError(f"--type takes TYPE or TYPE=N, N a whole number from 1 (got {item!r})")
        counts[kind] = int(number) if sign else None
    return counts
