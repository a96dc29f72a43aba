from pathlib import Path

import pytest

from knowledge.types import Attention, Device, Hardware, ModelFacts, ModelSpec
from tools.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(data=tmp_path / "data", cache=tmp_path / "cache")


@pytest.fixture
def hardware() -> Hardware:
    device = Device(
        name="cpu", kind="cpu", memory_bytes=2**33, bandwidth_bytes_per_s=1e10, flops_per_s={}
    )
    return Hardware(device=device, cpu_name="x", cores=2, host_memory_bytes=2**33)


@pytest.fixture
def model(tmp_path: Path) -> ModelSpec:
    facts = ModelFacts(
        architecture="LlamaForCausalLM", layers=2, hidden_size=8, heads=2, kv_heads=1, head_dim=4,
        intermediate_size=16, vocab_size=64, tied_embeddings=True, attention=Attention.GQA,
        parameters=1000, active_parameters=1000, embedding_parameters=512,
        kv_elements_per_token=16, max_position=128, dtype="float32",
    )  # fmt: skip
    return ModelSpec(
        name="tiny", path=str(tmp_path), fingerprint="f1", weights_bytes=4000, facts=facts
    )
