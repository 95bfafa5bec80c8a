"""``dataset.yaml``: what a dataset folder is and where its parts lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import pydantic
from pydantic import BeforeValidator, ConfigDict

from multiretriever.core.errors import Problem
from multiretriever.core.problems import problems_of
from multiretriever.core.scalars import Text
from multiretriever.core.sources.catalog_form import name_of
from multiretriever.core.textfile import read_text
from multiretriever.core.validation import is_null
from multiretriever.core.yaml_io import parse_yaml

DATASET_FILE = "dataset.yaml"


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _by_split(value: Any) -> Any:
    return value if isinstance(value, Mapping) else {"": value}


Paths = Annotated[tuple[Text, ...], BeforeValidator(_as_list)]
SplitPaths = Annotated[dict[Text, Paths], BeforeValidator(_by_split)]


class DatasetSettings(pydantic.BaseModel):
    """What ``dataset.yaml`` says. Paths are relative to its folder; other keys (note, url, ...) are the user's own.

    Attributes:
        name: Name in reports; the folder's name where it is blank.
        licence: Licence of the data.
        source: Where the data come from.
        language: Language of queries that name none, as an ISO 639-1 code.
        catalog: Files and folders of the catalog.
        workflows: Files and folders of flows that are stored workflows: elements of the catalog known by label and description
            alone, so that their requirements can be queries.
        flows: Files and folders of flows that queries are made of, by split (or without a split).
        queries: Files of queries, by split (or without a split).
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    name: Text = ""
    licence: Text = ""
    source: Text = ""
    language: Text = "en"
    catalog: Paths = ("catalog",)
    workflows: Paths = ()
    flows: SplitPaths | None = None
    queries: SplitPaths | None = None

    def parts(self, part: str, folder: Path) -> dict[str, list[Path]]:
        """Returns the paths of ``flows`` or ``queries`` by split; without any given, the usual ones that are there."""
        given: dict[str, tuple[str, ...]] | None = getattr(self, part)
        if given is not None:
            return {split: [folder / path for path in paths] for split, paths in given.items()}
        usual = [folder / f"{part}.jsonl", *([folder / part] if part == "flows" else [])]
        found = [path for path in usual if path.exists()]
        return {"": found} if found else {}


def read_settings(folder: Path) -> DatasetSettings | list[Problem]:
    """Reads ``dataset.yaml`` of a folder, or returns the problems that stand against it."""
    path = folder / DATASET_FILE
    text = read_text(path)
    if isinstance(text, Problem):
        return [text]
    documents = parse_yaml(text, str(path))
    if isinstance(documents, Problem):
        return [documents]
    if not text.strip():
        return [Problem("the file is empty", str(path))]
    value: Any = documents[0].value if documents else None
    if len(documents) > 1 or not (is_null(value) or isinstance(value, dict)):
        return [Problem(f"a mapping is due (got {name_of(value)})", str(path), 1)]
    values = {} if is_null(value) else {key: item for key, item in value.items() if not is_null(item)}
    try:
        return DatasetSettings.model_validate(values)
    except pydantic.ValidationError as error:
        return problems_of(error, source=str(path), line=documents[0].line)
