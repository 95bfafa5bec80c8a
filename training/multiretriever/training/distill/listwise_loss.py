"""The loss of listwise distillation: the student's ranking of a list is to be the teacher's.

Tamber et al., *Teaching Dense Retrieval Models to Specialize with Listwise Distillation and LLM Data Augmentation*
(arXiv 2502.19712), with the details of the authors' code. Importing this module loads torch.

Lists of one batch share many documents, since they come from small catalogs: 16 lists of 20 out of 369 steps hold 320 documents
and far fewer texts. Each text goes through the model once, among texts of its length.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from multiretriever.core import ParameterError

CHUNK = 64
_TEXT = ("input_ids", "attention_mask")


def embed_documents(model: nn.Module, columns: Sequence[Mapping[str, Any]]) -> tuple[Tensor, Tensor]:
    """Embeds columns of documents.

    Args:
        model: A SentenceTransformer, or what a trainer wraps around it.
        columns: The features of each column, of ``rows`` texts each.

    Returns:
        Embeddings [rows, columns, dimension], and the number of each text [rows, columns]: equal texts have equal numbers.
    """
    merged = _merge(columns)
    if merged is None:  # Not plain text, such as images: column by column, and no text is known to equal another.
        found = torch.stack([model(dict(column))["sentence_embedding"] for column in columns], dim=1)
        return found, torch.arange(found.shape[0] * found.shape[1], device=found.device).reshape(found.shape[:2])
    tensors, others = merged
    ids, mask = (tensors[name] for name in _TEXT)
    # What stands at masked places differs between columns (padding tokens, zeros) and means nothing.
    _, number = torch.unique(ids.masked_fill(mask == 0, -1), dim=0, return_inverse=True)
    count = int(number.max()) + 1
    places = torch.arange(len(number), device=number.device)
    first = torch.full((count,), len(number), device=number.device).scatter_reduce(0, number, places, "amin")
    embeddings = _embed(model, {name: value[first] for name, value in tensors.items()}, others)
    return embeddings[number].reshape(len(columns), -1, embeddings.shape[-1]).transpose(0, 1), number.reshape(len(columns), -1).T


def _embed(model: nn.Module, tensors: dict[str, Tensor], others: dict[str, Any]) -> Tensor:
    """Embeds texts in chunks of about one length. Returns [texts, dimension]."""
    places = torch.arange(1, tensors["attention_mask"].shape[1] + 1, device=tensors["attention_mask"].device)
    ends = (tensors["attention_mask"] * places).amax(dim=1)
    order = torch.argsort(ends, stable=True)
    parts = []
    for rows in torch.split(order, CHUNK):
        end = max(1, int(ends[rows].max()))
        parts.append(model({**others, **{name: value[rows, :end] for name, value in tensors.items()}})["sentence_embedding"])
    found = torch.cat(parts)
    return found[torch.argsort(order)]


def _merge(columns: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Returns the tensors of all columns below each other, padded to one width, and what else they share; None if they cannot."""
    first = columns[0]
    if any(set(column) != set(first) for column in columns) or any(name not in first for name in _TEXT):
        return None
    tensors: dict[str, Tensor] = {}
    others: dict[str, Any] = {}
    width = max(column["input_ids"].shape[-1] for column in columns)
    for name in first:
        values = [column[name] for column in columns]
        if all(isinstance(value, Tensor) and value.shape == column["input_ids"].shape and value.ndim == 2
               for value, column in zip(values, columns, strict=True)):  # fmt: skip
            tensors[name] = torch.cat([nn.functional.pad(value, (0, width - value.shape[1])) for value in values])
        elif not any(isinstance(value, Tensor) for value in values) and all(value == values[0] for value in values):
            others[name] = values[0]
        else:
            return None
    return (tensors, others) if all(name in tensors for name in _TEXT) else None


class DistillationLoss(nn.Module):
    """KL divergence of teacher and student over each list, and a share of InfoNCE over the whole batch.

    For a query q with documents d_1 to d_N (d_1 is the positive) and teacher's scores t_1 to t_N::

        kl      = KL( softmax(t / teacher_temperature) || softmax(cos(q, d) / student_temperature) )
        infonce = -log( exp(cos(q, d_1) / infonce_temperature) / sum over D of exp(cos(q, d) / infonce_temperature) )
        loss    = kl + infonce_weight * infonce, each the mean over the batch

    D are all documents of all lists of the batch but those that may answer q: documents of its list with a score **above**
    ``mask_ratio`` times the list's best score, its known answers, and wherever they stand in other lists, the same elements and
    equal texts. d_1 itself is always in D, once. A document that stands in several lists counts in each, as in the authors' code.

    The divergence is computed here and not by sentence-transformers' ``DistillKLDivLoss``, which multiplies it by the student's
    temperature squared (0.0025). Beside that, an InfoNCE of weight 0.1 would weigh forty times the divergence and not a tenth of
    it; scaling it down as well would leave gradients so small that clipping them and the optimizer's epsilon no longer mean what
    they mean elsewhere. The authors' code does not scale.

    Inputs: the columns query, document_1 to document_N, and labels, either [batch, N] with the teacher's scores, or
    [batch, 3, W] as ``to_rows`` makes them: scores, numbers of the documents, and numbers of the query's known answers. Scores
    are 0 or more, best normalised to 0 to 1 (see ``normalize``), and never NaN. ``-inf`` marks padding: such a document takes no
    part. Without numbers documents are distinguished by their texts.
    """

    def __init__(
        self,
        model: Any,
        *,
        teacher_temperature: float = 0.3,
        student_temperature: float = 0.05,
        infonce_weight: float = 0.1,
        infonce_temperature: float = 0.01,
        mask_ratio: float = 0.6,
    ) -> None:
        """Takes the student and the numbers of the paper.

        Args:
            model: A ``SentenceTransformer``.
            teacher_temperature: Temperature of the teacher's scores.
            student_temperature: Temperature of the student's cosines in the divergence.
            infonce_weight: Weight of InfoNCE; 0 for none.
            infonce_temperature: Temperature of the student's cosines in InfoNCE.
            mask_ratio: Documents above this share of their list's best score are no negatives.

        Raises:
            ParameterError: A temperature is not positive, or another number is negative.
        """
        super().__init__()
        temperatures = (teacher_temperature, student_temperature, infonce_temperature)
        if not all(0 < value < math.inf for value in temperatures) or not all(
            0 <= v < math.inf for v in (infonce_weight, mask_ratio)
        ):
            raise ParameterError(
                f"temperatures are above 0, weight and ratio 0 or more, got {temperatures}, {infonce_weight}, {mask_ratio}"
            )
        self.model = model
        self.teacher_temperature = teacher_temperature
        self.student_temperature = student_temperature
        self.infonce_weight = infonce_weight
        self.infonce_temperature = infonce_temperature
        self.mask_ratio = mask_ratio

    def forward(self, sentence_features: Iterable[dict[str, Any]], labels: Tensor) -> dict[str, Tensor]:
        """Embeds the columns and returns both parts of the loss, which the trainer sums and logs.

        Raises:
            ParameterError: Columns and labels do not fit, or a score is NaN, infinite or negative.
        """
        query, *documents = sentence_features
        if len(documents) < 2:
            raise ParameterError(f"expected a query and 2 or more documents, got {len(documents)} columns of documents")
        queries = self.model(query)["sentence_embedding"]
        embeddings, texts = embed_documents(self.model, documents)
        return self.parts(queries, embeddings, labels, texts)

    def parts(self, queries: Tensor, documents: Tensor, labels: Tensor, texts: Tensor | None = None) -> dict[str, Tensor]:
        """Returns ``kl`` and the weighted ``infonce``.

        Args:
            queries: Embeddings, [batch, dimension].
            documents: Embeddings, [batch, N, dimension].
            labels: [batch, N] or [batch, 3, W].
            texts: Number of each document's text, [batch, N]; None where all texts differ.

        Raises:
            ParameterError: Labels do not fit, or a score is NaN, infinite or negative.
        """
        scores, ids, known = _read(labels.to(queries.device).float(), documents)
        # A temperature of 0.01 is too fine for half precision.
        with torch.autocast(queries.device.type, enabled=False):
            queries = functional.normalize(queries.float(), dim=-1)
            documents = functional.normalize(documents.float(), dim=-1)
            cosines = torch.einsum("qd,bnd->qbn", queries, documents)
            found = {"kl": self._divergence(torch.einsum("bbn->bn", cosines), scores)}
            if self.infonce_weight:
                hidden = self._hidden(scores, ids, known, texts)
                found["infonce"] = self.infonce_weight * self._contrast(cosines, hidden)
        return found

    def _divergence(self, cosines: Tensor, scores: Tensor) -> Tensor:
        teacher = torch.softmax(scores / self.teacher_temperature, dim=1)
        # Not -inf: nothing times infinity is no number.
        logits = (cosines / self.student_temperature).masked_fill(torch.isinf(scores), torch.finfo(cosines.dtype).min)
        return functional.kl_div(torch.log_softmax(logits, dim=1), teacher, reduction="batchmean")

    def _contrast(self, cosines: Tensor, hidden: Tensor) -> Tensor:
        logits = (cosines / self.infonce_temperature).masked_fill(hidden, -math.inf)
        rows = torch.arange(len(cosines), device=cosines.device)
        return (torch.logsumexp(logits.flatten(1), dim=1) - logits[rows, rows, 0]).mean()

    def _hidden(self, scores: Tensor, ids: Tensor | None, known: Tensor | None, texts: Tensor | None) -> Tensor:
        """Returns for each query which documents of the batch are left out, [batch, batch, N]."""
        padded = torch.isinf(scores)
        answers = (scores > self.mask_ratio * scores.amax(dim=1, keepdim=True)) & ~padded
        answers[:, 0] = True
        if ids is not None and known is not None:
            answers |= (ids[:, :, None] == known[:, None, :]).any(dim=2) & ~padded
        rows = torch.arange(len(scores), device=scores.device)
        hidden = torch.zeros((len(rows), *scores.shape), dtype=torch.bool, device=scores.device)
        hidden[rows, rows] = answers
        for numbers in (ids, texts):
            if numbers is not None:
                # No document has this number, so that what is no answer hides nothing.
                wanted = torch.where(answers, numbers, -2)
                hidden |= _in_rows(numbers, wanted)
        if ids is not None and known is not None:
            hidden |= _in_rows(ids, known)
        hidden |= padded[None]
        hidden[rows, rows, 0] = False
        return hidden

    def get_config_dict(self) -> dict[str, Any]:
        """Returns the numbers, for model cards."""
        names = ("teacher_temperature", "student_temperature", "infonce_weight", "infonce_temperature", "mask_ratio")
        return {name: getattr(self, name) for name in names}

    @property
    def citation(self) -> str:
        """BibTeX entry of the paper, for model cards."""
        return """
@misc{tamber2025teaching,
    title={Teaching Dense Retrieval Models to Specialize with Listwise Distillation and LLM Data Augmentation},
    author={Manveer Singh Tamber and Suleman Kazi and Vivek Sourabh and Jimmy Lin},
    year={2025},
    eprint={2502.19712},
    archivePrefix={arXiv},
    primaryClass={cs.IR},
}
"""


def _in_rows(numbers: Tensor, wanted: Tensor) -> Tensor:
    """Returns for each row of ``wanted`` [batch, W] which ``numbers`` [batch, N] stand in it, [batch, batch, N]."""
    # One row after another: all at once would take batch * batch * N * W bytes.
    return torch.stack([torch.isin(numbers, row) for row in wanted])


def _read(labels: Tensor, documents: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Returns scores [batch, N], and numbers of documents [batch, N] and of known answers [batch, W] where there are some."""
    batch, count = documents.shape[:2]
    plain = labels.shape == (batch, count)
    if not plain and (labels.ndim != 3 or labels.shape[:2] != (batch, 3) or labels.shape[2] < count):
        shapes = f"({batch}, {count}), or ({batch}, 3, {count} or more)"
        raise ParameterError(f"expected labels in the shape {shapes}, got {tuple(labels.shape)}")
    scores = labels if plain else labels[:, 0, :count]
    real = scores[~torch.isneginf(scores)]
    if not bool(torch.isfinite(real).all()) or bool((real < 0).any()) or bool(torch.isneginf(scores[:, 0]).any()):
        raise ParameterError("teacher scores are finite and 0 or more: normalise them first; -inf is padding, never the positive")
    if plain:
        return scores, None, None
    # Different fillings, so that padding is nobody's answer.
    return scores, labels[:, 1, :count].long(), labels[:, 2].long().masked_fill(labels[:, 2] < 0, -2)
