import gc

import pytest
import torch
from sentence_transformers import SentenceTransformer

from multiretriever.core import InstructionSet
from tiny_base import write_tiny_base


@pytest.fixture(scope="module", autouse=True)
def _freed_models():
    """Models and trainers hold each other in circles, and the collector seldom comes by itself."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """A checkpoint of very few, random weights."""
    return write_tiny_base(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="session")
def tuned(base, tmp_path_factory):
    """The base with every weight moved a little, prompts and instructions: what tuning leaves behind."""
    folder = tmp_path_factory.mktemp("tuned") / "tuned"
    model = SentenceTransformer(str(base), device="cpu", local_files_only=True)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for value in model.parameters():
            value += 0.1 * value.abs().mean() * torch.randn(value.shape, generator=generator)
    model.prompts["query"] = "find: "
    model.save_pretrained(str(folder))
    template = InstructionSet.default().templates[0]
    text = f'templates:\n  - {{id: {template.id}, element_type: "*", instruction: "{template.instruction}"}}\n'
    (folder / "instructions.yaml").write_text(text)
    return folder
