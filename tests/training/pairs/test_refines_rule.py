"""REFINE's rule for negatives (arXiv 2410.12890) with the shipped encoder, against a count by brute force."""

import numpy as np

from multiretriever.core.catalog import IT_SERVICE
from multiretriever.core.encoders import default_encoder
from multiretriever.core.prompts import fit_prompt, make_prompt
from multiretriever.datasets import Dataset
from multiretriever.training.pairs.negatives import Miner, in_band
from multiretriever.training.pairs.pair import element_text
from multiretriever.training.recipe import Band


def test_all_of_the_band_outside_the_five_nearest_and_nothing_else():
    dataset, encoder = Dataset.from_path(IT_SERVICE), default_encoder()
    steps = dataset.catalog.of("step")
    texts = [element_text(step) for step in steps]
    examples = [item for item in dataset.examples() if item.kind == "step.annotation"][:40]
    known = [set(item.relevant) for item in examples]
    mined = Miner(encoder, steps, texts).mine(examples, known, 1000)
    # As retrieval puts a query to the encoder: with its instruction.
    prompts = [make_prompt(item.query, "step", item.context, instructions=encoder.instructions) for item in examples]
    queries = [fit_prompt(encoder, prompt) for prompt in prompts]
    scores = encoder.encode_queries(queries) @ encoder.encode_documents(texts).T
    sizes = []
    for row, answers, found in zip(scores, known, mined, strict=True):
        ranked = sorted(zip(row.tolist(), [step.id for step in steps], strict=True), key=lambda pair: -pair[0])
        due = [name for score, name in ranked[5:] if 0.5 <= score <= 0.7 and name not in answers]
        assert [step.id for step in found] == due
        sizes.append(len(due))
    assert max(sizes) > 0


def test_both_ends_belong_to_the_band_and_answers_count_among_the_nearest():
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.49999], dtype=np.float32)
    assert in_band(scores, Band(skip=0)).tolist() == [2, 3, 4]
    # The answer (0.9) is one of the nearest that are left out, as all elements are.
    assert in_band(scores, Band(skip=3)).tolist() == [3, 4]
    assert in_band(scores[:2], Band(skip=5)).tolist() == []
