"""What a sweep over shares found: figures, a table, a plot."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pydantic
from pydantic import ConfigDict

from multiretriever.core.errors import ParameterError
from multiretriever.core.evaluation import Cell
from multiretriever.core.evaluation.extras import extra
from multiretriever.core.markdown import grid, line


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
