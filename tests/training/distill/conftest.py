"""Lists and pairs of the small dataset, and a teacher that was trained for a moment."""

import pytest

from multiretriever.core import InstructionSet
from multiretriever.datasets import Dataset
from multiretriever.training.distill import CandidateList, train_teacher
from multiretriever.training.pairs import PairBuilder
from multiretriever.training.recipe import PairSettings, TeacherSettings
from small_dataset import write_dataset


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    return Dataset.from_path(write_dataset(tmp_path_factory.mktemp("data") / "small"))


@pytest.fixture(scope="session")
def pairs(small):
    return list(PairBuilder(small, PairSettings(), instructions=InstructionSet.default()).build())


@pytest.fixture(scope="session")
def teacher_folder(pairs, base, tmp_path_factory):
    settings = TeacherSettings(base=str(base), steps=2, batch_size=4, max_tokens=32)
    return train_teacher(pairs, tmp_path_factory.mktemp("teachers") / "quick", settings)


def make_list(scores=(), *, ids="abc", positive=0, known=(), rank=1, kind="given", query="ask", query_id="q", dataset="d"):
    """A list of steps whose texts are ``text of`` their ids."""
    return CandidateList(
        query=query,
        instruction="",
        query_id=query_id,
        element_type="step",
        kind=kind,
        template="",
        language="en",
        dataset=dataset,
        candidate_ids=tuple(ids),
        candidates=tuple(f"text of {item}" for item in ids),
        positive=positive,
        known_ids=tuple(sorted({ids[positive], *known})),
        retrieved_rank=rank,
        scores=tuple(scores),
    )


@pytest.fixture(name="make_list")
def make_list_fixture():
    return make_list
