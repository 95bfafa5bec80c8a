"""What systems that compare encoders share: one index for each dataset and encoder, and vectors that are computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from multiretriever.core.catalog import Catalog
from multiretriever.core.datasets import Dataset, Example
from multiretriever.core.encoders import Encoder, Vectors, fit_prompt, load_encoder
from multiretriever.core.errors import ParameterError
from multiretriever.core.index import Index
from multiretriever.core.instructions import InstructionSet
from multiretriever.core.prompts import make_prompt
from multiretriever.core.query import MODES, Mode, check_mode

EncoderSpec = str | Path | Encoder | None


class NoEncoder:
    """Stands for the encoder of an index in which only words are looked up."""

    name = "none"
    dimension = 1
    fingerprint = "none"
    instructions: InstructionSet | None = None

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Returns ones, [len(texts), 1]."""
        return np.ones((len(texts), 1), dtype=np.float32)

    encode_queries = encode_documents


class Workbench:
    """Indexes in memory of the dataset at hand, by encoder, and the vectors of the queries at hand.

    Attributes:
        truncated: How many queries did not fit an encoder's window, by name of the encoder.
    """

    def __init__(self) -> None:
        """Makes an empty one."""
        self.truncated: dict[str, int] = {}
        self._encoders: dict[str, Encoder] = {}
        self._indexes: dict[str, Index] = {}
        self._types: dict[str, set[str]] = {}
        self._dataset: Dataset | None = None
        self._queries: tuple[str, ...] = ()
        self._vectors: dict[str, Vectors] = {}

    def add(self, name: str, spec: EncoderSpec) -> None:
        """Adds an encoder under a name. Raises what ``load_encoder`` raises."""
        self._encoders[name] = load_encoder(spec)

    def encoder(self, name: str) -> Encoder:
        """Returns the encoder of a name."""
        return self._encoders[name]

    def index(self, dataset: Dataset, element_type: str, name: str | None, *, progress: bool = False) -> Index:
        """Returns the index of a dataset for an encoder, in which the elements of a type are.

        Args:
            dataset: The dataset; indexes of another one are closed.
            element_type: Name of the type. Types that nobody asked for are not indexed.
            name: Name of the encoder; None where any will do.
            progress: Whether to show on standard error how elements are encoded.
        """
        if dataset is not self._dataset:
            self.release()
            self._dataset = dataset
        if name is None:
            name = next(iter(self._encoders), "")
        if name not in self._indexes:
            self._indexes[name] = Index.open(None, encoder=self._encoders.get(name) or NoEncoder(), create=True)
            self._types[name] = set()
        held = self._types[name]
        if element_type not in held:
            # Fields are checked against their tables. What the index holds already is not encoded again.
            held |= {element_type, "table"} if element_type == "field" else {element_type}
            part = Catalog(item for item in dataset.catalog if item.element_type in held)
            self._indexes[name].sync(part, progress=progress)
        return self._indexes[name]

    def vectors(self, name: str, element_type: str, examples: Sequence[Example]) -> Vectors:
        """Returns the vectors of queries, float32 [len(examples), dimension], as the retriever would make them."""
        ids = (element_type, *(example.id for example in examples))
        if ids != self._queries:
            self._queries, self._vectors = ids, {}
        if name not in self._vectors:
            encoder = self._encoders[name]
            prompts = [
                make_prompt(item.query, element_type, item.context, instructions=encoder.instructions) for item in examples
            ]
            texts = [fit_prompt(encoder, prompt) for prompt in prompts]
            cut = sum(text != prompt.text for text, prompt in zip(texts, prompts, strict=True))
            self.truncated[name] = self.truncated.get(name, 0) + cut
            self._vectors[name] = encoder.encode_queries(texts)
        return self._vectors[name]

    def release(self) -> None:
        """Closes all indexes and forgets all vectors."""
        for index in self._indexes.values():
            index.close()
        self._indexes, self._types, self._dataset, self._queries, self._vectors = {}, {}, None, (), {}


class Setup(NamedTuple):
    """A mode of an encoder.

    Attributes:
        name: Name in reports.
        mode: How is ranked.
        encoder: Name of the encoder in the workbench; None where only words are looked up.
    """

    name: str
    mode: Mode
    encoder: str | None


def set_up(encoders: EncoderSpec | Mapping[str, EncoderSpec], modes: Sequence[str]) -> tuple[Workbench, list[Setup]]:
    """Returns a workbench with some encoders, and their modes: ``lexical`` (BM25) once, the others for each encoder.

    Args:
        encoders: One encoder, as for ``load_encoder``; or several by short names, which then stand before the mode:
            ``tuned/dense``.
        modes: Modes, each once.

    Raises:
        ParameterError: There is no such mode, no mode, or no encoder.
        EncoderError: An encoder cannot be loaded.
    """
    if not modes or len(set(modes)) != len(modes):
        raise ParameterError(f"modes are some of {', '.join(MODES)}, each once (got {list(modes)!r})")
    named = encoders if isinstance(encoders, Mapping) else {"": encoders}
    if not named:
        raise ParameterError("an evaluation of retrievers needs an encoder; None is the shipped one")
    checked = [check_mode(mode) for mode in modes]
    dense = [mode for mode in checked if mode != "lexical"]
    workbench = Workbench()
    found = [Setup("lexical", "lexical", None)] if "lexical" in checked else []
    for name, spec in named.items():
        if dense:
            workbench.add(name, spec)
        found += [Setup(f"{name}/{mode}" if name else mode, mode, name) for mode in dense]
    return workbench, found
