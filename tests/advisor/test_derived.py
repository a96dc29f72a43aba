"""Who can serve a derived checkpoint, and whether there is text enough to make it."""

from pathlib import Path

import pytest

from advisor import derived
from knowledge.devices import CatalogDevice, require_gpu
from knowledge.errors import BadInput
from knowledge.types import Artifact, Device, Hardware, ModelSpec, QualityResult
from tests.tools import tiny
from tools import calibration, makers
from tools.home import Home
from tools.models import look_at


def cpu(*isa: str) -> CatalogDevice:
    device = Device(
        name="cpu", kind="cpu", memory_bytes=2**33, bandwidth_bytes_per_s=1e10, flops_per_s={}
    )
    hardware = Hardware(device=device, cpu_name="cpu", cores=2, isa=isa, host_memory_bytes=2**33)
    return derived.on_catalog(hardware)


CPU = cpu("avx2", "avx512f")


@pytest.fixture
def model(tmp_path: Path) -> ModelSpec:
    return look_at(tiny.write(tmp_path / "model"), "tiny")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(data=tmp_path / "data", cache=tmp_path / "cache")


@pytest.mark.parametrize(
    ("scheme", "engine"),
    [("w8a8", "vllm"), ("awq", "vllm"), ("nf4", "transformers"), ("q4_k_m", "llamacpp"),
     ("onnx-int4", "onnxruntime"), ("bf16", "vllm")],
)  # fmt: skip
def test_every_scheme_goes_to_its_engine(scheme: str, engine: str) -> None:
    server, answer = derived.choose_server(makers.recipe(scheme), CPU, None)
    assert server.engine == engine
    assert answer.runs


def test_four_bits_without_avx512_go_to_an_engine_that_unpacks_them() -> None:
    for scheme in ("w4a16", "awq"):
        server, answer = derived.choose_server(makers.recipe(scheme), cpu("avx2"), None)
        assert (server.engine, answer.level) == ("transformers", "converted")
    with pytest.raises(BadInput, match="avx512f") as caught:
        derived.choose_server(makers.recipe("w4a16"), cpu("avx2"), "vllm")
    assert "w8a8" in caught.value.hint
    assert "w4a16" not in caught.value.hint
    server, _ = derived.choose_server(makers.recipe("w4a16"), cpu(), "vllm")
    assert server.engine == "vllm"  # what the processor can do is not known


def test_a_format_that_nothing_here_serves_is_refused_with_what_would_do() -> None:
    with pytest.raises(BadInput, match="fp8") as caught:
        derived.choose_server(makers.recipe("fp8"), CPU, None)
    assert "w8a8" in caught.value.hint
    assert "--gpu" in caught.value.hint
    server, answer = derived.choose_server(makers.recipe("fp8"), require_gpu("h100"), None)
    assert (server.engine, answer.level) == ("vllm", "native")
    with pytest.raises(BadInput):
        derived.choose_server(makers.recipe("fp8"), require_gpu("v100"), None)


def test_an_engine_that_does_not_load_the_format_is_refused_with_what_it_loads() -> None:
    with pytest.raises(BadInput, match="vllm не загружает nf4") as caught:
        derived.choose_server(makers.recipe("nf4"), CPU, "vllm")
    assert "transformers" in caught.value.hint
    assert "w4a16" in caught.value.hint
    with pytest.raises(BadInput, match="vlm"):
        derived.choose_server(makers.recipe("w8a8"), CPU, "vlm")


def test_short_text_is_said_and_no_text_is_refused(model: ModelSpec, home: Home) -> None:
    recipe = Artifact(
        quantizer="llmcompressor", scheme="w8a8", options={"samples": 10, "tokens": 32}
    )
    assert derived.check_text(recipe, model, home) is None
    digest = calibration.keep_text("x" * 100, "letters.txt", home)  # one token a letter
    own = recipe.replace(options=recipe.options | {"calibration": digest})
    said = derived.check_text(own, model, home)
    assert said is not None
    assert "3 из 10" in said
    assert "letters.txt" in said
    with pytest.raises(BadInput, match="короче"):
        derived.check_text(own.replace(options=own.options | {"tokens": 128}), model, home)


def test_a_recipe_without_text_asks_for_none(model: ModelSpec, home: Home) -> None:
    assert derived.check_text(makers.recipe("bf16"), model, home) is None


def test_kept_text_that_is_gone_is_asked_for_again(home: Home) -> None:
    with pytest.raises(BadInput, match="--calibration"):
        calibration.of({"calibration": "0" * 64}, home)


def test_the_same_text_has_the_same_hash_wherever_it_was_read(tmp_path: Path, home: Home) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("the same words")
    assert calibration.keep(tmp_path / "a.txt", home) == calibration.keep(tmp_path / "b.txt", home)


@pytest.mark.parametrize(
    ("typed", "near"), [("w4a61", "w4a16"), ("Q4_KM", "q4_k_m"), ("smothquant", "smoothquant")]
)
def test_an_unknown_scheme_gets_the_nearest(typed: str, near: str) -> None:
    with pytest.raises(BadInput) as caught:
        makers.recipe(typed)
    assert near in caught.value.hint


def test_quality_is_compared_on_the_same_text_only() -> None:
    def scored(value: float, text: str) -> QualityResult:
        chunks = tuple((value, value * 2, value * 3) for _ in range(4))
        return QualityResult(
            tokens=12, mean_logprob=2 * value, perplexity=2.0, chunk_logprobs=chunks,
            text_sha256=text, seconds=1.0,
        )  # fmt: skip

    verdict = derived.compare(scored(-1.0, "a"), scored(-1.5, "a"))
    assert verdict is not None
    assert verdict.loss_nats_per_token.value == pytest.approx(1.0)
    assert not verdict.non_inferior
    same = derived.compare(scored(-1.0, "a"), scored(-1.0, "a"))
    assert same is not None
    assert same.non_inferior
    assert derived.compare(scored(-1.0, "a"), scored(-1.0, "b")) is None
    assert derived.compare(None, scored(-1.0, "a")) is None
