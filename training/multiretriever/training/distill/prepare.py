"""From datasets or pairs to rows for the loss, by way of files that an interrupted run goes on from."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from multiretriever.core import Encoder, InstructionSet, ParameterError, Problem
from multiretriever.core.datasets import Dataset
from multiretriever.core.errors import DatasetError
from multiretriever.training.distill.candidates import ListBuilder, draw_pairs
from multiretriever.training.distill.corpora import Corpora
from multiretriever.training.distill.filters import FilterReport, ListFilter
from multiretriever.training.distill.lists import CandidateList, read_lists, write_lists
from multiretriever.training.distill.progress import OnProgress, bars
from multiretriever.training.distill.rows import to_rows
from multiretriever.training.distill.settings import DistillSettings
from multiretriever.training.distill.teacher import Teacher
from multiretriever.training.pairs import Pair, PairBuilder, PairSettings, read_pairs

Source: TypeAlias = Dataset | Pair | str | Path
CANDIDATES, LISTS, STATE, REPORT = "candidates.parquet", "lists.parquet", "state.json", "filters.md"


@dataclass(frozen=True)
class Prepared:
    """What ``prepare_lists`` made.

    Attributes:
        lists: The lists that are left, scored and normalised.
        report: What each filter dropped.
        left_out: Pairs that no list was made of, by why.
    """

    lists: list[CandidateList]
    report: FilterReport
    left_out: dict[str, int]


def prepare(
    source: Source | Iterable[Source],
    settings: DistillSettings,
    encoders: Sequence[Encoder],
    teacher: Teacher,
    output: str | Path,
    *,
    corpora: Corpora | None = None,
    progress: bool = False,
) -> Any:
    """Returns a ``datasets.Dataset`` of rows for ``DistillationLoss``. Arguments and errors are those of ``prepare_lists``.

    Raises:
        DatasetError: Nothing is left; the error says which filter dropped how many.
    """
    made = prepare_lists(source, settings, encoders, teacher, output, corpora=corpora, progress=progress)
    if not made.lists:
        dropped = ", ".join(f"{name} {count}" for name, count in made.report.by_filter.items() if count)
        message = f"of {made.report.given} lists none is left (dropped: {dropped or 'none'}); loosen the filters of the settings"
        raise DatasetError([Problem(message, str(output))])
    return to_rows(made.lists, settings.list_length)


def prepare_lists(
    source: Source | Iterable[Source],
    settings: DistillSettings,
    encoders: Sequence[Encoder],
    teacher: Teacher,
    output: str | Path,
    *,
    corpora: Corpora | None = None,
    progress: bool = False,
) -> Prepared:
    """Makes lists, lets the teacher score them and filters them.

    In the folder stand then ``candidates.parquet`` (all lists), ``scores-TEACHER.jsonl`` (what a cross-encoder scored, which only
    grows), ``lists.parquet`` (what is left, with normalised scores) and ``filters.md``. A run that was interrupted goes on where
    it was; with other data, settings or encoders lists are made anew, and what was scored of them before is not scored again.

    Args:
        source: Datasets (of one with a split ``train`` that split; others by ``Dataset.only``), files of pairs, and pairs.
        settings: How.
        encoders: Encoders that find candidates beside BM25.
        teacher: What scores them.
        output: The folder.
        corpora: Where candidates are taken from; None for the catalogs of the datasets, and of pairs for what stands in them.
        progress: Whether to show bars on standard error.

    Raises:
        DatasetError: A file is not valid, or there are no pairs.
        ParameterError: Two sources have the same name of a dataset, or something is no source.
        EncoderError: A query or candidate cannot be embedded or scored.
    """
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    pairs, found = _read(source, settings, corpora)
    with bars(shown=progress) as on_progress:
        lists, left_out = _candidates(folder, pairs, found, settings, encoders, on_progress)
        chosen = ListFilter(settings)
        lists = chosen.before(lists)
        scores = teacher.score(lists, folder=folder, on_scored=lambda done, total: on_progress("scored", done, total))
    kept = chosen.after([replace(item, scores=row) for item, row in zip(lists, scores, strict=True)])
    write_lists(folder / LISTS, kept)
    (folder / REPORT).write_text(chosen.report.to_markdown() + "\n", encoding="utf-8", newline="\n")
    return Prepared(kept, chosen.report, left_out)


def _read(source: Source | Iterable[Source], settings: DistillSettings, corpora: Corpora | None) -> tuple[list[Pair], Corpora]:
    items = [source] if isinstance(source, Dataset | Pair | str | Path) else list(source)
    datasets = [item for item in items if isinstance(item, Dataset)]
    if len({dataset.name for dataset in datasets}) < len(datasets):
        raise ParameterError(f"datasets need different names (got {', '.join(dataset.name for dataset in datasets)})")
    made = [pair for dataset in datasets for pair in _pairs_of(dataset, settings)]
    given: list[Pair] = []
    for item in items:
        if isinstance(item, Pair):
            given.append(item)
        elif isinstance(item, str | Path):
            given += read_pairs(item)
        elif not isinstance(item, Dataset):
            raise ParameterError(f"lists are made of datasets, files of pairs and pairs (got a {type(item).__name__})")
    if not made and not given:
        raise DatasetError([Problem("no query is there to make lists of", ", ".join(str(item) for item in items) or "no source")])
    if corpora is None:
        corpora = Corpora.of_datasets(datasets).with_others(Corpora.of_pairs(given))
    return [*made, *given], corpora


def _pairs_of(dataset: Dataset, settings: DistillSettings) -> Iterable[Pair]:
    values: dict[str, Any] = {"seed": settings.seed, "balance": settings.balance, "descriptions": settings.descriptions}
    if settings.kinds is not None:
        values["kinds"] = settings.kinds
    pairs = PairSettings.of(**values, random_negatives=0, hard_negatives=0)
    return PairBuilder(dataset, pairs, instructions=InstructionSet.default()).build()


def _candidates(
    folder: Path,
    pairs: Sequence[Pair],
    corpora: Corpora,
    settings: DistillSettings,
    encoders: Sequence[Encoder],
    on_progress: OnProgress,
) -> tuple[list[CandidateList], dict[str, int]]:
    """Returns the lists, made anew unless those in the folder are of the same pairs, corpora, settings and encoders."""
    drawn = draw_pairs(pairs, settings)
    digest = _digest(drawn, corpora, settings, encoders)
    state = _state(folder / STATE)
    if state.get("digest") == digest and (folder / CANDIDATES).is_file():
        return list(read_lists(folder / CANDIDATES)), dict(state["left_out"])
    done = 0

    def count(number: int) -> None:
        nonlocal done
        done += number
        on_progress("lists", done, len(drawn))

    builder = ListBuilder(corpora, settings, encoders=encoders, on_list=count)
    lists = list(builder.build(drawn))
    (folder / STATE).unlink(missing_ok=True)
    write_lists(folder / CANDIDATES, lists)
    part = folder / f".{STATE}.part"
    part.write_text(json.dumps({"digest": digest, "left_out": dict(builder.left_out)}), encoding="utf-8")
    os.replace(part, folder / STATE)
    return lists, dict(builder.left_out)


def _digest(pairs: Sequence[Pair], corpora: Corpora, settings: DistillSettings, encoders: Sequence[Encoder]) -> str:
    digest = hashlib.sha256()
    values = settings.model_dump(include={"list_length", "fusion_constant", "seed"})
    used = [(item.fingerprint, item.instructions is None) for item in encoders]
    digest.update(json.dumps([values, used, corpora.digest], sort_keys=True).encode())
    for pair in pairs:
        digest.update(json.dumps([pair.query, pair.query_id, pair.dataset, pair.positive_id, pair.relevant_ids]).encode())
    return digest.hexdigest()


def _state(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
