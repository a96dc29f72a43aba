"""vLLM and transformers themselves, on the demo model."""

import json
from pathlib import Path
from typing import Any

import pytest

from knowledge.errors import UnknownFlag
from knowledge.types import Cause, EngineConfig, FlagValue
from tests.tools.engines.conftest import Server, environment_of, launched
from tools.engines import load
from tools.home import Home

pytestmark = pytest.mark.engine

SENTENCE = "The capital of France is Paris, and the capital of Italy is Rome."
ENGINES: list[tuple[str, dict[str, FlagValue], dict[str, str]]] = [
    ("transformers", {"dtype": "float32", "threads": 2}, {}),
    ("transformers", {"dtype": "float32", "threads": 2, "host-memory-gib": 0.25}, {}),
    (
        "vllm",
        {"enforce-eager": True, "max-num-seqs": 4, "enable-prefix-caching": False},
        {"VLLM_CPU_KVCACHE_SPACE": "1"},
    ),
]


async def logprobs(server: Server, **fields: Any) -> dict[str, Any]:
    status, answer = await server.post(
        "/v1/completions", prompt=SENTENCE, max_tokens=1, temperature=0, **fields
    )
    assert status == 200, answer
    choice: dict[str, Any] = answer["choices"][0]
    return choice


@pytest.mark.parametrize(
    ("name", "flags", "variables"), ENGINES, ids=["transformers", "offload", "vllm"]
)
async def test_serves_scores_and_says_its_settings(
    name: str,
    flags: dict[str, FlagValue],
    variables: dict[str, str],
    demo_model: Path,
    real_home: Home,
    tmp_path: Path,
) -> None:
    engine, env = load(name), await environment_of(name, real_home)
    catalog = await engine.catalog(env, real_home, print)
    engine.validate(EngineConfig(engine=name, flags=flags, env=variables), catalog)
    log = tmp_path / "engine.log"
    async with launched(
        name, log, flags, variables=variables, model_path=demo_model, env=env
    ) as server:
        assert await server.ready(), server.process.log_tail()
        await _streams_exactly_what_was_asked(server)
        await _scores_text_in_both_dialects(server)
        in_force = engine.in_force(log.read_text())
        expected = {n: json.dumps(v).strip('"') for n, v in flags.items()}
        assert expected.items() <= in_force.items()
        if "host-memory-gib" in flags:
            assert json.loads(in_force["offload"])["disk"] > 0
        counters = await engine.scrape(server.url)
        assert not counters or counters["generation_tokens"] >= 12
    assert server.process.returncode is not None


async def _streams_exactly_what_was_asked(server: Server) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    *events, last = await server.stream(
        "/v1/completions",
        prompt="The capital of France is",
        max_tokens=12,
        temperature=0,
        ignore_eos=True,
        stream_options=options,
    )
    assert last["usage"]["completion_tokens"] == 12
    assert [event["usage"]["completion_tokens"] for event in events] == list(range(1, 13))
    assert events[-1]["choices"][0]["finish_reason"] == "length"
    text = "".join(event["choices"][0]["text"] for event in events)
    assert text.startswith(" Paris")


async def _scores_text_in_both_dialects(server: Server) -> None:
    first, *rest = (await logprobs(server, prompt_logprobs=0))["prompt_logprobs"]
    values = [next(iter(entry.values()))["logprob"] for entry in rest]
    assert first is None
    # Seen with vLLM in bfloat16 and transformers in float32: -2.5 to -2.4 nats per token.
    assert -4 < sum(values) / len(values) < -1
    echoed = (await logprobs(server, echo=True, logprobs=1))["logprobs"]["token_logprobs"]
    assert echoed[1 : len(values) + 1] == pytest.approx(values, abs=0.1)


async def test_vllm_says_which_flags_it_has(real_home: Home) -> None:
    engine, env = load("vllm"), await environment_of("vllm", real_home)
    catalog = await engine.catalog(env, real_home, print)
    flags = catalog.flags
    assert flags["max-num-seqs"].kind == "int"
    assert flags["dtype"].choices[:2] == ("auto", "bfloat16")
    assert flags["enable-chunked-prefill"].negatable
    assert flags["speculative-config"].kind == "json"
    assert flags["gpu-memory-utilization"].kind == "float"
    assert flags["max-num-batched-tokens"].kind == "int"
    assert flags["quantization"].kind == "str"
    assert {"VLLM_CPU_KVCACHE_SPACE", "VLLM_CPU_OMP_THREADS_BIND"} <= set(catalog.env)
    with pytest.raises(UnknownFlag, match="max-num-seq"):
        engine.validate(EngineConfig(engine="vllm", flags={"max-num-seq": 1}), catalog)


async def test_vllm_that_asks_for_too_much_memory_is_out_of_memory(
    demo_model: Path, real_home: Home, tmp_path: Path
) -> None:
    env = await environment_of("vllm", real_home)
    too_much = {"VLLM_CPU_KVCACHE_SPACE": "4000"}
    async with launched(
        "vllm",
        tmp_path / "engine.log",
        {"enforce-eager": True},
        variables=too_much,
        model_path=demo_model,
        env=env,
    ) as server:
        assert not await server.ready()
        tail = server.process.log_tail(200)
        assert load("vllm").diagnose(server.process.returncode, tail) is Cause.OUT_OF_MEMORY
