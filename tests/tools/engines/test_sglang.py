"""SGLang: the stored flags, what it says of itself, and its metrics under its own names."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from knowledge.errors import BadInput, UnknownFlag
from knowledge.types import EngineConfig, FlagValue
from tests.tools.engines.conftest import make_hardware, make_model
from tools.engines import load
from tools.engines.base import FlagCatalog
from tools.home import Home

ENGINE = load("sglang")
CUDA = make_hardware("cuda", 80 * 2**30)
STARTED = (
    "[2026-11-25 14:00:00] server_args=ServerArgs(model_path='/m', dtype='auto', "
    "mem_fraction_static=0.88, cuda_graph_config=Config(decode=1), enable_metrics=True, "
    "quantization=None, tp_size=1)\n"
)
METRICS = """\
# TYPE sglang:num_running_reqs gauge
sglang:num_running_reqs{model_name="tiny",tp_rank="0"} 3.0
sglang:num_queue_reqs{model_name="tiny",tp_rank="0"} 2.0
sglang:token_usage{model_name="tiny",tp_rank="0"} 0.28
sglang:cache_hit_rate{model_name="tiny",tp_rank="0"} 0.5
sglang:spec_accept_rate{model_name="tiny",tp_rank="0"} 0.7
sglang:num_retracted_requests_total{model_name="tiny"} 4.0
sglang:prompt_tokens_total{model_name="tiny"} 1200.0
sglang:generation_tokens_total{model_name="tiny"} 340.0
"""


@pytest.fixture
async def catalog(home: Home) -> FlagCatalog:
    return await ENGINE.catalog(None, home, print)


def config(**flags: FlagValue) -> EngineConfig:
    return EngineConfig(
        engine="sglang", flags={name.replace("_", "-"): value for name, value in flags.items()}
    )


async def test_the_stored_flags_name_their_version(catalog: FlagCatalog) -> None:
    assert catalog.version == "0.5.23"
    assert {"fa3", "flashinfer"} <= set(catalog.flags["attention-backend"].choices)
    good = config(mem_fraction_static=0.8, attention_backend="fa3", cpu_offload_gb=4)
    ENGINE.validate(good, catalog)
    with pytest.raises(UnknownFlag, match="mem-fraction"):
        ENGINE.validate(config(mem_fraction=0.8), catalog)
    for unsafe in ("trust_remote_code", "enable_custom_logit_processor"):
        with pytest.raises(BadInput, match="не разрешён"):
            ENGINE.validate(config(**{unsafe: True}), catalog)


def test_it_is_said_where_it_does_not_run() -> None:
    assert "CUDA" in ENGINE.capabilities(make_hardware("cpu")).unavailable
    assert ENGINE.capabilities(CUDA).unavailable == ""


def test_memory_is_the_static_share() -> None:
    def needed(**flags: FlagValue) -> float:
        return ENGINE.memory_needed_bytes(config(**flags), make_model(), CUDA) / 2**30

    assert needed(mem_fraction_static=0.5) == pytest.approx(40)
    assert needed() == pytest.approx(72)


def test_its_arguments_are_read_back() -> None:
    seen = ENGINE.in_force(STARTED)
    assert seen["mem-fraction-static"] == "0.88"
    assert seen["dtype"] == "auto"
    assert seen["enable-metrics"] == "true"
    assert "cuda-graph-config" not in seen
    assert ENGINE.in_force("server_args=ServerArgs(broken") == {}


@asynccontextmanager
async def answering(body: str) -> AsyncGenerator[str, None]:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        found = request.startswith(b"GET /metrics ")
        head = f"HTTP/1.1 {200 if found else 404} X\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write((head + body).encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await asyncio.sleep(0.01)


async def test_its_metrics_have_the_same_short_names_as_those_of_others() -> None:
    async with answering(METRICS) as url:
        assert await ENGINE.scrape(url) == {
            "requests_running": 3,
            "requests_waiting": 2,
            "prompt_tokens": 1200,
            "generation_tokens": 340,
            "num_preemptions": 4,
            "kv_cache_usage_perc": 0.28,
            "prefix_cache_hit_rate": 0.5,
            "spec_decode_acceptance_rate": 0.7,
        }


async def test_metrics_of_llama_cpp_tell_cached_tokens_and_accepted_drafts() -> None:
    text = """\
llamacpp:prompt_tokens_total 60
llamacpp:prompt_tokens_cached_total 20
llamacpp:tokens_predicted_total 11
llamacpp:spec_decode_num_draft_tokens_total 10
llamacpp:spec_decode_num_accepted_tokens_total 4
llamacpp:requests_processing 1
llamacpp:requests_deferred 5
"""
    async with answering(text) as url:
        seen = await load("llamacpp").scrape(url)
    assert seen["prefix_cache_hit_rate"] == pytest.approx(0.25)
    assert seen["spec_decode_acceptance_rate"] == pytest.approx(0.4)
    assert (seen["requests_running"], seen["requests_waiting"]) == (1, 5)
