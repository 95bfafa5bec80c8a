"""Every flow is right by its catalog, and none is nearly another."""

import re

import pytest
from datasketch import MinHash, MinHashLSH

from multiretriever.datasets import check_dataset

PERMUTATIONS = 128
JACCARD = 0.5
MOST = 0.02


def test_it_domain_is_sound(it_service):
    assert list(check_dataset(it_service)) == []


def test_domains_are_sound(domains):
    assert [problem for dataset in domains.values() for problem in check_dataset(dataset)] == []


def minhash(flow):
    words = re.findall(r"\w+", " ".join([flow.requirement, *(step.annotation for step in flow.steps)]).casefold())
    made = MinHash(num_perm=PERMUTATIONS, seed=1)
    made.update_batch([" ".join(words[start : start + 3]).encode() for start in range(max(1, len(words) - 2))])
    return made


@pytest.fixture(scope="module")
def hashes(it_service, domains):
    sources = {"train": it_service.flows("train"), "dev": it_service.flows("dev")}
    sources |= {name: dataset.flows() for name, dataset in domains.items()}
    return {name: [minhash(flow) for flow in flows] for name, flows in sources.items()}


def rate(these, those):
    """Returns the share of flows that have a near-duplicate among the others."""
    index = MinHashLSH(threshold=JACCARD, num_perm=PERMUTATIONS)
    for number, hashed in enumerate(those):
        index.insert(number, hashed)
    same = these is those

    def is_double(number, hashed):
        return any(hashed.jaccard(those[other]) >= JACCARD for other in index.query(hashed) if not (same and other == number))

    return sum(is_double(number, hashed) for number, hashed in enumerate(these)) / len(these)


def test_hardly_any_near_duplicates_within_a_dataset(hashes):
    assert {name: found for name, items in hashes.items() if (found := rate(items, items)) > MOST} == {}


def test_hardly_any_near_duplicates_of_training_flows_in_evaluation(hashes):
    others = {name: items for name, items in hashes.items() if name != "train"}
    assert {name: found for name, items in others.items() if (found := rate(items, hashes["train"])) > MOST} == {}


def test_the_measure_finds_what_it_is_for(hashes, it_service):
    flow = next(iter(it_service.flows("dev")))
    again = flow.model_copy(update={"requirement": flow.requirement + " please"})
    assert rate([minhash(again)], hashes["dev"]) == 1.0


def test_requirements_of_evaluation_are_not_training_text(it_service, domains):
    def texts(flow):
        parts = [
            flow.requirement,
            *flow.paraphrases,
            *(text for step in flow.steps for text in (step.annotation, *step.paraphrases)),
        ]
        return {" ".join(text.casefold().split()) for text in parts if len(text.split()) >= 5}

    trained = set().union(*(texts(flow) for flow in it_service.flows("train")))
    for name, flows in {"dev": it_service.flows("dev"), **{name: dataset.flows() for name, dataset in domains.items()}}.items():
        shared = trained & set().union(*(texts(flow) for flow in flows))
        assert len(shared) <= 2, (name, shared)
