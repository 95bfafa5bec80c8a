import pytest

from encoders import WordEncoder
from multiretriever.core import InstructionSet, ParameterError, Step
from multiretriever.core.catalog import Catalog
from multiretriever.core.errors import DatasetError
from multiretriever.core.example import Example
from multiretriever.datasets import Dataset
from multiretriever.training.distill import read_lists
from multiretriever.training.distill.lists import Corpora, ListBuilder, draw_pairs, fuse, write_lists
from multiretriever.training.pairs import PairBuilder
from multiretriever.training.recipe import DistillSettings, PairSettings

SHORT = DistillSettings(list_length=4)


@pytest.fixture
def lists(small, pairs):
    return list(ListBuilder(Corpora.of_datasets([small]), SHORT, encoders=[WordEncoder()]).build(pairs))


def test_reciprocal_ranks_by_hand():
    # 7: 1/61 + 1/62; 3: 1/62 + 1/61; 9: 1/63. Equal sums go by the row.
    assert fuse([[7, 3, 9], [3, 7]], 60) == [3, 7, 9]
    # With a constant of 0 the first places decide: 1: 1 + 1/3, 2: 1/2 + 1/2, 4: 1/3 + 1.
    assert fuse([[1, 2, 4], [4, 2, 1]], 0) == [1, 4, 2]
    assert fuse([[], []], 60) == []


def test_the_positive_is_always_there_once(lists, pairs):
    assert len(lists) == len(pairs)
    texts = {(pair.query_id, pair.positive_id): pair.positive for pair in pairs}
    for item in lists:
        assert len(set(item.candidate_ids)) == len(item.candidate_ids) == len(item.candidates) <= 4
        assert item.candidates[item.positive] == texts[(item.query_id, item.positive_id)]
        assert item.positive_id in item.known_ids
    assert {len(item.candidate_ids) for item in lists} == {2, 3, 4}  # two stored workflows, three tables


def test_the_same_again(small, pairs, lists):
    builder = ListBuilder(Corpora.of_datasets([small]), SHORT, encoders=[WordEncoder()])
    assert list(builder.build(pairs)) == lists
    assert not builder.left_out


def step_pairs(query, relevant, **settings):
    names = ("post_message", "open_channel", "close_channel", "read_letter", "send_letter", "wait")
    catalog = Catalog(Step(scope="chat", name=name) for name in names)
    dataset = Dataset(catalog, name="steps", queries=[Example("q", "step", query, tuple(relevant))])
    made = PairSettings(balance=False, descriptions=(), random_negatives=0, hard_negatives=0)
    pairs = list(PairBuilder(dataset, made, instructions=InstructionSet.default()).build())
    return list(ListBuilder(Corpora.of_datasets([dataset]), DistillSettings(**settings)).build(pairs))


def test_place_of_the_positive_without_other_known_answers():
    relevant = ("chat.open_channel", "chat.close_channel")
    # BM25 finds the two channels, of which the other one is known as well, and nothing else.
    open_channel, close_channel = step_pairs("open or close a channel", relevant, list_length=3)
    assert (open_channel.retrieved_rank, close_channel.retrieved_rank) == (1, 1)
    assert set(open_channel.candidate_ids[:2]) == set(relevant)
    assert len(open_channel.candidate_ids) == 3  # filled up
    assert open_channel.known_ids == tuple(sorted(relevant))


def test_a_positive_that_no_retriever_finds_takes_the_last_place():
    (item,) = step_pairs("open the channel, post a message", ["chat.wait"], list_length=2)
    assert (item.retrieved_rank, item.positive, item.positive_id) == (0, 1, "chat.wait")


def test_queries_made_of_a_description_are_asked_where_it_is_hidden(small, pairs):
    asked = [pair for pair in pairs if pair.kind == "catalog_item.description"]
    lists = list(ListBuilder(Corpora.of_datasets([small]), SHORT).build(asked))
    assert len(lists) == len(asked) == 2
    assert all("computer" not in text for item in lists for text in item.candidates)


def test_corpora_of_pairs_alone(small, pairs):
    builder = ListBuilder(Corpora.of_pairs(pairs), SHORT, encoders=[WordEncoder()])
    lists = list(builder.build(pairs))
    hidden = [pair for pair in pairs if "#description" in pair.query_id]
    # What stands in the pairs is most of the small catalog, and descriptions are hidden only in these queries.
    assert builder.left_out == {"not in the corpus, or with another text": len(hidden)}
    assert len(lists) == len(pairs) - len(hidden)


@pytest.mark.parametrize("name", ["lists.parquet", "lists.jsonl"])
def test_files(lists, tmp_path, name):
    assert write_lists(tmp_path / name, lists) == len(lists)
    assert list(read_lists(tmp_path / name)) == lists


def test_a_list_that_is_not_one(make_list, tmp_path):
    write_lists(tmp_path / "l.jsonl", [make_list(), make_list([0.5, 0.4])])
    with pytest.raises(DatasetError, match=r"l\.jsonl:2: expected an id, a text and a score"):
        list(read_lists(tmp_path / "l.jsonl"))
    with pytest.raises(ParameterError, match=r"lists are written as \.parquet or \.jsonl"):
        write_lists(tmp_path / "l.csv", [])


def test_drawing(pairs):
    queries = {(pair.dataset, pair.query_id) for pair in pairs}
    drawn = draw_pairs(pairs, SHORT)
    assert [(pair.dataset, pair.query_id) for pair in drawn] == list(
        dict.fromkeys((pair.dataset, pair.query_id) for pair in pairs)
    )
    assert len(drawn) == len(queries) < len(pairs)
    assert draw_pairs(pairs, SHORT) == drawn
    assert draw_pairs(pairs, DistillSettings(seed=1)) != drawn
    assert draw_pairs(pairs, DistillSettings(positives_per_query=100)) == pairs
    assert len(draw_pairs(pairs, DistillSettings(max_lists=7))) == 7
    # A query keeps its answer when others come or go.
    assert set(draw_pairs(pairs[: len(pairs) // 2], SHORT)[:-1]) <= set(drawn)


def test_no_retriever(small):
    with pytest.raises(ParameterError, match="candidates need a retriever"):
        ListBuilder(Corpora.of_datasets([small]), words=False)
