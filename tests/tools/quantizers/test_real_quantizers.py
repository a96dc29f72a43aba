"""GGUF and the transformers formats for real, on a network of a few hundred kilobytes."""

import json
from pathlib import Path

import numpy as np
import pytest

from knowledge.types import Artifact, FlagValue, ModelSpec
from tests.tools import tiny
from tools import envs
from tools.hardware import inspect
from tools.home import Home
from tools.models import look_at
from tools.process import run_job
from tools.quantizers import ArtifactReport, load

pytestmark = pytest.mark.engine

READ_GGUF = """
import json, sys
from gguf import GGUFReader
from gguf.quants import dequantize
job = json.loads(sys.stdin.read())
reader = GGUFReader(job["file"])
told = {
    "architecture": bytes(reader.fields["general.architecture"].parts[-1]).decode(),
    "tokens": len(reader.fields["tokenizer.ggml.tokens"].data),
    "types": {t.name: t.tensor_type.name for t in reader.tensors},
    "down": dequantize(
        next(t.data for t in reader.tensors if t.name == "blk.0.ffn_down.weight"),
        next(t.tensor_type for t in reader.tensors if t.name == "blk.0.ffn_down.weight"),
    ).tolist(),
}
print(json.dumps({"result": told}))
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    return look_at(tiny.write(tmp_path_factory.mktemp("tiny") / "llama"), "tiny")


async def quantized(
    name: str, scheme: str, model: ModelSpec, real_home: Home, out: Path, **options: FlagValue
) -> ArtifactReport:
    maker = load(name)
    env = await envs.ensure(maker.env_spec(inspect(real_home)), real_home, print)
    recipe = Artifact(quantizer=name, scheme=scheme, options=options)
    out.mkdir(exist_ok=True)
    home = Home(data=out.parent / "data", cache=out.parent / "cache")
    return await maker.make(recipe, model, env, out, home, lambda _: None)


@pytest.mark.parametrize(
    ("scheme", "options", "error"),
    [
        ("q8_0", {}, 0.006),
        ("q4_0", {}, 0.12),
        ("q4_k_m", {"imatrix": True, "samples": 4, "tokens": 32}, 0.06),
    ],
)
async def test_gguf_holds_the_weights_in_the_asked_format(
    scheme: str,
    options: dict[str, FlagValue],
    error: float,
    model: ModelSpec,
    real_home: Home,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    report = await quantized("gguf", scheme, model, real_home, out, **options)
    (file,) = out.glob("*.gguf")
    assert report.bytes_after == file.stat().st_size
    errors = json.loads(str(report.details["error_by_layer"]))
    assert all(0 < value < error for value in errors.values())
    script = tmp_path / "read.py"
    script.write_text(READ_GGUF)
    env = await envs.ensure(load("gguf").env_spec(inspect(real_home)), real_home, print)
    log = tmp_path / "read.log"
    told = await run_job(env.python, script, {"file": str(file)}, log_path=log, deadline_s=120)
    assert (told["architecture"], told["tokens"]) == ("llama", tiny.VOCAB)
    # Rows of 64 are no multiple of 256: llama.cpp falls back in the same way.
    expected = {"q8_0": "Q8_0", "q4_0": "Q4_0", "q4_k_m": "Q5_0"}[scheme]
    assert told["types"]["blk.1.ffn_gate.weight"] == expected
    before = tiny.weights()["model.layers.0.mlp.down_proj.weight"]
    lost = np.linalg.norm(np.array(told["down"]) - before) / np.linalg.norm(before)
    assert 0 < lost < error


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("dtype", "bf16"),
        ("torchao", "int8-weight-only"),
        ("torchao", "int8-dynamic"),
        ("bitsandbytes", "nf4"),
    ],
)
async def test_a_checkpoint_of_transformers_says_its_format(
    name: str, scheme: str, model: ModelSpec, real_home: Home, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    report = await quantized(name, scheme, model, real_home, out)
    assert 0 < report.bytes_after < report.bytes_before
    config = json.loads((out / "config.json").read_text())
    wanted = {"dtype": None}.get(name, name)
    assert config.get("quantization_config", {}).get("quant_method") == wanted
    if scheme == "bf16":
        made = tiny.read(out / "model.safetensors")
        assert all(np.allclose(made[n], t, rtol=0.01) for n, t in tiny.weights().items())


@pytest.mark.parametrize(
    ("scheme", "options"),
    [
        ("w4a16", {"method": "awq", "group_size": 32}),
        ("w4a16", {"actorder": "weight", "dampening": 0.02, "group_size": 16}),
        ("w8a8", {"method": "smoothquant", "smoothing": 0.5}),
        ("fp8-static", {"kv_cache": "fp8"}),
    ],
    ids=["awq", "gptq", "smoothquant", "fp8-static"],
)
async def test_llm_compressor_writes_what_the_recipe_says(
    scheme: str,
    options: dict[str, FlagValue],
    model: ModelSpec,
    real_home: Home,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    text: dict[str, FlagValue] = {"samples": 4, "tokens": 32}
    report = await quantized("llmcompressor", scheme, model, real_home, out, **text, **options)
    told = json.loads((out / "config.json").read_text())["quantization_config"]
    (group,) = told["config_groups"].values()
    assert told["quant_method"] == "compressed-tensors"
    assert told["ignore"] == ["lm_head"] == [report.details["kept_in_high_precision"]]
    assert report.details["samples"] == 4
    weights = group["weights"]
    assert weights["num_bits"] == (4 if scheme == "w4a16" else 8)
    if "group_size" in options:
        assert weights["group_size"] == options["group_size"]
    if "actorder" in options:
        assert weights["actorder"] == "weight"
    if "actorder" in options or "smoothing" in options:
        assert len(json.loads(str(report.details["error_by_layer"]))) == tiny.LAYERS
    assert (told["kv_cache_scheme"] is not None) == ("kv_cache" in options)
