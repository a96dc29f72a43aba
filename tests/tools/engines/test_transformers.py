"""transformers with a part of the weights elsewhere (Accelerate)."""

from knowledge.types import EngineConfig, FlagValue, Hardware
from tests.tools.engines.conftest import make_hardware, make_model
from tools.engines import load

ENGINE = load("transformers")
CUDA = make_hardware("cuda", 80 * 2**30)
MODEL = make_model().replace(weights_bytes=20 * 2**30)


def needed_gib(hardware: Hardware, **flags: FlagValue) -> float:
    config = EngineConfig(
        engine="transformers", flags={name.replace("_", "-"): one for name, one in flags.items()}
    )
    return ENGINE.memory_needed_bytes(config, MODEL, hardware) / 2**30


def test_what_lies_elsewhere_needs_no_memory_here() -> None:
    host, whole = make_hardware(), needed_gib(make_hardware())
    assert whole - needed_gib(host, host_memory_gib=4.0) == 36.0
    assert needed_gib(host, host_memory_gib=100.0) == whole
    assert needed_gib(host, device_memory_gib=4.0) == whole
    assert needed_gib(CUDA) - needed_gib(CUDA, device_memory_gib=4.0) == 36.0
    assert needed_gib(CUDA, host_memory_gib=4.0) == needed_gib(CUDA)
