import json
import random
from dataclasses import replace

import pytest
from safetensors.numpy import load_file

from multiretriever.core import ParameterError
from multiretriever.core.encoders.loading import DEFAULT_MODEL
from multiretriever.core.errors import DatasetError, EncoderNotFoundError
from multiretriever.training.distill import train_teacher
from multiretriever.training.distill import train_teacher as package_function
from multiretriever.training.distill.cross_encoder import CrossEncoderTeacher
from multiretriever.training.pairs import Pair
from multiretriever.training.recipe import TeacherSettings

QUICK = {"steps": 4, "batch_size": 4, "max_tokens": 24, "save_every": 2}


def pair(query, positive, negatives):
    ids = tuple(f"n{place}" for place in range(len(negatives)))
    kinds = ("random",) * len(ids)
    return Pair(query, "", query, (), positive, tuple(negatives), "step", "given", "", "en", "d", query, "p", ids, kinds, ("p",))


ACTIONS = ["post a message", "open a ticket", "close the door", "print a label", "order a lamp", "call a taxi"]
PAIRS = [pair(f"please {text}", text, [other for other in ACTIONS if other != text][:3]) for text in ACTIONS]


@pytest.fixture(scope="module")
def quick(base):
    return TeacherSettings(base=str(base), **QUICK)


def weights(folder):
    return load_file(folder / "model.safetensors")


def test_it_tells_positives_from_negatives_that_it_never_saw(tmp_path, make_list):
    verbs, things = ("post", "open", "close", "print", "order", "paint"), ("message", "door", "label", "lamp", "taxi", "chair")
    texts = [f"{verb} a {thing}" for verb in verbs for thing in things]
    chance = random.Random(0)
    chance.shuffle(texts)
    pairs = [pair(f"please {text}", text, chance.sample([other for other in texts if other != text], 3)) for text in texts]
    settings = TeacherSettings(steps=30, batch_size=32, max_tokens=16, learning_rate=3e-4)
    folder = train_teacher(pairs[:26], tmp_path / "teacher", settings)
    lists = [replace(make_list(query=item.query, ids="abcd"), candidates=(item.positive, *item.negatives)) for item in pairs[26:]]
    scores = CrossEncoderTeacher(folder, max_tokens=16).score(lists)
    assert sum(row[0] == max(row) for row in scores) >= 8
    facts = json.loads((folder / "teacher.json").read_text())
    assert (facts["steps"], facts["base"]) == (30, "sentence-transformers/all-MiniLM-L6-v2")
    assert [path.name for path in tmp_path.iterdir()] == ["teacher"]


def test_an_interrupted_training_comes_to_the_same_end(quick, tmp_path, monkeypatch):
    import transformers

    whole = train_teacher(PAIRS, tmp_path / "whole", quick)
    real = transformers.Trainer.training_step
    steps = []

    def step(self, *arguments, **options):
        if len(steps) == 3:
            raise KeyboardInterrupt
        steps.append(1)
        return real(self, *arguments, **options)

    monkeypatch.setattr(transformers.Trainer, "training_step", step)
    with pytest.raises(KeyboardInterrupt):
        train_teacher(PAIRS, tmp_path / "broken", quick)
    work = tmp_path / ".broken.training"
    assert (work / "checkpoint-2").is_dir()
    # What a process leaves that is killed while it writes a checkpoint.
    (work / "checkpoint-4").mkdir()
    (work / "checkpoint-4" / "model.safetensors").write_bytes(b"half")
    steps.clear()
    monkeypatch.setattr(transformers.Trainer, "training_step", lambda *a, **k: steps.append(1) or real(*a, **k))
    broken = train_teacher(PAIRS, tmp_path / "broken", quick)
    assert len(steps) == 2
    expected, found = weights(whole), weights(broken)
    assert all((found[name] == expected[name]).all() for name in expected)
    assert not work.exists()


def test_killed_between_the_last_step_and_the_end(quick, tmp_path, monkeypatch):
    from sentence_transformers import CrossEncoder

    module = __import__("sys").modules[package_function.__module__]
    replace_folder = module.replace_folder
    monkeypatch.setattr(module, "replace_folder", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        train_teacher(PAIRS, tmp_path / "late", quick)
    first = weights(tmp_path / ".late.training" / "finished")
    monkeypatch.setattr(module, "replace_folder", replace_folder)
    late = train_teacher(PAIRS, tmp_path / "late", quick)
    assert all((first[name] == value).all() for name, value in weights(late).items())
    assert CrossEncoder(str(late), local_files_only=True).num_labels == 1


def test_the_shipped_encoder_is_restored_and_learned_from(tmp_path):
    quick = TeacherSettings(base="shipped", **QUICK)
    folder = train_teacher(PAIRS, tmp_path / "teacher", quick)
    assert json.loads((folder / "teacher.json").read_text())["base"] == DEFAULT_MODEL.name
    assert [path.name for path in tmp_path.iterdir()] == ["teacher"]


def test_what_cannot_be_learned(tmp_path):
    with pytest.raises(DatasetError, match="there are no pairs"):
        train_teacher([], tmp_path / "t")
    with pytest.raises(DatasetError, match="make pairs with negatives"):
        train_teacher([pair("a", "b", [])], tmp_path / "t")
    with pytest.raises(EncoderNotFoundError):
        train_teacher(PAIRS, tmp_path / "t", TeacherSettings(base=str(tmp_path / "gone")))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(ParameterError, match="something else than a teacher"):
        train_teacher(PAIRS, tmp_path / "full")
    assert (tmp_path / "full" / "thesis.txt").read_text() == "mine"
