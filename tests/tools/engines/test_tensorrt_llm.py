"""TensorRT-LLM: stored flags, iterations as gauges, and a trial of a server that speaks for it."""

import json
import sys
from pathlib import Path

import pytest

from knowledge.errors import BadInput, BadModel, UnknownFlag
from knowledge.types import Candidate, Cause, EngineConfig, FlagValue, LoadPlan, TrialSpec
from tests.advisor.simulated import HARDWARE, task
from tests.tools.engines.conftest import make_hardware, make_model
from tools import registered
from tools.engines import load
from tools.engines.base import FlagCatalog
from tools.engines.tensorrt_llm import _gauges
from tools.envs import Environment
from tools.home import Home
from tools.preparing import World
from tools.trial import run_trial

ENGINE = load("tensorrt_llm")
CUDA = make_hardware("cuda", 80 * 2**30)
ENV = Environment(Path("/envs/some"), Path("/envs/some/bin/python"), {})
FAKE = Path(__file__).with_name("fake_servers.py")
ITERATIONS = [
    {
        "gpuMemUsage": 76665782272,
        "iter": 153,
        "numActiveRequests": 9,
        "numQueuedRequests": 9,
        "kvCacheStats": {"maxNumBlocks": 101256, "usedNumBlocks": 3, "cacheHitRate": 0.9},
    },
    {
        "gpuMemUsage": 76665782272,
        "iter": 154,
        "iterLatencyMS": 7.00688362121582,
        "kvCacheStats": {
            "allocNewBlocks": 3126,
            "allocTotalBlocks": 3126,
            "cacheHitRate": 0.125,
            "freeNumBlocks": 75942,
            "maxNumBlocks": 101256,
            "missedBlocks": 3121,
            "reusedBlocks": 4,
            "tokensPerBlock": 32,
            "usedNumBlocks": 25314,
        },
        "numActiveRequests": 3,
        "numQueuedRequests": 2,
    },
]
"""The second as in the documentation, with other figures."""


@pytest.fixture
async def catalog(home: Home) -> FlagCatalog:
    return await ENGINE.catalog(None, home, print)


@pytest.fixture
async def package(home: Home, tmp_path: Path) -> Path:
    """Registered as `advisor setup tensorrt_llm --python PYTHON --site FOLDER` does it."""
    commands = tmp_path / "site" / "tensorrt_llm" / "commands"
    commands.mkdir(parents=True)
    for folder in (commands, commands.parent):
        (folder / "__init__.py").touch()
    (commands / "serve.py").write_text(
        "import runpy, sys\nsys.argv[1:1] = ['trtllm']\n"
        f"runpy.run_path({str(FAKE)!r}, run_name='__main__')\n"
    )
    site = [tmp_path / "site"]
    await registered.register("tensorrt_llm", ("tensorrt_llm",), Path(sys.executable), site, home)
    return commands


def config(**flags: FlagValue) -> EngineConfig:
    return EngineConfig(engine="tensorrt_llm", flags=flags)


async def test_the_stored_flags_name_their_version(catalog: FlagCatalog) -> None:
    assert catalog.version == "1.3.0rc13"
    good = config(max_batch_size=64, kv_cache_dtype="fp8", tp_size=2, enable_chunked_prefill=True)
    ENGINE.validate(good, catalog)
    with pytest.raises(UnknownFlag, match="max_batch_siz") as refusal:
        ENGINE.validate(config(max_batch_siz=64), catalog)
    assert "max_batch_size" in refusal.value.hint


@pytest.mark.parametrize("ours", ["config", "extra_llm_api_options", "served_model_name", "grpc"])
async def test_what_the_advisor_sets_itself_is_refused(catalog: FlagCatalog, ours: str) -> None:
    with pytest.raises(BadInput, match="advisor"):
        ENGINE.validate(config(**{ours: "x"}), catalog)


@pytest.mark.parametrize(
    "unsafe",
    [
        *("trust_remote_code", "custom_module_dirs", "custom_tokenizer", "otlp_traces_endpoint"),
        *("server_role", "disagg_cluster_uri", "metadata_server_config_file"),
    ],
)
async def test_what_loads_code_or_joins_a_cluster_is_refused(
    catalog: FlagCatalog, unsafe: str
) -> None:
    with pytest.raises(BadInput, match="не разрешён"):
        ENGINE.validate(config(**{unsafe: True}), catalog)


def test_it_is_said_where_it_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "CUDA" in ENGINE.capabilities(make_hardware("cpu")).unavailable
    monkeypatch.setattr(sys, "version_info", (3, 11, 7))
    assert "advisor setup tensorrt_llm --python" in ENGINE.capabilities(CUDA).unavailable
    monkeypatch.setattr(sys, "version_info", (3, 12, 1))
    assert ENGINE.capabilities(CUDA).unavailable == ""


def test_its_wheel_comes_from_the_index_that_has_it() -> None:
    spec = ENGINE.env_spec(CUDA)
    assert spec
    (step,) = spec.steps
    assert step.args[-1] == "tensorrt-llm==1.3.0rc13"
    assert "https://pypi.nvidia.com/" in step.args


def test_the_file_that_it_is_given_switches_the_counters_on() -> None:
    plan = ENGINE.launch_plan(
        ENV, config(), model=make_model(), model_path=Path("/m"), port=4321, hardware=CUDA
    )
    assert plan.argv[:5] == (str(ENV.python), "-m", "tensorrt_llm.commands.serve", "serve", "/m")
    given = Path(plan.argv[plan.argv.index("--config") + 1])
    assert "enable_iter_perf_stats: true" in given.read_text()


def test_random_weights_are_refused() -> None:
    model = make_model().replace(dummy_weights=True)
    with pytest.raises(BadModel, match="без весов"):
        ENGINE.launch_plan(ENV, config(), model=model, model_path=Path("/m"), port=1, hardware=CUDA)


def test_memory_is_the_weights_and_a_share_of_what_they_leave() -> None:
    model = make_model()
    left = CUDA.device.memory_bytes - model.weights_bytes

    def kv(**flags: FlagValue) -> float:
        needed = ENGINE.memory_needed_bytes(config(**flags), model, CUDA)
        return (needed - model.weights_bytes) / left

    assert kv() == pytest.approx(0.9)
    assert kv(free_gpu_memory_fraction=0.5) == pytest.approx(0.5)
    assert kv(kv_cache_free_gpu_memory_fraction=0.25) == pytest.approx(0.25)


def test_the_backend_is_what_its_log_tells() -> None:
    log = (
        "[TensorRT-LLM] TensorRT LLM version: 1.3.0rc0\n"
        "[03/13/2026-02:56:20] [TRT-LLM] [I] Using LLM with PyTorch backend\n"
        "[03/13/2026-02:56:20] [TRT-LLM] [W] Using default gpus_per_node: 1\n"
    )
    assert ENGINE.in_force(log) == {"backend": "pytorch"}


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        (
            "RuntimeError: Executor creation failed due to insufficient GPU memory.",
            Cause.OUT_OF_MEMORY,
        ),
        ("pydantic_core.ValidationError: 1 validation error for TorchLlmArgs", Cause.BAD_FLAG),
        ("Error: No such option: --nope", Cause.BAD_FLAG),
        ("RuntimeError: Failed to bind socket to 127.0.0.1:80: denied", Cause.CRASH),
    ],
)
def test_its_last_words_tell_the_cause(line: str, cause: Cause) -> None:
    assert ENGINE.diagnose(1, (line,)) is cause


def test_the_newest_iteration_is_what_counts() -> None:
    assert _gauges(json.dumps(ITERATIONS).encode()) == {
        "requests_running": 3,
        "requests_waiting": 2,
        "kv_cache_usage_perc": 0.25,
        "prefix_cache_hit_rate": 0.125,
    }
    assert _gauges(json.dumps(ITERATIONS[::-1]).encode())["requests_running"] == 3


@pytest.mark.parametrize("body", ["", "[]", "{}", "[1]", '[{"iter": 1}]', "vllm:x 1"])
def test_where_no_iteration_ran_there_are_no_gauges(body: str) -> None:
    assert _gauges(body.encode()) == {}


@pytest.mark.usefixtures("package")
async def test_a_trial_measures_it_in_the_environment_that_was_registered(
    home: Home, tmp_path: Path, tiny_model: Path
) -> None:
    asked = task(tiny_model)
    flags: dict[str, FlagValue] = {"free_gpu_memory_fraction": 0.01, "backend": "pytorch"}
    spec = TrialSpec(
        session="test",
        ordinal=0,
        purpose="hypothesis",
        candidate=Candidate(config=EngineConfig(engine="tensorrt_llm", flags=flags)),
        model=asked.model,
        workload=asked.workload,
        load=LoadPlan(warmup_s=0.1, round_s=0.6, rounds=1),
        deadline_s=120,
    )
    world = World(home=home, hardware=HARDWARE, logs=tmp_path / "logs", progress=lambda _: None)
    result = (await run_trial(spec, world)).result
    assert result.failure is None
    assert result.measurement
    assert result.launch
    assert result.launch.in_force == {"backend": "pytorch"}
    assert result.integrity
    named = {check.name: check for check in result.integrity.checks}
    assert named["Модель (model identity)"].passed
    assert result.telemetry
    assert result.telemetry.engine["requests_waiting"] == 1
    assert result.telemetry.engine["kv_cache_usage_perc"] == 0.25
