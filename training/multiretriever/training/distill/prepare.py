"""From datasets or pairs to rows for the loss, by way of files that an interrupted run goes on from.

Lists are dropped that are not worth learning from (Tamber et al., arXiv 2502.19712, and the authors' code). A query that was
written by a model may be about nothing, or about many elements. It is kept when the element it was written for is found by a
retriever and, of what was found, liked best by the teacher, and when the teacher likes it at all.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeAlias

from multiretriever.core import Encoder, InstructionSet, ParameterError
from multiretriever.core.errors import DatasetError, MissingDependencyError, Problem
from multiretriever.core.progress import OnProgress, bars
from multiretriever.datasets import Dataset
from multiretriever.evaluation.report_files import grid, line
from multiretriever.training.distill.lists import CandidateList, Corpora, ListBuilder, draw_pairs, read_lists, write_lists
from multiretriever.training.distill.scores import normalize, percentiles_of, raise_known
from multiretriever.training.distill.teacher import Teacher
from multiretriever.training.pairs import Pair, PairBuilder, read_pairs
from multiretriever.training.recipe import DistillSettings, PairSettings

FILTERS = ("duplicate", "one candidate", "retriever rank", "teacher rank", "score percentile", "score")


@dataclass
class FilterReport:
    """How many lists there were, and how many each filter dropped.

    Attributes:
        given: Lists before the first filter.
        dropped: Lists dropped, by filter and kind of query.
        kept: Lists after the last filter, by kind of query.
    """

    given: int = 0
    dropped: Counter[tuple[str, str]] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)

    @property
    def by_filter(self) -> dict[str, int]:
        """Lists dropped by each filter, in the order in which they are applied."""
        return {name: sum(count for (found, _), count in self.dropped.items() if found == name) for name in FILTERS}

    def to_dict(self) -> dict[str, Any]:
        """Returns the counts as plain values."""
        return {"given": self.given, "dropped": self.by_filter, "kept": sum(self.kept.values()), "by_kind": self.rows()}

    def rows(self) -> list[dict[str, Any]]:
        """Returns a row for each kind of query: what each filter dropped, and what is left."""
        kinds = sorted({kind for _, kind in self.dropped} | set(self.kept))
        return [
            {"kind": kind, **{name: self.dropped[(name, kind)] for name in FILTERS}, "kept": self.kept[kind]} for kind in kinds
        ]

    def to_markdown(self) -> str:
        """Returns the rows as a Markdown table, with their sums."""
        head = ["kind", *FILTERS, "kept"]
        total = {"kind": "all", **self.by_filter, "kept": sum(self.kept.values())}
        return "\n".join([*grid(head, 1), *(line([str(row[name]) for name in head]) for row in [*self.rows(), total])])


class ListFilter:
    """Drops lists, and counts what it drops.

    Attributes:
        report: The counts.
    """

    def __init__(self, settings: DistillSettings) -> None:
        """Takes the bounds."""
        self._settings = settings
        self.report = FilterReport()

    def before(self, lists: Iterable[CandidateList]) -> list[CandidateList]:
        """Returns the lists that are worth scoring.

        Dropped are those of a query and positive that came before, those without a second candidate, and those whose positive is
        not among the first ``retriever_top`` of the fused ranking.
        """
        found = list(lists)
        self.report.given += len(found)
        found = self._keep("duplicate", found, _first_of_its_kind())
        found = self._keep("one candidate", found, lambda item: len(item.candidates) > 1)
        bound = self._settings.retriever_top
        return found if bound is None else self._keep("retriever rank", found, lambda item: 1 <= item.retrieved_rank <= bound)

    def after(self, lists: Iterable[CandidateList]) -> list[CandidateList]:
        """Returns the scored lists that are worth learning from, with comparable scores.

        Dropped are lists whose positive is not among the first ``teacher_top`` of the teacher's ranking; then those whose
        positive does not reach ``score_percentile`` of all scores that are left in its group, or, normalised, ``min_score``. As
        in the authors' code, the percentiles are those of the lists that the first of these filters left.
        """
        settings = self._settings
        found = list(lists)
        if (rank := settings.teacher_top) is not None:
            found = self._keep("teacher rank", found, lambda item: self._is_trusted(item) or item.teacher_rank <= rank)
        bounds = percentiles_of(found, settings.score_percentile)
        levelled = normalize(found, settings.normalization)
        # The percentile is one of the scores as they came; normalised ones are cut off at the ends.
        passed = iter([self._is_trusted(item) or item.positive_score >= bounds[item.group] for item in found])
        found = self._keep("score percentile", levelled, lambda item: next(passed))
        found = self._keep("score", found, lambda item: self._is_trusted(item) or item.positive_score >= settings.min_score)
        self.report.kept.update(item.kind for item in found)
        return [raise_known(item) for item in found] if settings.raise_known else found

    def _is_trusted(self, item: CandidateList) -> bool:
        return item.kind in self._settings.trusted_kinds

    def _keep(self, name: str, lists: Sequence[CandidateList], test: Callable[[CandidateList], bool]) -> list[CandidateList]:
        kept: list[CandidateList] = []
        for item in lists:
            if test(item):
                kept.append(item)
            else:
                self.report.dropped[(name, item.kind)] += 1
        return kept


def _first_of_its_kind() -> Callable[[CandidateList], bool]:
    seen: set[tuple[str, ...]] = set()

    def test(item: CandidateList) -> bool:
        key = (item.dataset, item.element_type, item.positive_id, " ".join(item.query.casefold().split()))
        is_new = key not in seen
        seen.add(key)
        return is_new

    return test


QUERY, DOCUMENT, LABEL = "query", "document_{}", "label"
PADDED_SCORE = float("-inf")
PADDED_ID = -1.0
# Labels reach the loss as 32-bit floats, which hold whole numbers up to here.
_MAX_IDS = 2**24


def to_rows(lists: Sequence[CandidateList], length: int) -> Any:
    """Returns a ``datasets.Dataset`` with the columns ``query``, ``document_1`` to ``document_N`` and ``label``.

    ``document_1`` is the positive; the other candidates follow in their order, and those after the N-th are left out. Shorter
    lists are padded with empty texts. ``label`` holds three rows of one width, W, which is N or the most known answers of any
    query, whatever is more:

    - the teacher's scores of the documents; ``-inf`` for padding;
    - a number for each document: the same element has the same number in all rows; -1 for padding;
    - the numbers of all known answers of the query; -1 for what is left.

    Labels are the one column that a sentence-transformers trainer does not take for text, so that is where numbers have to be.

    Args:
        lists: Scored lists, with normalised scores.
        length: N.

    Raises:
        DatasetError: A list has no scores.
        ParameterError: There are more elements than numbers, or the length is below 2.
        MissingDependencyError: datasets is not installed.
    """
    if length < 2:
        raise ParameterError(f"a list has 2 or more documents, got a length of {length}")
    problems = [
        Problem("the list has no scores", item.dataset, None, f"query {item.query_id}") for item in lists if not item.scores
    ]
    if problems:
        raise DatasetError(problems)
    datasets = _datasets()
    numbers: dict[tuple[str, str, str], int] = {}
    width = max([length, *(len(item.known_ids) for item in lists)])
    columns: dict[str, list[Any]] = {QUERY: [], **{DOCUMENT.format(place + 1): [] for place in range(length)}, LABEL: []}
    for item in lists:
        order = _order(item, length)
        columns[QUERY].append(item.query)
        for place in range(length):
            columns[DOCUMENT.format(place + 1)].append(item.candidates[order[place]] if place < len(order) else "")
        columns[LABEL].append(_label(item, order, width, numbers))
    if len(numbers) > _MAX_IDS:
        raise ParameterError(f"lists name {len(numbers):,} elements; {_MAX_IDS:,} can be numbered: train in parts")
    text = datasets.Value("string")
    kinds = {name: text for name in columns} | {LABEL: datasets.Sequence(datasets.Sequence(datasets.Value("float32")))}
    return datasets.Dataset.from_dict(columns, features=datasets.Features(kinds))


def _order(item: CandidateList, length: int) -> list[int]:
    others = [place for place in range(len(item.candidates)) if place != item.positive]
    return [item.positive, *others][:length]


def _label(
    item: CandidateList, order: Sequence[int], width: int, numbers: dict[tuple[str, str, str], int]
) -> tuple[list[float], list[float], list[float]]:
    def number(element_id: str) -> float:
        return float(numbers.setdefault((item.dataset, item.element_type, element_id), len(numbers)))

    parts = (
        (PADDED_SCORE, [item.scores[place] for place in order]),
        (PADDED_ID, [number(item.candidate_ids[place]) for place in order]),
        (PADDED_ID, [number(element_id) for element_id in item.known_ids]),
    )
    scores, ids, known = (values + [padding] * (width - len(values)) for padding, values in parts)
    return scores, ids, known


def _datasets() -> Any:
    try:
        import datasets  # it takes seconds to import
    except ImportError as error:
        raise MissingDependencyError('datasets is not installed: pip install "multiretriever[train]"') from error
    return datasets


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
        raise ParameterError(f"datasets need different names, got {', '.join(dataset.name for dataset in datasets)}")
    made = [pair for dataset in datasets for pair in _pairs_of(dataset, settings)]
    given: list[Pair] = []
    for item in items:
        if isinstance(item, Pair):
            given.append(item)
        elif isinstance(item, str | Path):
            given += read_pairs(item)
        elif not isinstance(item, Dataset):
            raise ParameterError(f"lists are made of datasets, files of pairs and pairs, got a {type(item).__name__}")
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
    columns = [column.name for column in fields(CandidateList)]
    digest.update(json.dumps([values, used, corpora.digest, columns], sort_keys=True).encode())
    for pair in pairs:
        digest.update(
            json.dumps([pair.query, pair.bare, pair.query_id, pair.dataset, pair.positive_id, pair.relevant_ids]).encode()
        )
    return digest.hexdigest()


def _state(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
