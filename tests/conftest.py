"""What several suites need: a home of their own, a tiny model, and the demo model on demand."""

import asyncio
import json
import os
import struct
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with real engines first: with several processes (-n) they last longest."""
    items.sort(key=lambda item: not _has_engines(str(item.path)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file stays in one process, and real engines never meet each other."""
    from xdist.scheduler import LoadScopeScheduling

    class OneAtATime(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "engine" if _has_engines(str(config.rootpath / file)) else file

    return OneAtATime(config, log)


@cache
def _has_engines(file: str) -> bool:
    return "mark.engine" in Path(file).read_text(encoding="utf-8")


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
    # A token is a byte: any text has its own tokens, as with a real model.
    tokenizer = Tokenizer(BPE({byte: i for i, byte in enumerate(sorted(ByteLevel.alphabet()))}, []))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevelDecoder()
    tokenizer.save(str(folder / "tokenizer.json"))
    header = json.dumps({"w": {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(64))
    return folder
