"""Says when there is too little to learn from, in plain words, before anybody trusts what was trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from multiretriever.core import Catalog
from multiretriever.core.example import GIVEN
from multiretriever.training.pairs import Pair
from multiretriever.training.pairs.pair_tables import DatasetReport

LEAST_FLOWS = 20
LEAST_QUERIES = 200
LEAST_ELEMENTS = 10
MOST_UNSEEN = 1 / 3
MOST_OF_A_KIND = 0.8
_NAMED = 5
# How ids of queries go on, after the element's, that were made of descriptions and not of what people asked.
_DESCRIPTION = "description"


def advice(
    reports: Sequence[DatasetReport], pairs: Sequence[Pair], *, catalogs: Sequence[Catalog] = (), has_dev: bool = True
) -> list[str]:
    """Returns what stands against a good result, each as one sentence or two with numbers and what to do.

    The thresholds:

    - ``LEAST_FLOWS``: a flow has about 6 steps, half of which are the platform's own (if, for each, look up records). 20 flows
      use a company's own steps 60 times; a catalog has a hundred of them and more, so that with fewer most are never seen.
    - ``LEAST_QUERIES``: 200 queries are 6 batches of 32. Fewer are passed over so often that they are learned by heart.
    - ``LEAST_ELEMENTS``: where fewer than 10 are ever right, an encoder learns to give those and no others.
    - ``MOST_UNSEEN``: the share of uses that are the only one of their element is an estimate of how often the next flow needs
      an element that was never seen (Good, Biometrika 1953, section 2). On halves of six bundled domains it said 0.21 of steps,
      0.29 of tables and 0.59 of fields, and 0.17, 0.29 and 0.60 came true.
    - ``MOST_OF_A_KIND``: with 4 queries of 5 of one kind, the others have less than one batch in 5 to defend themselves.

    Args:
        reports: What was made of each dataset.
        pairs: The pairs that the encoder is trained on.
        catalogs: Catalogs of the datasets; without them nothing is said of elements that no pair has.
        has_dev: Whether there is a dev set.
    """
    found = [*_flows(reports), *_unknown(reports), *_queries(pairs)]
    found += [*_kinds(pairs), *_elements(pairs), *_types(pairs, catalogs)]
    if not has_dev:
        found.append(
            "There is no dev set: nothing shows whether the result is better than what it was made from. Keep every fifth flow "
            "out of the training (a split of its own in dataset.yaml) and give it as --dev FOLDER@SPLIT."
        )
    return found


def _flows(reports: Sequence[DatasetReport]) -> Iterator[str]:
    count = sum(report.flows for report in reports)
    if not count:
        yield (
            "There is not one flow: all queries were written down or are descriptions. Flows alone show which steps and tables "
            "belong to a requirement; add those that people have built."
        )
    elif count < LEAST_FLOWS:
        yield (
            f"{_count(count, 'flow')} are few: from {LEAST_FLOWS} on, a gain can be expected on flows that were not seen. Add "
            "more, or trust the result only where evaluate shows a gain on flows that were kept out."
        )


def _unknown(reports: Sequence[DatasetReport]) -> Iterator[str]:
    for report in reports:
        if report.unknown:
            names = ", ".join(name for name, _ in report.unknown.most_common(_NAMED))
            more = len(report.unknown) - _NAMED
            yield (
                f"{report.name}: {_count(report.unknown.total(), 'use')} of definitions that the catalog does not have taught "
                f"nothing: {names}{f' and {more} more' if more > 0 else ''}. Add them to the catalog, or correct the flows."
            )


def _queries(pairs: Sequence[Pair]) -> Iterator[str]:
    count = len({(pair.dataset, pair.query_id) for pair in pairs})
    if count < LEAST_QUERIES:
        yield (
            f"{_count(count, 'query', 'queries')} are few: {LEAST_QUERIES} are the least that is worth a training. Add flows, "
            "paraphrases of requirements and annotations, or queries that people typed (queries.jsonl)."
        )


def _kinds(pairs: Sequence[Pair]) -> Iterator[str]:
    counts = Counter(kind for _, _, kind in {(pair.dataset, pair.query_id, pair.kind) for pair in pairs})
    kind, most = next(iter(counts.most_common(1)), ("", 0))
    if most > MOST_OF_A_KIND * counts.total():
        share = "All" if most == counts.total() else f"{most / counts.total():.0%} of the"
        yield (
            f"{share} queries are of the kind {kind}: the encoder may forget the other kinds. Add flows that have both "
            "requirements and annotations, or take more kinds under data.pairs.kinds of the recipe."
        )
    elif "step.annotation" in counts and "step.requirement" not in counts:
        yield (
            "No query is a requirement: the encoder will not learn which steps a whole requirement needs. Write the requirement "
            "of each flow down, in the words of whoever asked for it."
        )


def _elements(pairs: Sequence[Pair]) -> Iterator[str]:
    used: dict[str, dict[tuple[str, str], set[str]]] = {}
    for pair in pairs:
        unit, _, made = pair.query_id.partition("#")
        if not made.startswith(_DESCRIPTION):
            where = used.setdefault(pair.element_type, {}).setdefault((pair.dataset, pair.positive_id), set())
            where.add(pair.query_id if pair.kind == GIVEN else unit)
    for name, places in sorted(used.items()):
        once, uses = sum(len(found) == 1 for found in places.values()), sum(map(len, places.values()))
        if len(places) < LEAST_ELEMENTS:
            yield f"{name}: only {_count(len(places), 'element')} of the type answer any query. Add flows that need others."
        elif once > MOST_UNSEEN * uses and name != "workflow":
            yield (
                f"{name}: about {once / uses:.0%} of what other flows need will be elements that no query here asks for "
                f"({once:,} of {uses:,} uses are the only one of their element). Those are known by their descriptions at most; "
                "add flows."
            )


def _types(pairs: Sequence[Pair], catalogs: Sequence[Catalog]) -> Iterator[str]:
    missing = {name: size for name, size in _sizes(catalogs).items() if name not in {pair.element_type for pair in pairs}}
    for name, size in sorted(missing.items()):
        yield (
            f"{name}: no query looks for any of the {size:,} in the catalog, so that finding them may get worse. Add queries for "
            "them, or check with evaluate that nothing is lost."
        )


def _sizes(catalogs: Sequence[Catalog]) -> Counter[str]:
    sizes: Counter[str] = Counter()
    for catalog in catalogs:
        sizes.update(catalog.counts)
    return sizes


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
