"""What several suites need: a home of their own, a tiny model, and the demo model on demand."""

import asyncio
import json
import os
import struct
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from tools.demo_model import ensure as demo_model_of
from tools.home import Home

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 256,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": True,
    "torch_dtype": "float32",
}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(data=tmp_path / "data", cache=tmp_path / "cache")


@pytest.fixture(scope="session")
def real_home() -> Home:
    """The user's own cache, where the heavy environments are kept from run to run."""
    return Home.default(os.environ)


@pytest.fixture(scope="session")
def demo_model(real_home: Home) -> Path:
    """SmolLM2-135M-Instruct as a normal checkpoint, made once and kept in the user's cache."""
    return asyncio.run(demo_model_of(real_home, print))


@pytest.fixture
def tiny_model(tmp_path: Path) -> Path:
    """A folder that looks like a checkpoint: config, tokenizer, one small safetensors file."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    words = {"[UNK]": 0} | {f"word{i}": i for i in range(1, 256)}
    tokenizer = Tokenizer(WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    header = json.dumps({"w": {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(64))
    return folder
