import numpy as np
import torch

from multiretriever.training.tuning.loss import Bank, RefreshBank
from multiretriever.training.tuning.rows import Answers, Group


class Lengths:
    """Encodes a text as its length; tells how often it was asked."""

    training = True

    def __init__(self):
        self.calls = []

    def encode(self, texts, **options):
        self.calls.append(list(texts))
        return torch.tensor([[float(len(text)), 1.0] for text in texts])

    def train(self, mode):
        self.training = mode


def answers(*sizes):
    groups = []
    for size in sizes:
        group = Group(f"d/{size}")
        for number in range(size):
            group.add(str(number), "x" * (number + 1))
        groups.append(group)
    return Answers(groups)


def test_small_groups_are_kept_whole_and_of_large_ones_a_sample():
    bank = Bank(Lengths(), answers(3, 50), size=10)
    places, vectors = bank.texts(0, torch.device("cpu"))
    assert places.tolist() == [0, 1, 2]
    assert vectors.shape == (3, 2)
    places, vectors = bank.texts(1, torch.device("cpu"))
    assert len(places) == len(set(places.tolist())) == len(vectors) == 10


def test_vectors_have_length_one_and_belong_to_their_places():
    places, vectors = Bank(Lengths(), answers(4)).texts(0, torch.device("cpu"))
    assert torch.allclose(vectors.norm(dim=1), torch.ones(4))
    assert np.allclose((vectors[:, 0] / vectors[:, 1]).numpy(), places + 1)


def test_a_sample_is_decided_by_seed_and_step():
    def drawn(seed, step):
        bank = Bank(Lengths(), answers(100), size=10, seed=seed)
        bank.refresh(step)
        return bank.texts(0, torch.device("cpu"))[0].tolist()

    assert drawn(1, 5) == drawn(1, 5)
    assert drawn(1, 5) != drawn(1, 6)
    assert drawn(1, 5) != drawn(2, 5)


def test_the_callback_refreshes_at_the_beginning_and_every_so_many_steps():
    model = Lengths()
    callback = RefreshBank(Bank(model, answers(2)), every=3)
    state = type("State", (), {"global_step": 0})()
    callback.on_train_begin(None, state, None)
    for step in range(1, 7):
        state.global_step = step
        callback.on_step_end(None, state, None)
    assert len(model.calls) == 3
