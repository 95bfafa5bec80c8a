"""The loss against numbers that plain Python computes from the formulas of the docstring."""

import math

import pytest
import torch

from multiretriever.core import ParameterError
from multiretriever.training.distill.listwise_loss import DistillationLoss, embed_documents

INF = math.inf
# Two queries at right angles; documents by their angle to the first, in degrees: its cosine to the second is the sine.
QUERIES = [0.0, 90.0]
DOCUMENTS = [[10.0, 20.0, 60.0], [85.0, 80.0, 30.0]]
SCORES = [[1.0, 0.7, 0.2], [0.9, 0.1, 0.5]]


def at(angles):
    return torch.tensor([[math.cos(math.radians(angle)), math.sin(math.radians(angle))] for angle in angles])


def parts(labels, *, queries=QUERIES, documents=DOCUMENTS, texts=None, **numbers):
    loss = DistillationLoss(None, **numbers)
    vectors = torch.stack([at(row) for row in documents])
    # Lengths mean nothing: cosines are what counts.
    found = loss.parts(3 * at(queries), 0.5 * vectors, torch.tensor(labels), None if texts is None else torch.tensor(texts))
    return {name: float(value) for name, value in found.items()}


def cosine(query, document):
    return math.cos(math.radians(query - document))


def softmax(values):
    total = sum(math.exp(value) for value in values)
    return [math.exp(value) / total for value in values]


def kl_by_hand(query, documents, scores, teacher_temperature=0.3, student_temperature=0.05):
    teacher = softmax([score / teacher_temperature for score in scores])
    student = softmax([cosine(query, document) / student_temperature for document in documents])
    return sum(p * math.log(p / q) for p, q in zip(teacher, student, strict=True))


def infonce_by_hand(query, positive, negatives, temperature=0.01):
    total = sum(math.exp(cosine(query, document) / temperature) for document in (positive, *negatives))
    return -math.log(math.exp(cosine(query, positive) / temperature) / total)


def test_divergence_by_hand():
    expected = sum(kl_by_hand(*row) for row in zip(QUERIES, DOCUMENTS, SCORES, strict=True)) / 2
    assert parts(SCORES)["kl"] == pytest.approx(expected, rel=1e-5)
    other = {"teacher_temperature": 1.0, "student_temperature": 0.5}
    expected = sum(kl_by_hand(*row, *other.values()) for row in zip(QUERIES, DOCUMENTS, SCORES, strict=True)) / 2
    assert parts(SCORES, **other)["kl"] == pytest.approx(expected, rel=1e-5)
    # Not scaled by the student's temperature squared, as DistillKLDivLoss would.
    assert expected > 0.01


def test_contrast_by_hand():
    # First list: best 1.0, so 0.7 is above 0.6 and no negative. Second: best 0.9, bound 0.54, nothing is above it.
    first = infonce_by_hand(0.0, 10.0, [60.0, 85.0, 80.0, 30.0])
    second = infonce_by_hand(90.0, 85.0, [80.0, 30.0, 10.0, 20.0, 60.0])
    found = parts(SCORES)["infonce"]
    assert found == pytest.approx(0.1 * (first + second) / 2, rel=1e-4)
    assert parts(SCORES, infonce_weight=0.5)["infonce"] == pytest.approx(5 * found, rel=1e-6)
    assert "infonce" not in parts(SCORES, infonce_weight=0)


@pytest.mark.parametrize(("score", "negatives"), [(0.5, [20.0, 60.0]), (0.5001, [60.0])])
def test_masked_is_what_is_above_the_share_and_not_what_is_at_it(score, negatives):
    # 0.5 and 1.0 are exact in binary: 0.5 of the best score is the bound itself.
    found = parts([[1.0, score, 0.1]], queries=[0.0], documents=[DOCUMENTS[0]], mask_ratio=0.5, infonce_temperature=0.5)
    assert found["infonce"] == pytest.approx(0.1 * infonce_by_hand(0.0, 10.0, negatives, 0.5), rel=1e-5)


def test_the_bound_is_of_the_best_score_of_the_list_and_not_of_the_positive():
    # The positive scores 0.4 and the best 1.0: 0.5 is below 0.6.
    found = parts([[0.4, 1.0, 0.5]], queries=[0.0], documents=[DOCUMENTS[0]], infonce_temperature=0.5)
    assert found["infonce"] == pytest.approx(0.1 * infonce_by_hand(0.0, 10.0, [60.0], 0.5), rel=1e-5)


def labels(ids, known, scores=SCORES):
    return [[list(row), list(map(float, own)), list(map(float, answers))]
            for row, own, answers in zip(scores, ids, known, strict=True)]  # fmt: skip


def test_known_answers_are_no_negatives_wherever_they_stand():
    # The first query's answers are 1, and 4, which is the second query's positive, and 3 of its own list with a low score.
    found = parts(labels([[1, 2, 3], [4, 5, 6]], [[1, 4, 3], [4, -1, -1]]), infonce_temperature=0.5)
    first = infonce_by_hand(0.0, 10.0, [80.0, 30.0], 0.5)
    second = infonce_by_hand(90.0, 85.0, [80.0, 30.0, 10.0, 20.0, 60.0], 0.5)
    assert found["infonce"] == pytest.approx(0.1 * (first + second) / 2, rel=1e-5)


def test_what_is_masked_in_its_list_is_masked_in_others_too():
    # Element 2 scores 0.7 for the first query and stands in the second list as well.
    found = parts(labels([[1, 2, 3], [4, 2, 6]], [[1, -1, -1], [4, -1, -1]]), infonce_temperature=0.5)
    first = infonce_by_hand(0.0, 10.0, [60.0, 85.0, 30.0], 0.5)
    second = infonce_by_hand(90.0, 85.0, [80.0, 30.0, 10.0, 20.0, 60.0], 0.5)
    assert found["infonce"] == pytest.approx(0.1 * (first + second) / 2, rel=1e-5)
    # Without numbers the texts tell it.
    assert parts(SCORES, texts=[[1, 2, 3], [4, 2, 6]], infonce_temperature=0.5)["infonce"] == pytest.approx(found["infonce"])


def test_the_same_positive_in_two_lists_counts_once():
    found = parts(labels([[1, 2, 3], [1, 5, 6]], [[1, -1, -1], [1, -1, -1]]), infonce_temperature=0.5)
    first = infonce_by_hand(0.0, 10.0, [60.0, 80.0, 30.0], 0.5)
    second = infonce_by_hand(90.0, 85.0, [80.0, 30.0, 20.0, 60.0], 0.5)
    assert found["infonce"] == pytest.approx(0.1 * (first + second) / 2, rel=1e-5)


def test_padding_takes_no_part():
    padded = [[1.0, 0.2, -INF], [0.9, 0.1, 0.5]]
    found = parts(padded, infonce_temperature=0.5)
    kl = (kl_by_hand(0.0, [10.0, 20.0], [1.0, 0.2]) + kl_by_hand(90.0, DOCUMENTS[1], SCORES[1])) / 2
    first = infonce_by_hand(0.0, 10.0, [20.0, 85.0, 80.0, 30.0], 0.5)
    second = infonce_by_hand(90.0, 85.0, [80.0, 30.0, 10.0, 20.0], 0.5)
    assert found == {"kl": pytest.approx(kl, rel=1e-5), "infonce": pytest.approx(0.1 * (first + second) / 2, rel=1e-5)}
    # Labels wider than the lists, since a query has more answers than the list has documents.
    wide = [
        [[*row, -INF], [*own, -1.0], [*own[:1], 7.0, 8.0, 9.0]]
        for row, own in zip(padded, [[1.0, 2.0, -1.0], [4.0, 5.0, 6.0]], strict=True)
    ]
    assert parts(wide, infonce_temperature=0.5) == {name: pytest.approx(value) for name, value in found.items()}


def test_no_gradient_is_lost_and_none_reaches_padding():
    documents = torch.stack([at(row) for row in DOCUMENTS]).requires_grad_()
    queries = at(QUERIES).requires_grad_()
    found = DistillationLoss(None).parts(queries, documents, torch.tensor([[1.0, 0.2, -INF], [0.9, 0.1, 0.5]]))
    sum(found.values()).backward()
    assert torch.isfinite(documents.grad).all()
    assert torch.isfinite(queries.grad).all()
    assert documents.grad[0, 2].abs().max() == 0
    assert documents.grad.abs().sum(dim=-1)[[0, 0, 1, 1, 1], [0, 1, 0, 1, 2]].min() > 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([[1.0, 0.5]] * 2, r"in the shape \(2, 3\), or \(2, 3, 3 or more\), got \(2, 2\)"),
        ([[[1.0, 0.5]] * 3] * 2, "expected labels in the shape"),
        ([[1.0, math.nan, 0.1]] * 2, "finite"),
        ([[1.0, INF, 0.1]] * 2, "finite"),
        ([[1.0, -0.5, 0.1]] * 2, "normalise them first"),
        ([[-INF, 0.5, 0.1]] * 2, "never the positive"),
    ],
)
def test_labels_that_cannot_be_learned_from(given, message):
    with pytest.raises(ParameterError, match=message):
        parts(given)


@pytest.mark.parametrize("numbers", [{"teacher_temperature": 0}, {"infonce_temperature": -1}, {"infonce_weight": -1}])
def test_impossible_numbers(numbers):
    with pytest.raises(ParameterError, match="temperatures are above 0"):
        DistillationLoss(None, **numbers)


@pytest.fixture(scope="module")
def model(base):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(base), local_files_only=True, device="cpu").eval()


def test_each_text_is_embedded_once(model, monkeypatch):
    columns = [["a lamp", "post a message to a channel"], ["post a message to a channel", ""], ["", "a lamp"]]
    features = [model.preprocess(column) for column in columns]
    alone = torch.stack([model(dict(feature))["sentence_embedding"] for feature in features], dim=1)
    rows = []
    monkeypatch.setattr(model, "forward", lambda given, run=model.forward: rows.append(len(given["input_ids"])) or run(given))
    found, numbers = embed_documents(model, features)
    assert torch.allclose(found, alone, atol=1e-6)
    assert rows == [3]
    assert (numbers[0, 0], numbers[1, 0], numbers[0, 2]) == (numbers[1, 2], numbers[0, 1], numbers[1, 1])
    assert len(set(numbers.flatten().tolist())) == 3


def test_a_step_brings_the_student_nearer_to_the_teacher(model):
    query = model.preprocess(["tell the team", "find open tickets"])
    columns = [["Post a message", "Look up records"], ["Delete a record", "Send a letter"], ["Wait", ""]]
    given = torch.tensor([[0.1, 1.0, 0.2], [0.2, 0.9, -INF]])
    loss = DistillationLoss(model)

    def total():
        return sum(loss([dict(query), *(model.preprocess(column) for column in columns)], given).values())

    before = total()
    before.backward()
    gradients = [value.grad for value in model.parameters() if value.grad is not None]
    assert len(gradients) > 30
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    with torch.no_grad():
        norm = torch.sqrt(sum((gradient**2).sum() for gradient in gradients))
        for value in model.parameters():
            if value.grad is not None:
                value -= 0.02 * value.grad / norm
    assert total() < before


def test_columns_that_are_too_few(model):
    with pytest.raises(ParameterError, match="expected a query and 2 or more documents"):
        DistillationLoss(model)([model.preprocess(["a"]), model.preprocess(["b"])], torch.tensor([[1.0]]))


def test_numbers_for_the_model_card():
    loss = DistillationLoss(None, mask_ratio=0.7)
    assert loss.get_config_dict()["mask_ratio"] == 0.7
    assert "2502.19712" in loss.citation
