"""Tiny checkpoints to be exported, and what is in a folder."""

import hashlib

WORDS = "create update delete look up record user table incident email send approve the a of in slack channel request".split()


def make_checkpoint(folder, kind="bert"):
    """Saves a tiny random encoder, with padding and truncation baked into its tokenizer as MiniLM has them."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    torch.manual_seed(0)
    vocabulary = {word: index for index, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.enable_padding(length=128)
    tokenizer.enable_truncation(128)
    sizes = {"vocab_size": len(vocabulary), "max_position_embeddings": 64}
    layers = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    if kind == "bert":
        model = transformers.BertModel(transformers.BertConfig(**sizes, **layers))
    elif kind == "roberta":
        model = transformers.RobertaModel(transformers.RobertaConfig(**sizes, **layers, pad_token_id=0))
    else:
        layers = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}
        model = transformers.DistilBertModel(transformers.DistilBertConfig(**sizes, **layers))
    model.eval().save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def digests(folder):
    """SHA-256 of each file, by name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}
