"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_LOCATION = ".multiretriever/index"
DEFAULT_NAME = "multiretriever"
DEFAULT_MODE = "hybrid"

Datasets = Annotated[
    list[Path],
    typer.Argument(metavar="DATASET", help="Folders of datasets or BEIR, FOLDER@SPLIT, or catalogs with flows among them."),
]
Location = Annotated[
    str,
    typer.Option(
        "--index",
        metavar="LOCATION",
        envvar="MULTIRETRIEVER_INDEX",
        help="Folder of the index, or URL of a Chroma server started by `chroma run`.",
    ),
]
Encoder = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        metavar="SPEC",
        envvar="MULTIRETRIEVER_ENCODER",
        show_default="the shipped one",
        help="Encoder of the index: a folder with an exported encoder or a sentence-transformers checkpoint, "
        "or hub:NAME, which downloads.",
    ),
]
Name = Annotated[str, typer.Option("--name", metavar="NAME", help="Name of the index, where one location holds several.")]
Plugins = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        metavar="MODULE",
        help="Python module that registers element types of your own, also from the current folder. Repeatable. "
        "Loaded beside those in MULTIRETRIEVER_PLUGINS (comma-separated) and installed ones.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write one JSON object instead of a table.")]
Debug = Annotated[bool, typer.Option("--debug", envvar="MULTIRETRIEVER_DEBUG", help="Show the traceback of an error.")]
Query = Annotated[
    str, typer.Argument(metavar="QUERY", help="A requirement, an annotation or a description; - reads it from standard input.")
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="NAME=VALUE",
        help="Only elements with this value, such as scope=core. Repeatable; all must hold. VALUE is text; true, false and "
        "numbers are taken as such where no element has them as text. `status` lists the names.",
    ),
]
Context = Annotated[
    list[str] | None,
    typer.Option(
        "--context",
        metavar="KEY=VALUE",
        help="What is known beside the query, such as table=incident; it guides the search and excludes nothing. Repeatable. "
        "Keys: scope, type, table, requirement, and any of your own.",
    ),
]
FlowFile = Annotated[
    Path | None, typer.Option("--flow", metavar="FILE", help="YAML file with the flow so far; the query is about its next step.")
]
Annotation = Annotated[
    bool, typer.Option("--annotation", help="The query is the annotation of one step, not a whole requirement.")
]
Mode = Annotated[str, typer.Option("--mode", metavar="dense|lexical|hybrid", help="How to rank.")]
