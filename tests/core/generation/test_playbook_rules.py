"""Playbooks drafted by rules, with the shipped encoder."""

from pathlib import Path

import pytest

from multiretriever.core import Catalog, Index, MultiRetriever, QueryError
from multiretriever.core.catalog import IT_SERVICE
from multiretriever.core.generation.playbook_rules import PlaybookRules
from multiretriever.core.playbooks import Playbook, read_playbooks
from multiretriever.grounding.playbook_check import score_playbook

MEASURED = Path(__file__).parents[3] / "examples" / "playbook_generation" / "measured.yaml"


@pytest.fixture(scope="module")
def catalog():
    return Catalog(item for item in Catalog.from_path(IT_SERVICE) if item.element_type in ("workflow", "catalog_item"))


@pytest.fixture(scope="module")
def rules(catalog):
    with Index.from_catalog(catalog) as index:
        yield PlaybookRules(MultiRetriever(index))


def ids(written):
    return [[item.id for item in stage.activities] for stage in written.playbook.stages]


def test_stages_in_order_with_flows_and_forms(rules):
    lines = []
    written = rules.make(
        "Lost laptop:\n1. report it as lost\n2. hand out a loan laptop\n3. order a new laptop", on_progress=lines.append
    )
    assert [stage.name for stage in written.playbook.stages] == [
        "Report it as lost",
        "Hand out a loan laptop",
        "Order a new laptop",
    ]
    first, second, third = ids(written)
    assert {"vulnerability.lost_device", "service_catalog.report_lost_device"} <= set(first)
    assert "service_catalog.loan_laptop" in second
    assert "service_catalog.new_laptop" in third
    assert written.check.valid
    assert Playbook.from_yaml(written.playbook.to_yaml()) == written.playbook
    assert len(lines) == 4


def test_a_stage_with_nothing_near_stays_empty_and_says_so(rules):
    written = rules.make("First a guest Wi-Fi login for visitors, then qwertz zxcvb asdfg.")
    assert "service_catalog.guest_wifi" in ids(written)[0]
    assert ids(written)[1] == []
    assert "comes near enough" in written.playbook.stages[1].missing
    assert [item.kind for item in written.check.findings] == ["empty stage"]


def test_nothing_stands_twice_and_equal_stages_get_names_of_their_own(rules):
    written = rules.make("- order a laptop\n- order a laptop\n- order a laptop")
    everything = [name for stage in ids(written) for name in stage]
    assert len(everything) == len(set(everything)) > 0
    assert len({stage.name for stage in written.playbook.stages}) == 3


def test_what_is_taken_is_not_chosen(rules):
    plan = rules.plan("order a new laptop")
    free = rules.stage(plan, 1).stage
    name = free.activities[0].id
    assert name not in {item.id for item in rules.stage(plan, 1, taken=[name]).stage.activities}


@pytest.mark.parametrize("mode", ["dense", "lexical"])
def test_other_modes_make_nothing_up_either(rules, mode):
    retriever = MultiRetriever(rules.retriever.index, mode=mode)
    assert PlaybookRules(retriever).make("First order a server, then a firewall opening").check.valid


async def test_awaited_the_same(rules):
    requirement = "First order a server, then open the firewall"
    assert await rules.amake(requirement) == rules.make(requirement)


def test_many_stages_are_cut_and_told(rules):
    written = rules.make("\n".join(f"- order laptop number {place}" for place in range(30)))
    assert len(written.playbook.stages) == 20
    assert "20" in str(written.changes[0])


@pytest.mark.parametrize("requirement", ["", " \n", None, 7])
def test_a_bad_requirement_is_refused(rules, requirement):
    with pytest.raises(QueryError):
        rules.make(requirement)


@pytest.mark.parametrize("requirement", ["?", "...", "- \n- ", "x" * 3000, "日本語の要件。次に。"])
def test_an_odd_requirement_is_no_error(rules, requirement):
    written = rules.make(requirement)
    assert written.check.made_up == ()
    assert len(written.playbook.stages) >= 1


def test_held_out_requirements_are_drafted_about_as_well_as_was_measured(rules, catalog):
    scores = [score_playbook(rules.make(item.requirement).playbook, item, catalog) for item in read_playbooks(MEASURED)[1::2]]
    assert sum(item.f1 for item in scores) / len(scores) > 0.75
    assert all(not item.made_up for item in scores)
