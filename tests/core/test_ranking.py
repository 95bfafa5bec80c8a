import math

import pytest

from catalogs import make_steps
from encoders import FixedEncoder, WordEncoder
from multiretriever.core import Catalog, Index, MultiRetriever, Step, element_type
from multiretriever.core.ranking import MIN_CANDIDATES

# Cosines with the query's (1, 0): 0.6, 0.8, 0.28.
VECTORS = {"red apple": (0.6, 0.8), "red stone": (0.8, 0.6), "blue stone": (0.28, 0.96), "apple red": (1, 0)}
STEPS = [Step(id=name[0] + name.split()[1][0], name=name) for name in ("red apple", "red stone", "blue stone")]
QUERY = "apple red"


@pytest.fixture(scope="module")
def index():
    with Index.from_catalog(Catalog(STEPS), encoder=FixedEncoder(VECTORS)) as opened:
        yield opened


def ranked(index, mode, weight=0.75, **options):
    hits = MultiRetriever(index, mode=mode, dense_weight=weight).retrieve(QUERY, "step", **options)
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    assert {hit.mode for hit in hits} <= {mode}
    return [(hit.id, hit.score) for hit in hits]


def check(found, expected):
    assert [name for name, _ in found] == [name for name, _ in expected]
    assert [score for _, score in found] == pytest.approx([score for _, score in expected], abs=1e-5)


RED = 0.4 * math.log(1.6)
APPLE = 0.4 * math.log(8 / 3)


def test_dense_is_the_cosine(index):
    check(ranked(index, "dense"), [("rs", 0.8), ("ra", 0.6), ("bs", 0.28)])


def test_lexical_is_bm25_and_leaves_out_what_shares_no_word(index):
    check(ranked(index, "lexical"), [("ra", RED + APPLE), ("rs", RED)])


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        # The highest BM25 is that of "red apple"; that of "red stone" is 0.3239 of it.
        (0.75, [("ra", 0.75 * 0.6 + 0.25), ("rs", 0.75 * 0.8 + 0.25 * 0.323954), ("bs", 0.75 * 0.28)]),
        (0.95, [("rs", 0.95 * 0.8 + 0.05 * 0.323954), ("ra", 0.95 * 0.6 + 0.05), ("bs", 0.95 * 0.28)]),
        (1, [("rs", 0.8), ("ra", 0.6), ("bs", 0.28)]),
        (0, [("ra", 1), ("rs", 0.323954), ("bs", 0)]),
    ],
)
def test_hybrid_is_the_weighted_sum(index, weight, expected):
    assert RED / (RED + APPLE) == pytest.approx(0.323954, abs=1e-6)
    check(ranked(index, "hybrid", weight), expected)


def test_hybrid_without_a_shared_word_is_the_weighted_cosine(index):
    hits = MultiRetriever(index, dense_weight=0.75).retrieve("green", "step")
    assert {hit.id: hit.score for hit in hits} == pytest.approx({"ra": 0.75 * 0.8, "rs": 0.75 * 0.6, "bs": 0.75 * 0.96}, abs=1e-5)


def test_k_cuts_the_fused_order(index):
    assert [name for name, _ in ranked(index, "hybrid", 0.95, k=1)] == ["rs"]
    assert [name for name, _ in ranked(index, "hybrid", 0.75, k=1)] == ["ra"]


def test_candidates_that_only_bm25_found_get_their_real_cosine():
    fillers = [Step(id=f"f{index:03}", name=f"filler{index}") for index in range(2 * MIN_CANDIDATES)]
    needle = Step(id="needle", name="needle", scope="far")
    vectors = {"find the needle": (1, 0), "needle\nfar": (0.28, 0.96)}
    with Index.from_catalog(Catalog([*fillers, needle]), encoder=FixedEncoder(vectors, other=(0.8, 0.6))) as index:
        retriever = MultiRetriever(index, dense_weight=0.5)
        hits = retriever.retrieve("find the needle", "step", k=3)
        assert (hits[0].id, hits[0].score) == ("needle", pytest.approx(0.5 * 0.28 + 0.5, abs=1e-5))
        assert [hit.score for hit in hits[1:]] == pytest.approx([0.5 * 0.8] * 2, abs=1e-5)
        assert "needle" not in [hit.id for hit in retriever.retrieve("find the needle", "step", k=3, where={"scope": ""})]
        assert [hit.id for hit in retriever.retrieve("find the needle", "step", k=3, where={"scope": "far"})] == ["needle"]
        assert "needle" not in [hit.id for hit in retriever.retrieve("find the needle", "step", k=3, mode="dense")]


@pytest.mark.parametrize("weight", [0.2, 0.5, 0.85])
def test_hybrid_is_what_scoring_every_candidate_gives(weight):
    steps = make_steps(400)
    encoder = WordEncoder(dimension=512)
    texts = {step.id: element_type("step").text(step) for step in steps}
    vectors = dict(zip(texts, encoder.encode_documents(list(texts.values())), strict=True))
    queries = [
        f"{verb} {noun} number{at}"
        for at, (verb, noun) in enumerate([("look", "change"), ("close it", "contract"), ("send", "x")])
    ]
    with Index.from_catalog(Catalog(steps), encoder=encoder) as index:
        retriever, lexical = MultiRetriever(index, dense_weight=weight), index.lexical("step")
        for query, vector in zip(queries, encoder.encode_queries(queries), strict=True):
            cosines = {name: float(vectors[name] @ vector) for name in texts}
            shares = lexical.scores(query, {})
            shares = dict(zip(lexical.ids, (shares / shares.max()).tolist(), strict=True))
            both = [sorted(part, key=lambda name: (-part[name], name))[:MIN_CANDIDATES] for part in (cosines, shares)]
            scores = sorted((weight * cosines[name] + (1 - weight) * shares[name] for name in {*both[0], *both[1]}), reverse=True)
            assert [hit.score for hit in retriever.retrieve(query, "step", k=5)] == pytest.approx(scores[:5], abs=1e-4)


def test_a_filter_does_not_cost_candidates():
    steps = [Step(id=f"{scope}{index:03}", name="same", scope=scope) for scope in "ab" for index in range(80)]
    with Index.from_catalog(Catalog(steps), encoder=WordEncoder()) as index:
        for mode in ("dense", "lexical", "hybrid"):
            hits = MultiRetriever(index, mode=mode).retrieve("same", "step", k=80, where={"scope": "b"})
            assert len(hits) == 80, mode
            assert {hit.element.scope for hit in hits} == {"b"}


@pytest.mark.parametrize("mode", ["dense", "lexical", "hybrid"])
@pytest.mark.parametrize("reverse", [False, True])
def test_ties_are_ordered_by_id(mode, reverse):
    steps = sorted((Step(id=f"s{index:02}", name="same text") for index in range(30)), key=lambda item: item.id, reverse=reverse)
    with Index.from_catalog(Catalog(steps), encoder=WordEncoder()) as index:
        retriever = MultiRetriever(index, mode=mode)
        found = [[hit.id for hit in retriever.retrieve("same text", "step", k=30)] for _ in range(3)]
        assert found == [sorted(step.id for step in steps)] * 3
        assert [hit.id for hit in retriever.retrieve("same text", "step", k=4)] == found[0][:4]


def test_large_k_returns_each_element_once():
    with Index.from_catalog(Catalog(make_steps(700)), encoder=WordEncoder()) as index:
        found = {
            mode: MultiRetriever(index, mode=mode).retrieve("look up", "step", k=10**12)
            for mode in ("dense", "lexical", "hybrid")
        }
    for mode, hits in found.items():
        assert len({hit.id for hit in hits}) == len(hits), mode
    assert len(found["lexical"]) == 100
    # Chroma's search is approximate: a neighbour in a thousand may stay out of reach.
    assert len(found["dense"]) >= 690
    assert len(found["hybrid"]) >= 690
