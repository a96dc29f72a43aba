"""TGI: the stored flags, Rust's notation in its log, and a trial of a server that speaks for it."""

import sys
from pathlib import Path

import pytest

from knowledge.errors import BadInput, BadModel, UnknownFlag
from knowledge.types import Candidate, Cause, EngineConfig, FlagValue, LoadPlan, TrialSpec
from tests.advisor.simulated import HARDWARE, task
from tests.tools.engines.conftest import make_hardware, make_model
from tools.engines import load
from tools.engines._metrics import short
from tools.engines.base import FlagCatalog
from tools.home import Home
from tools.preparing import World
from tools.trial import run_trial

ENGINE = load("tgi")
CUDA = make_hardware("cuda", 80 * 2**30)
FAKE = Path(__file__).with_name("fake_servers.py")
ONE_LINE = (
    '2023-09-10T18:20:48.267361Z  INFO text_generation_launcher: Args { model_id: "/m", '
    "num_shard: Some(4), quantize: Some(BitsandbytesNf4), kv_cache_dtype: Some(Fp8e4m3fn), "
    "dtype: None, cuda_memory_fraction: 1.0, cors_allow_origin: [], ngrok: false }\n"
    "2023-09-10T18:20:48.267400Z  INFO text_generation_launcher: Sharding model on 4 processes\n"
)


@pytest.fixture
async def catalog(home: Home) -> FlagCatalog:
    return await ENGINE.catalog(None, home, print)


@pytest.fixture
def launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """On PATH, as in the container."""
    script = tmp_path / "bin" / "text-generation-launcher"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {sys.executable} {FAKE} tgi "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent), prepend=":")
    return script


def config(**flags: FlagValue) -> EngineConfig:
    return EngineConfig(
        engine="tgi", flags={name.replace("_", "-"): value for name, value in flags.items()}
    )


async def test_the_stored_flags_name_their_version(catalog: FlagCatalog) -> None:
    assert catalog.version == "3.3"
    good = config(quantize="fp8", kv_cache_dtype="fp8_e4m3fn", speculate=3, cuda_graphs="1,2,4")
    ENGINE.validate(good, catalog)
    with pytest.raises(UnknownFlag, match="max-batch-prefill-token"):
        ENGINE.validate(config(max_batch_prefill_token=4096), catalog)
    with pytest.raises(BadInput, match="fp8"):
        ENGINE.validate(config(quantize="fp9"), catalog)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("trust-remote-code", True),
        ("api-key", "k"),
        ("ngrok", True),
        ("ngrok-authtoken", "k"),
        ("cors-allow-origin", "*"),
        ("otlp-endpoint", "http://elsewhere"),
        ("master-addr", "0.0.0.0"),  # noqa: S104 - must be refused
    ],
)
async def test_what_opens_the_server_or_loads_code_is_refused(
    catalog: FlagCatalog, flag: str, value: FlagValue
) -> None:
    with pytest.raises(BadInput, match="не разрешён"):
        ENGINE.validate(config(**{flag: value}), catalog)


async def test_variables_of_its_own_are_known(catalog: FlagCatalog) -> None:
    ENGINE.validate(EngineConfig(engine="tgi", env={"PREFIX_CACHING": "0"}), catalog)
    with pytest.raises(UnknownFlag):
        ENGINE.validate(EngineConfig(engine="tgi", env={"HF_TOKEN": "k"}), catalog)


def test_it_is_said_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "CUDA" in ENGINE.capabilities(make_hardware("cpu")).unavailable
    said = ENGINE.capabilities(CUDA).unavailable
    assert "text-generation-launcher" in said
    assert "контейнер" in said
    assert "\n" not in said


def test_nothing_is_missing_where_the_launcher_is_on_path(launcher: Path) -> None:
    assert ENGINE.capabilities(CUDA).unavailable == ""
    plan = ENGINE.launch_plan(
        None, config(), model=make_model(), model_path=Path("/m"), port=4321, hardware=CUDA
    )
    assert plan.argv[0] == str(launcher)
    assert plan.argv[1:] == (
        *("--model-id", "/m", "--hostname", "127.0.0.1", "--port", "4321"),
        *("--usage-stats", "off"),
    )


def test_random_weights_are_refused() -> None:
    model = make_model().replace(dummy_weights=True)
    with pytest.raises(BadModel, match="без весов"):
        ENGINE.launch_plan(
            None, config(), model=model, model_path=Path("/m"), port=1, hardware=CUDA
        )


def test_memory_is_what_it_fills() -> None:
    def needed(**flags: FlagValue) -> float:
        return ENGINE.memory_needed_bytes(config(**flags), make_model(), CUDA) / 2**30

    assert needed(cuda_memory_fraction=0.5) == pytest.approx(40)
    assert needed() == needed(cuda_memory_fraction=1.0) == pytest.approx(76)


def test_its_arguments_are_read_back_as_the_command_line_spells_them() -> None:
    seen = ENGINE.in_force(ONE_LINE)
    assert seen["model-id"] == "/m"
    assert seen["num-shard"] == "4"
    assert seen["quantize"] == "bitsandbytes-nf4"
    assert seen["kv-cache-dtype"] == "fp8_e4m3fn"
    assert seen["dtype"] == "none"
    assert seen["ngrok"] == "false"
    assert "cors-allow-origin" not in seen
    assert ENGINE.in_force("INFO text_generation_launcher: Args { cut") == {}


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        (
            "Server error: Not enough memory to handle 4096 prefill tokens. You need to decrease "
            "`--max-batch-prefill-tokens`",
            Cause.OUT_OF_MEMORY,
        ),
        (
            'Error: ArgumentValidation("`max_input_tokens` must be < `max_total_tokens`")',
            Cause.BAD_FLAG,
        ),
        ("error: unexpected argument '--nope' found", Cause.BAD_FLAG),
        ("ShardCannotStart", Cause.CRASH),
    ],
)
def test_its_last_words_tell_the_cause(line: str, cause: Cause) -> None:
    assert ENGINE.diagnose(1, (line,)) is cause


def test_its_metrics_have_the_same_short_names_as_those_of_others() -> None:
    exposition = (
        "# TYPE tgi_batch_current_size gauge\ntgi_batch_current_size 3\n\n"
        "# TYPE tgi_queue_size gauge\ntgi_queue_size 5\n\n"
        'tgi_request_input_length_bucket{le="10.24"} 7\n'
        "tgi_request_input_length_sum 1200\ntgi_request_input_length_count 7\n"
        "tgi_request_generated_tokens_sum 340\ntgi_request_generated_tokens_count 4\n"
        'tgi_batch_inference_count{method="decode"} 99\n'
    )
    assert short(exposition) == {
        "requests_running": 3,
        "requests_waiting": 5,
        "prompt_tokens": 1200,
        "generation_tokens": 340,
    }


@pytest.mark.usefixtures("launcher")
async def test_a_trial_measures_it_in_its_own_protocol(
    home: Home, tmp_path: Path, tiny_model: Path
) -> None:
    asked = task(tiny_model)
    flags: dict[str, FlagValue] = {"cuda-memory-fraction": 0.01, "quantize": "fp8"}
    spec = TrialSpec(
        session="test",
        ordinal=0,
        purpose="hypothesis",
        candidate=Candidate(config=EngineConfig(engine="tgi", flags=flags)),
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
    assert result.launch.in_force["quantize"] == "fp8"
    assert result.integrity
    named = {check.name: check for check in result.integrity.checks}
    assert named["Модель (model identity)"].passed
    assert named["Модель (model identity)"].asked == asked.model.path
    assert result.telemetry
    assert result.telemetry.engine["requests_running"] == 3
    assert result.telemetry.engine["generation_tokens"] > 0
    assert result.quality is None
