import math

import numpy as np
import pytest
import torch

from multiretriever.training.tuning.loss import Bank, CachedRankingLoss, RankingLoss
from multiretriever.training.tuning.rows import Answers, Group

# Cosines of unit vectors in the plane are those of the angles between them.
T = 0.5


def at(*degrees):
    angles = torch.tensor([math.radians(angle) for angle in degrees])
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def cosine(a, b):
    return math.cos(math.radians(a - b))


class Plane(torch.nn.Module):
    """An encoder whose features are the angles themselves, with one weight that turns all of them."""

    def __init__(self):
        super().__init__()
        self.turn = torch.nn.Parameter(torch.zeros(()))

    def forward(self, features):
        angles = features["input_ids"].squeeze(1) * (1 + self.turn)
        return {"sentence_embedding": torch.stack([angles.cos(), angles.sin()], dim=1)}

    def encode(self, texts, **options):
        return at(*map(float, texts))


def answers(*rows, texts=("0", "30", "90", "180")):
    """Rows of places: own documents, known answers."""
    group = Group("d/step")
    for text in texts:
        group.add(text, text)
    made = Answers([group])
    for own, known in rows:
        made.group.append(0)
        made.documents.append(np.array(own))
        made.known.append(np.array(known))
    return made


def share(query, right, wrong):
    scores = [math.exp(cosine(query, angle) / T) for angle in (right, *wrong)]
    return -math.log(scores[0] / sum(scores))


def features(*degrees):
    return {
        "input_ids": torch.tensor([[math.radians(angle)] for angle in degrees]),
        "attention_mask": torch.ones(len(degrees), 1),
    }


def test_in_batch_is_the_softmax_over_the_texts_of_the_batch():
    loss = RankingLoss(Plane(), answers(([0], [0]), ([2], [2])), temperature=T)
    expected = (share(10, 0, [90]) + share(70, 90, [0])) / 2
    assert loss([features(10, 70), features(0, 90)], torch.tensor([0, 1])).item() == pytest.approx(expected, abs=1e-5)


def test_explicit_negatives_of_all_rows_compete():
    loss = RankingLoss(Plane(), answers(([0, 1], [0]), ([2, 3], [2])), temperature=T)
    expected = (share(10, 0, [90, 30, 180]) + share(70, 90, [0, 30, 180])) / 2
    given = [features(10, 70), features(0, 90), features(30, 180)]
    assert loss(given, torch.tensor([0, 1])).item() == pytest.approx(expected, abs=1e-5)


def test_a_known_answer_among_the_other_rows_is_no_negative():
    loss = RankingLoss(Plane(), answers(([0], [0, 2]), ([2], [2])), temperature=T)
    # The first query has no wrong candidate left; the second has one.
    expected = (0 + share(70, 90, [0])) / 2
    assert loss([features(10, 70), features(0, 90)], torch.tensor([0, 1])).item() == pytest.approx(expected, abs=1e-4)


def test_a_text_that_answers_two_rows_counts_once():
    loss = RankingLoss(Plane(), answers(([0], [0]), ([0], [0]), ([2], [2])), temperature=T)
    expected = (share(10, 0, [90]) + share(20, 0, [90]) + share(70, 90, [0])) / 3
    given = [features(10, 20, 70), features(0, 0, 90)]
    assert loss(given, torch.tensor([0, 1, 2])).item() == pytest.approx(expected, abs=1e-5)


def test_with_a_bank_the_whole_catalog_competes():
    known = answers(([0], [0]), ([2], [2]))
    loss = RankingLoss(Plane(), known, temperature=T, bank=Bank(Plane(), known))
    expected = (share(10, 0, [30, 90, 180]) + share(70, 90, [0, 30, 180])) / 2
    assert loss([features(10, 70), features(0, 90)], torch.tensor([0, 1])).item() == pytest.approx(expected, abs=1e-5)


def test_with_a_bank_each_known_answer_competes_with_the_wrong_ones_alone():
    known = answers(([0], [0, 1]))
    loss = RankingLoss(Plane(), known, temperature=T, bank=Bank(Plane(), known))
    expected = (share(10, 0, [90, 180]) + share(10, 30, [90, 180])) / 2
    assert loss([features(10), features(0)], torch.tensor([0])).item() == pytest.approx(expected, abs=1e-5)


def test_a_query_that_everything_answers_costs_nothing_and_has_a_gradient():
    model = Plane()
    loss = RankingLoss(model, answers(([0], [0, 1, 2, 3])), temperature=T)
    value = loss([features(10), features(0)], torch.tensor([0]))
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-4)
    assert torch.isfinite(model.turn.grad)


def test_texts_of_the_batch_are_taken_fresh_and_not_from_the_bank():
    model, known = Plane(), answers(([0], [0]))
    bank = Bank(model, known)
    bank.refresh()
    # The bank knows the answer at 0 degrees; the batch brings it at 20.
    loss = RankingLoss(model, known, temperature=T, bank=bank)
    assert loss([features(10), features(20)], torch.tensor([0])).item() == pytest.approx(share(10, 20, [30, 90, 180]), abs=1e-5)


def test_the_first_dimensions_of_a_bank_are_scaled_to_length_one():
    known = answers(([0], [0]), texts=("0", "30", "100", "180"))
    loss = RankingLoss(Plane(), known, temperature=T, bank=Bank(Plane(), known))
    # Of one dimension only the sign is left: 1 at 0 and 30 degrees, -1 at 100 and 180.
    value = loss.loss_of([torch.tensor([[1.0]]), torch.tensor([[1.0]])], torch.tensor([0])).item()
    assert value == pytest.approx(share(0, 0, [0, 180, 180]), abs=1e-5)


@pytest.mark.parametrize("with_bank", [False, True])
def test_cached_gradients_are_those_of_the_whole_batch(with_bank):
    known = answers(([0], [0]), ([2], [2]), ([3], [3]))
    given = [features(10, 70, 150), features(0, 90, 180)]
    found = []
    for cached in (False, True):
        model = Plane()
        bank = Bank(model, known) if with_bank else None
        kind = CachedRankingLoss if cached else RankingLoss
        options = {"mini_batch_size": 2} if cached else {}
        loss = kind(model, known, temperature=T, bank=bank, **options)
        value = loss([dict(part) for part in given], torch.tensor([0, 1, 2]))
        value.backward()
        found.append((value.item(), model.turn.grad.item()))
    assert found[0] == pytest.approx(found[1], abs=1e-5)


def test_an_anchor_adds_how_far_the_texts_have_moved_from_the_base():
    model = Plane()
    known = answers(([0], [0]), ([2], [2]))
    loss = RankingLoss(model, known, temperature=T, anchor=0.5)
    given = [features(10, 70), features(0, 90)]
    before = RankingLoss(model, known, temperature=T)(given, torch.tensor([0, 1])).item()
    assert loss(given, torch.tensor([0, 1])).item() == pytest.approx(before, abs=1e-5)
    with torch.no_grad():
        model.turn.fill_(0.1)
    moved = RankingLoss(model, known, temperature=T)(given, torch.tensor([0, 1])).item()
    # Texts at 0 and 90 degrees are now at 0 and 99.
    drift = (0 + 1 - cosine(99, 90)) / 2
    assert loss(given, torch.tensor([0, 1])).item() == pytest.approx(moved + 0.5 * drift, abs=1e-5)
    assert [name for name, _ in loss.named_parameters()] == ["model.turn"]


def test_rows_of_a_held_group_ask_for_the_bases_vector_of_the_bare_text():
    model = Plane()
    known = answers(([0], [0]), ([2], [2]))
    known.held.add(0)
    loss = RankingLoss(model, known, temperature=T, anchor=0.5, rehearsal=2.0)
    # Queries below an instruction stand at 10 and 70 degrees, the bare texts at 0 and 90.
    given = [features(10, 70), features(0, 90)]
    drift = (1 - cosine(10, 0) + 1 - cosine(70, 90) + 0 + 0) / 4
    assert loss(given, torch.tensor([0, 1])).item() == pytest.approx(2 * drift / T, abs=1e-5)
    with torch.no_grad():
        model.turn.fill_(0.1)
    drift = (1 - cosine(11, 0) + 1 - cosine(77, 90) + 0 + 1 - cosine(99, 90)) / 4
    value = loss(given, torch.tensor([0, 1]))
    value.backward()
    assert value.item() == pytest.approx(2 * drift / T, abs=1e-5)
    assert model.turn.grad.item() != 0
