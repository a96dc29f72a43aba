"""What holds for every adapter in the folder, without starting any."""

from pathlib import Path
from typing import Any

import pytest

from knowledge.cards import load_cards
from knowledge.conditions import render
from knowledge.errors import BadInput, UnknownFlag
from knowledge.types import Cause, EngineConfig
from tests.tools.engines.conftest import make_hardware, make_model
from tools.engines import _probe, load, names
from tools.engines.base import Capabilities, FlagCatalog
from tools.envs import Environment, EnvSpec
from tools.home import Home
from tools.load import protocols
from tools.process import free_port

HARDWARE = [make_hardware("cpu"), make_hardware("cuda", 80 * 2**30)]
ENV = Environment(Path("/envs/some"), Path("/envs/some/bin/python"), {})
WRONG = {"bool": "yes", "int": "many", "float": "much", "str": True, "json": "{broken"}
LAUNCHING = [name for name in names() if load(name).capabilities(HARDWARE[0]).launches]


async def _nothing_installed(*_: Any, **__: Any) -> dict[str, Any]:
    """What a probe answers, cut short."""
    flags = [
        {"name": "max-num-seqs", "kind": "int"},
        {"name": "dtype", "kind": "str", "choices": ["auto", "bfloat16"], "default": "auto"},
        {"name": "enforce-eager", "kind": "bool", "negatable": True},
        {"name": "speculative-config", "kind": "json"},
        {"name": "gpu-memory-utilization", "kind": "float"},
        {"name": "trust-remote-code", "kind": "bool", "negatable": True},
    ]
    return {"version": "0.32.0", "flags": flags, "env": ["VLLM_CPU_KVCACHE_SPACE"]}


@pytest.fixture(params=names())
async def catalog(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> FlagCatalog:
    monkeypatch.setattr(_probe, "run_job", _nothing_installed)
    return await load(request.param).catalog(ENV, Home(tmp_path, tmp_path), print)


def config(engine: str, flags: dict[str, Any] | None = None, **env: str) -> EngineConfig:
    return EngineConfig(engine=engine, flags=flags or {}, env=env)


def test_the_folder_is_the_list() -> None:
    assert {"vllm", "llamacpp", "transformers", "attach", "sim"} <= set(names())
    assert {"sglang", "tgi", "tensorrt_llm"} <= set(names())
    with pytest.raises(BadInput, match="vllm"):
        load("vlm")


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("hardware", HARDWARE, ids=["cpu", "cuda"])
def test_describes_itself(name: str, hardware: Any) -> None:
    engine = load(name)
    assert engine.name == name
    assert engine.title
    assert isinstance(engine.capabilities(hardware), Capabilities)
    assert engine.capabilities(hardware).endpoint in protocols.names()
    spec = engine.env_spec(hardware)
    assert spec is None or (isinstance(spec, EnvSpec) and spec.steps and spec.disk_bytes > 0)


def test_catalog_is_of_this_engine_and_keyed_by_flag(catalog: FlagCatalog) -> None:
    assert catalog.engine in names()
    assert catalog.version
    assert catalog.flags
    assert all(name == flag.name for name, flag in catalog.flags.items())


def test_a_misspelt_flag_is_refused_with_the_nearest_one(catalog: FlagCatalog) -> None:
    engine, right = load(catalog.engine), next(iter(catalog.flags))
    with pytest.raises(UnknownFlag) as refusal:
        engine.validate(config(engine.name, {right[:-1]: 1}), catalog)
    assert right[:-1] in refusal.value.message
    assert right in refusal.value.hint


def test_an_unknown_variable_is_refused(catalog: FlagCatalog) -> None:
    engine = load(catalog.engine)
    with pytest.raises(UnknownFlag, match="NO_SUCH_VARIABLE"):
        engine.validate(config(engine.name, NO_SUCH_VARIABLE="1"), catalog)


def test_wrong_types_and_choices_are_refused_for_every_flag(catalog: FlagCatalog) -> None:
    engine = load(catalog.engine)
    for flag in catalog.flags.values():
        with pytest.raises(BadInput, match=flag.name):
            engine.validate(config(engine.name, {flag.name: WRONG[flag.kind]}), catalog)


@pytest.mark.parametrize("name", LAUNCHING)
def test_launches_on_the_loopback_with_nothing_but_what_was_asked(name: str) -> None:
    engine = load(name)

    def argv(flags: dict[str, Any]) -> tuple[str, ...]:
        return engine.launch_plan(
            ENV,
            config(name, flags),
            model=make_model(),
            model_path=Path("/models/derived"),
            port=4321,
            hardware=HARDWARE[0],
        ).argv

    default = argv({})
    named = set() if engine.capabilities(HARDWARE[0]).named_by_path else {"tiny"}
    assert {"/models/derived", "4321", *named} <= set(default)
    assert "0.0.0.0" not in default  # noqa: S104 - must not be there
    asked = argv({"max-num-seqs": 7, "enforce-eager": True, "async-scheduling": False, "seed": -1})
    added = ("--max-num-seqs", "7", "--enforce-eager", "--no-async-scheduling", "--seed=-1")
    assert asked == (*default, *added)


@pytest.mark.parametrize("name", LAUNCHING)
@pytest.mark.parametrize("ours", ["model", "port", "host", "served-model-name", "no-port"])
async def test_what_the_advisor_sets_itself_is_refused(name: str, ours: str) -> None:
    empty = FlagCatalog(engine=name, version="1", flags={})
    with pytest.raises(BadInput, match="advisor"):
        load(name).validate(config(name, {ours: "x"}), empty)


def test_an_endpoint_of_somebody_else_is_not_launched() -> None:
    for name in set(names()) - set(LAUNCHING):
        with pytest.raises(BadInput):
            load(name).launch_plan(
                None,
                config(name),
                model=make_model(),
                model_path=Path("/m"),
                port=1,
                hardware=HARDWARE[0],
            )


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("hardware", HARDWARE, ids=["cpu", "cuda"])
def test_memory_covers_at_least_the_weights(name: str, hardware: Any) -> None:
    engine, model = load(name), make_model()
    needed = engine.memory_needed_bytes(config(name), model, hardware)
    capabilities = engine.capabilities(hardware)
    real = capabilities.launches and not capabilities.simulated
    assert needed >= (model.weights_bytes if real else 0)


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize(
    ("returncode", "tail", "cause"),
    [
        (1, ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB",), "OOM"),
        (-9, ("working",), "OOM"),
        (2, ("server.py: error: unrecognized arguments: --nope",), "FLAG"),
        (2, ("error: invalid value 'fp9' for '--quantize <QUANTIZE>'",), "FLAG"),
        (2, ("Error: Invalid value for '--backend': 'x' is not one of 'pytorch'.",), "FLAG"),
        (1, ("RuntimeError: something else",), "CRASH"),
    ],
)
def test_diagnoses(name: str, returncode: int, tail: tuple[str, ...], cause: str) -> None:
    causes = {"OOM": Cause.OUT_OF_MEMORY, "FLAG": Cause.BAD_FLAG, "CRASH": Cause.CRASH}
    assert load(name).diagnose(returncode, tail) is causes[cause]


@pytest.mark.parametrize("name", ["tgi", "tensorrt_llm"])
async def test_what_the_cards_set_is_among_the_stored_flags(name: str, home: Home) -> None:
    engine = load(name)
    catalog = await engine.catalog(None, home, print)
    facts = {"workload": {"concurrency": 8}}
    changes = [one for card in load_cards() for one in card.changes if one.engine == name]
    assert changes
    for change in changes:
        flags = {flag: render(value, facts) for flag, value in change.flags.items()}
        engine.validate(EngineConfig(engine=name, flags=flags, env=change.env), catalog)


@pytest.mark.parametrize("name", names())
async def test_silence_is_no_settings_and_no_metrics(name: str) -> None:
    assert load(name).in_force("") == {}
    assert await load(name).scrape(f"http://127.0.0.1:{free_port()}") == {}
