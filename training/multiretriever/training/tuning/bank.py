"""Vectors of elements that are not in a batch, as they were at the last refresh."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
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
