import pytest

from knowledge.devices import require_gpu
from knowledge.errors import BadInput
from knowledge.support import find_engine, known_engines, schemes_for, supports


@pytest.mark.parametrize("engine", known_engines().values(), ids=lambda engine: engine.stem)
def test_every_engine_is_dated_and_named(engine):
    assert engine.provenance
    assert find_engine(engine.title).found == engine
    names = [scheme.name for scheme in engine.schemes]
    assert len(names) == len(set(names))
    known = [feature.name for feature in engine.features]
    assert len(known) == len(set(known))


@pytest.mark.parametrize(
    ("engine", "scheme", "gpu", "level"),
    [
        ("vllm", "fp8", "h100", "native"),
        ("vllm", "fp8", "l4", "native"),
        ("vllm", "fp8", "a100", "converted"),
        ("vllm", "fp8", "t4", "converted"),
        ("vllm", "fp8", "v100", "no"),
        ("vllm", "bf16", "t4", "no"),
        ("vllm", "fp16", "t4", "native"),
        ("vllm", "int8", "a100", "native"),
        ("vllm", "awq", "rtx 3090", "converted"),
        ("vllm", "nvfp4", "h100", "converted"),
        ("vllm", "nvfp4", "b200", "native"),
        ("vllm", "fp8", "mi300x", "native"),
        ("tensorrt", "fp8", "a100", "no"),
        ("tensorrt-llm", "fp8", "mi300x", "no"),
        ("лама цпп", "gguf", "4090", "converted"),
        ("llama.cpp", "w8a8", "4090", "no"),
        ("vllm", "exl2", "4090", "unknown"),
    ],
)
def test_the_matrix(engine, scheme, gpu, level):
    answer = supports(engine, scheme, require_gpu(gpu))
    assert answer.level == level
    assert answer.runs == (level in ("native", "converted"))
    assert answer.why
    assert answer.source


def test_an_unknown_engine_gets_the_known_ones():
    with pytest.raises(BadInput, match="vllm"):
        supports("deepspeed-mii", "fp8", require_gpu("h100"))


def test_what_runs_on_an_old_gpu():
    names = {scheme.name for scheme, _ in schemes_for("vllm", require_gpu("t4"))}
    assert {"float16", "w8a8-int8", "w4a16-awq"} <= names
    assert "bfloat16" not in names


def test_features_tell_how_they_are_switched_on():
    vllm = known_engines()["vllm"]
    assert vllm.feature("tensor-parallel").flag == "--tensor-parallel-size 2"
    assert vllm.feature("no-such-thing") is None
    assert known_engines()["tgi"].state == "maintenance"
