import pytest

from multiretriever.datasets import Dataset
from multiretriever.training.pairs import Pair, PairBuilder
from multiretriever.training.pairs.pair_tables import DatasetReport
from multiretriever.training.recipe import PairSettings
from multiretriever.training.tuning.advice import LEAST_FLOWS, LEAST_QUERIES, advice
from small_dataset import write_dataset


@pytest.fixture
def dataset(tmp_path):
    return Dataset.from_path(write_dataset(tmp_path / "small"))


def made(dataset, **settings):
    builder = PairBuilder(dataset, PairSettings(**settings))
    pairs = list(builder.build())
    return [builder.report], pairs


def pair(element, query_id, *, kind="step.annotation"):
    return Pair(
        query="q",
        instruction="",
        bare="q",
        context=(),
        positive="p",
        negatives=(),
        element_type=kind.partition(".")[0],
        kind=kind,
        template=kind,
        language="en",
        dataset="company",
        query_id=query_id,
        positive_id=element,
        negative_ids=(),
        negative_kinds=(),
        relevant_ids=(element,),
    )


def enough(elements=12, flows=30, kinds=("step.annotation", "step.requirement")):
    """Pairs of a company with enough of everything: each element is used in several flows."""
    report = DatasetReport("company", flows=flows)
    pairs = [
        pair(f"core.s{(flow + place) % elements}", f"flow-{flow}#{kind}#{place}", kind=kind)
        for flow in range(flows)
        for kind in kinds
        for place in range(6)
    ]
    return [report], pairs


def test_nothing_is_said_where_there_is_enough():
    assert advice(*enough()) == []


def test_a_missing_dev_set_is_told_with_what_to_do():
    (said,) = advice(*enough(), has_dev=False)
    assert "no dev set" in said
    assert "--dev" in said


def test_two_flows_are_few(dataset):
    said = advice(*made(dataset))
    assert any(text.startswith("2 flows are few") and str(LEAST_FLOWS) in text for text in said)
    assert any("queries are few" in text and str(LEAST_QUERIES) in text for text in said)
    assert any(text.startswith("step: only 7 elements") for text in said)


def test_written_queries_alone_are_told(dataset):
    reports, pairs = made(Dataset(dataset.catalog, name="written", queries=dataset.given()))
    assert "There is not one flow" in advice(reports, pairs)[0]


def test_one_kind_of_query_is_told(dataset):
    said = advice(*made(dataset, kinds=["step.annotation"], descriptions=()))
    assert any(text.startswith("All queries are of the kind step.annotation") for text in said)


def test_nearly_one_kind_of_query_is_told_by_its_share():
    reports, pairs = enough(kinds=("step.annotation",))
    pairs += [pair("core.s1", f"flow-{number}#step.requirement#0", kind="step.requirement") for number in range(20)]
    (said,) = advice(reports, pairs)
    assert said.startswith("90% of the queries are of the kind step.annotation")


def test_flows_without_requirements_are_told():
    (said,) = advice(*enough(kinds=("step.annotation", "step.flow")))
    assert "No query is a requirement" in said


def test_types_without_queries_are_told_with_the_catalog(dataset):
    reports, pairs = made(dataset, kinds=["step.annotation"], descriptions=())
    said = advice(reports, pairs, catalogs=[dataset.catalog])
    for text in ("table: no query looks for any of the 3", "catalog_item: no query looks for any of the 3"):
        assert any(item.startswith(text) for item in said), text
    assert not any(item.startswith("step: no query") for item in said)
    assert not any("no query looks" in item for item in advice(reports, pairs))


def test_how_much_of_the_next_flow_is_unseen_is_estimated_from_what_is_used_once():
    reports, pairs = enough()
    # As many uses again, each the only one of its element.
    seen = {(item.positive_id, item.query_id.partition("#")[0]) for item in pairs}
    once = [
        pair(f"core.rare{number}", f"rare-{number}#step.requirement#0", kind="step.requirement") for number in range(len(seen))
    ]
    (said,) = advice(reports, pairs + once)
    assert "about 50% of what other flows need" in said
    assert f"{len(seen):,} of {2 * len(seen):,} uses" in said


def test_descriptions_count_as_no_use():
    reports, pairs = enough()
    described = [pair(f"core.rare{number}", f"core.rare{number}#description") for number in range(200)]
    assert advice(reports, pairs + described) == []


def test_definitions_that_the_catalog_lacks_are_told(dataset):
    reports, pairs = enough()
    reports[0].unknown.update({"core.gone": 3, "core.lost": 1})
    (said,) = advice(reports, pairs)
    assert said.startswith("company: 4 uses of definitions that the catalog does not have")
    assert "core.gone, core.lost" in said
