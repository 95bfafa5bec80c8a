"""A dataset: a catalog, flows, and queries with their answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from multiretriever.core.catalog import Catalog
from multiretriever.core.datasets.element_examples import element_examples
from multiretriever.core.datasets.example import GIVEN, Example
from multiretriever.core.datasets.flow_examples import EVALUATED_KINDS, FlowExamples
from multiretriever.core.datasets.queries import read_queries
from multiretriever.core.datasets.settings import DATASET_FILE, DatasetSettings, read_settings
from multiretriever.core.elements import Workflow
from multiretriever.core.errors import DatasetError, ParameterError
from multiretriever.core.flow_stream import iter_flows
from multiretriever.core.flows import Flow


class Dataset:
    """A dataset folder (``dataset.yaml``, a catalog, flows, queries), or a catalog and flows of any origin.

    Attributes:
        name: Name in reports.
        catalog: Its elements.
        settings: What ``dataset.yaml`` says.
        folder: Folder that it was read from; None for one made of parts.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        name: str = "dataset",
        flows: Iterable[Flow] = (),
        queries: Iterable[Example] = (),
        settings: DatasetSettings | None = None,
        folder: Path | None = None,
    ) -> None:
        """Makes a dataset of its parts; ``flows`` and ``queries`` come in addition to those of the folder, if there is one."""
        self.name = name
        self.catalog = catalog
        self.settings = settings or DatasetSettings()
        self.folder = folder
        self._flows = flows if isinstance(flows, Collection) else tuple(flows)
        self._queries = tuple(queries)
        # The files of one split, where this is no more than that.
        self._given_parts: dict[str, dict[str, list[Path]]] | None = None

    @classmethod
    def from_path(cls, *paths: str | Path, name: str | None = None) -> Dataset:
        """Reads a dataset folder; or a catalog in any form that ``Catalog.from_path`` reads, with the flows among it.

        The workflows of the catalog are then known by label and description alone, so that requirements can be queries.

        Raises:
            CatalogError: Something is wrong in the catalog.
            DatasetError: Something is wrong in ``dataset.yaml``. Queries and flows are read later, when they are asked for.
        """
        folder = Path(paths[0]) if len(paths) == 1 else None
        if folder is not None and folder.name == DATASET_FILE:
            folder = folder.parent
        if folder is None or not (folder / DATASET_FILE).is_file():
            catalog = Catalog.from_path(*paths)
            flows = [item.flow for item in catalog.of("workflow") if item.flow is not None]
            return cls(_without_flows(catalog), name=name or Path(paths[0]).stem, flows=flows)
        settings = read_settings(folder)
        if isinstance(settings, list):
            raise DatasetError(settings)
        found = name or settings.name or folder.resolve().name
        return cls(Catalog.from_path(folder), name=found, settings=settings, folder=folder)

    def only(self, split: str) -> Dataset:
        """Returns one split as a dataset of its own, named ``name/split``, with the whole catalog.

        Raises:
            ParameterError: There is no such split.
        """
        self._check_split(split)
        parts = {part: {"": paths} for part in ("flows", "queries") if (paths := self._paths(part, split))}
        view = Dataset(
            self.catalog,
            name=f"{self.name}/{split}",
            flows=self._flows,
            queries=self._queries,
            settings=self.settings,
            folder=self.folder,
        )
        view._given_parts = {"flows": {}, "queries": {}, **parts}
        return view

    @cached_property
    def splits(self) -> tuple[str, ...]:
        """Names of its splits; empty where it is not split."""
        names = [split for part in ("flows", "queries") for split in self._parts(part)]
        return tuple(dict.fromkeys(filter(None, names)))

    def flows(self, split: str | None = None) -> Iterator[Flow]:
        """Gives the flows of a split, or of all splits, one after another.

        Raises:
            FlowError: A flow is not valid.
            ParameterError: There is no such split.
        """
        self._check_split(split)
        yield from self._flows
        yield from iter_flows(*self._paths("flows", split))

    def given(self, split: str | None = None) -> Iterator[Example]:
        """Gives the queries that somebody wrote down with their answers.

        Raises:
            DatasetError: A file of queries is not valid.
            ParameterError: There is no such split.
        """
        self._check_split(split)
        yield from self._queries
        for path in self._paths("queries", split):
            yield from read_queries(path, language=self.settings.language)

    def stream(
        self,
        split: str | None = None,
        kinds: Collection[str] | None = None,
        *,
        descriptions: Collection[str] = (),
        on_flow: Callable[[Flow], object] | None = None,
    ) -> Iterator[Example]:
        """Gives the queries that are written down and those that are made of flows, without keeping any.

        Args:
            split: Name of a split; None for all of it.
            kinds: Kinds of queries: template ids (see ``FLOW_KINDS``) and ``given``; None for ``EVALUATED_KINDS`` and the given.
            descriptions: Element types whose descriptions are queries as well. The description is then hidden from the answer.
            on_flow: Called with each flow before queries are made of it, say for progress.

        Raises:
            DatasetError, FlowError: A file is not valid.
            ParameterError: There is no such split.
        """
        wanted = (*EVALUATED_KINDS, GIVEN) if kinds is None else kinds
        if kinds is None or GIVEN in kinds:
            yield from self.given(split)
        made = FlowExamples(self.catalog, wanted, language=self.settings.language)
        for number, flow in enumerate(self.flows(split)):
            if on_flow is not None:
                on_flow(flow)
            yield from made.of(flow, number)
        yield from element_examples(self.catalog, descriptions, language=self.settings.language)

    def examples(self, split: str | None = None, kinds: Collection[str] | None = None) -> Iterator[Example]:
        """Gives what ``stream`` gives, with equal queries (type, kind, text and context) made one that has the answers of all.

        Short annotations such as "tell them" come in many flows; each answer would count as wrong for the others.
        """
        merged: dict[str, Example] = {}
        for example in self.stream(split, kinds):
            key = _key(example)
            before = merged.get(key)
            if before is None:
                merged[key] = example
            else:
                relevant = tuple(dict.fromkeys((*before.relevant, *example.relevant)))
                merged[key] = replace(before, relevant=relevant)
        yield from merged.values()

    def _parts(self, part: str) -> dict[str, list[Path]]:
        if self._given_parts is not None:
            return self._given_parts[part]
        return {} if self.folder is None else self.settings.parts(part, self.folder)

    def _paths(self, part: str, split: str | None) -> list[Path]:
        return [path for name, paths in self._parts(part).items() if split in (None, "", name) for path in paths]

    def _check_split(self, split: str | None) -> None:
        if split and split not in self.splits:
            known = f"its splits are {', '.join(self.splits)}" if self.splits else "it has no splits"
            raise ParameterError(f"dataset {self.name!r} has no split {split!r}; {known}")

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}, {self.catalog!r})"


def _without_flows(catalog: Catalog) -> Catalog:
    return Catalog(
        item.model_copy(update={"flow": None}) if isinstance(item, Workflow) and item.flow is not None else item
        for item in catalog
    )


def _key(example: Example) -> str:
    context = {key: getattr(value, "to_dict", lambda value=value: value)() for key, value in example.context.items()}
    text = " ".join(example.query.casefold().split())
    return json.dumps([example.element_type, example.kind, example.language, text, context], sort_keys=True, default=str)
