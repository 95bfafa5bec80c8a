"""Losses that rank a query's answer above all other elements, without taking known answers for wrong ones.

With a bank, all elements of the type compete: the softmax is over the whole catalog, as retrieval is. In-batch negatives alone
come as often as they are answers, so that their softmax learns to hold back what is often right (sampling bias; Yi et al., RecSys
2019, section 3); over a catalog, each element once, it learns how probable an answer is.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from sentence_transformers.base.losses.gradcache import CachedLossMixin
from torch import Tensor, nn
from torch.nn import functional
from transformers import TrainerCallback

from multiretriever.training.tuning.rows import Answers, Places


class Bank:
    """Keeps vectors of texts that compete for a query's answer beside those of its batch.

    They carry no gradient, and stay as they were at the last refresh. Of a large group a sample is kept, drawn anew at each
    refresh, each text as likely as any other.
    """

    def __init__(self, model: Any, answers: Answers, *, size: int = 512, seed: int = 0, batch_size: int = 64) -> None:
        """Makes an empty bank; ``refresh`` fills it.

        Args:
            model: A SentenceTransformer.
            answers: Holds the groups of texts.
            size: Texts of each group at most.
            seed: Decides which.
            batch_size: Texts encoded at once.
        """
        self._model = model
        self._answers = answers
        self._size = size
        self._seed = seed
        self._batch_size = batch_size
        self._places: list[Places] = []
        self._vectors: list[Tensor] = []

    def refresh(self, step: int = 0) -> None:
        """Draws the texts and encodes them by the model as it is now.

        Args:
            step: Step of the training; decides with the seed what is drawn, so that a run that goes on draws the same.
        """
        rng = np.random.default_rng((self._seed, step))
        sizes = [len(group.texts) for group in self._answers.groups]
        self._places = [np.sort(rng.permutation(size)[: self._size]) for size in sizes]
        chosen = zip(self._answers.groups, self._places, strict=True)
        texts = [group.texts[place] for group, places in chosen for place in places]
        training = self._model.training
        vectors = self._model.encode(texts, batch_size=self._batch_size, convert_to_tensor=True, show_progress_bar=False)
        self._model.train(training)
        # encode works in inference mode; what is made there may not take part in what has gradients.
        parts = torch.split(vectors.clone().float(), [len(places) for places in self._places])
        self._vectors = [functional.normalize(part, dim=-1) for part in parts]

    def texts(self, group: int, device: torch.device) -> tuple[Places, Tensor]:
        """Returns the places of a group's texts, ascending, and their vectors, float32 [texts, dimension]."""
        if not self._vectors:
            self.refresh()
        if self._vectors[group].device != device:
            self._vectors[group] = self._vectors[group].to(device)
        return self._places[group], self._vectors[group]


class RefreshBank(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """Refreshes a bank every so many steps, and when training begins or goes on."""

    def __init__(self, bank: Bank, every: int) -> None:
        """Makes the callback; ``every`` counts optimizer steps."""
        self._bank = bank
        self._every = every

    def on_train_begin(self, args: Any, state: Any, control: Any, **known: Any) -> None:
        """Fills the bank."""
        self._bank.refresh(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **known: Any) -> None:
        """Refreshes where it is time."""
        if state.global_step % self._every == 0:
            self._bank.refresh(state.global_step)


_MASKED = -1e4


class RankingLoss(nn.Module):
    """Softmax over candidates with known answers masked; several answers of a query each compete with the wrong ones alone.

    For a query ``q`` with answers ``P`` and wrong candidates ``N`` the loss is the mean over ``p`` in ``P`` of
    ``-log(exp(s(q,p)/t) / (exp(s(q,p)/t) + sum over n in N of exp(s(q,n)/t)))``. Without a bank, the candidates are the texts of
    the batch and ``P`` is the row's own positive (multiple negatives ranking; Henderson et al., arXiv 1705.00652, section 4.4).
    With a bank, the texts that it keeps of the row's group are candidates as well, as they were at its last refresh, and ``P`` is
    all that answers the query.

    Rows of a held group are not ranked: 1 less the cosine of their vectors with those that the base has of their texts, over the
    temperature and times the weight of rehearsal, is what is minimised.
    """

    def __init__(
        self,
        model: Any,
        answers: Answers,
        *,
        temperature: float = 0.05,
        bank: Bank | None = None,
        anchor: float = 0.0,
        rehearsal: float = 0.0,
    ) -> None:
        """Makes the loss. The model is to be the base still, where there is an anchor or rehearsal.

        Args:
            model: A SentenceTransformer.
            answers: What answers each row; labels are row numbers.
            temperature: What cosines are divided by.
            bank: Vectors of all texts; None for in-batch negatives.
            anchor: Weight of the mean of 1 less the cosine of a text of the batch with the base's vector of it.
            rehearsal: Weight of the rows that are held; above 0 where there are any.
        """
        super().__init__()
        self.model = model
        self.answers = answers
        self.temperature = temperature
        self.bank = bank
        self.anchor = anchor
        self.rehearsal = rehearsal
        # In a tuple, so that it is no part of this module: it is neither trained nor saved.
        self._base: tuple[Any, ...] = (deepcopy(model).requires_grad_(False).eval(),) if anchor or rehearsal else ()

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor) -> Tensor:
        """Returns the mean loss of a batch.

        Args:
            sentence_features: Features of the queries, the positives, and each column of negatives, [batch] each.
            labels: Row numbers, [batch]; all of one group.
        """
        features = list(sentence_features)
        vectors = [self.model(dict(part))["sentence_embedding"] for part in features]
        if self.answers.group[int(labels[0])] in self.answers.held:
            # Over the temperature, as the scores of other rows are: else their steps would leave nothing of these.
            return self.rehearsal * self._drift(vectors, [features[1]] * len(vectors)) / self.temperature
        loss = self.loss_of(vectors, labels)
        return loss + self.anchor * self._drift(vectors[1:], features[1:]) if self.anchor else loss

    def _drift(self, vectors: list[Tensor], features: list[dict[str, Tensor]]) -> Tensor:
        """Returns how far texts have moved from where the base has them: the mean of 1 less the cosine."""
        with torch.no_grad():
            anchors = torch.cat([self._base[0](dict(part))["sentence_embedding"] for part in features])
        texts = torch.cat(vectors)
        # Matryoshka losses ask for the first dimensions alone.
        return (1 - functional.cosine_similarity(texts, anchors[:, : texts.shape[1]], dim=-1)).mean()

    def loss_of(self, vectors: list[Tensor], labels: Tensor) -> Tensor:
        """Returns the mean loss for vectors [batch, dimension] of each column."""
        queries = functional.normalize(vectors[0], dim=-1)
        texts = functional.normalize(torch.cat(vectors[1:]), dim=-1)
        rows = [int(label) for label in labels]
        own = np.stack([self.answers.documents[row][: len(vectors) - 1] for row in rows])
        # Column after column, as the texts stand.
        places = np.ascontiguousarray(own.T).reshape(-1)
        candidates, numbers = self._candidates(texts, places, rows)
        scores = queries @ candidates.T / self.temperature
        known = np.stack([np.isin(numbers, self.answers.known[row]) for row in rows])
        right = known if self.bank is not None else numbers[None, :] == own[:, :1]
        return _mean_loss(scores, torch.from_numpy(known).to(scores.device), torch.from_numpy(right).to(scores.device))

    def _candidates(self, texts: Tensor, places: Places, rows: list[int]) -> tuple[Tensor, Places]:
        """Returns the candidates' vectors [candidates, dimension] and their places in the group, each text once."""
        numbers, first = np.unique(places, return_index=True)
        fresh = texts[torch.from_numpy(first).to(texts.device)]
        if self.bank is None:
            return fresh, numbers
        kept, vectors = self.bank.texts(self.answers.group[rows[0]], texts.device)
        others = ~np.isin(kept, numbers)
        # Matryoshka losses ask for the first dimensions alone.
        stale = functional.normalize(vectors[torch.from_numpy(others).to(texts.device), : texts.shape[1]], dim=-1)
        return torch.cat([fresh, stale]), np.concatenate([numbers, kept[others]])


def _mean_loss(scores: Tensor, known: Tensor, right: Tensor) -> Tensor:
    """Returns the loss of ``scores`` [batch, candidates]; ``known`` and ``right`` are bool of the same shape."""
    # Not minus infinity: where every candidate is an answer, its gradient would be no number.
    wrong = torch.logsumexp(scores.masked_fill(known, _MASKED), dim=1, keepdim=True)
    # softplus(wrong - score) is -log of the answer's share beside the wrong ones.
    losses = functional.softplus(wrong - scores) * right
    per_query = losses.sum(dim=1) / right.sum(dim=1).clamp(min=1)
    return per_query.mean()


class CachedRankingLoss(CachedLossMixin, RankingLoss):  # type: ignore[misc]  # sentence-transformers is untyped
    """The same for batches that do not fit into memory: gradients are cached (GradCache; Gao et al., arXiv 2101.06983)."""

    def __init__(
        self, model: Any, answers: Answers, *, temperature: float = 0.05, bank: Bank | None = None, mini_batch_size: int = 32
    ) -> None:
        """Makes the loss; ``mini_batch_size`` texts are encoded at once."""
        super().__init__(model, answers, temperature=temperature, bank=bank)
        self.mini_batch_size = mini_batch_size

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor) -> Tensor:
        """Returns the mean loss of a batch, see ``RankingLoss``."""
        forward: Any = self.forward_cached
        loss: Tensor = forward(sentence_features, labels)
        return loss

    def calculate_loss(self, reps: list[list[Tensor]], labels: Tensor | None = None, *, with_backward: bool = False) -> Tensor:
        """Returns the loss of encoded mini-batches, and propagates it back to them if that is asked for."""
        assert labels is not None
        loss = self.loss_of([torch.cat(parts) for parts in reps], labels)
        if with_backward:
            torch.autograd.backward(loss)
            loss = loss.detach()
        return loss
