"""Triton: its configuration, what it counts, and the real server on the demo model."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from knowledge.errors import BadModel
from knowledge.types import EngineConfig, FlagValue
from tests.tools.engines.conftest import Server, environment_of, launched, make_hardware, make_model
from tools.engines import load
from tools.engines._in_env.triton_options import build_parser, config_pbtxt
from tools.home import Home
from tools.load.http import fetch
from tools.load.probe import wait_ready

ENGINE = load("triton")
_READY_S = 120.0


def pbtxt(*more: str, cuda: bool = False) -> str:
    required = ["--model", '/m/with "quotes"', "--served-model-name", "tiny", "--port", "1"]
    return config_pbtxt(build_parser().parse_args([*required, *more]), cuda=cuda)


def test_the_configuration_joins_requests_and_counts_instances() -> None:
    text = pbtxt("--instance-count", "2", "--max-queue-delay-microseconds", "5000")
    assert "dynamic_batching { max_queue_delay_microseconds: 5000 }" in text
    assert "instance_group [ { count: 2 kind: KIND_CPU } ]" in text
    assert "max_batch_size: 8" in text
    assert r'string_value: "/m/with \"quotes\""' in text
    assert "KIND_GPU" in pbtxt(cuda=True)


def test_without_dynamic_batching_a_request_is_a_batch() -> None:
    text = pbtxt("--no-dynamic-batching")
    assert "dynamic_batching" not in text
    assert "max_batch_size: 1" in text


def test_every_instance_needs_weights_of_its_own() -> None:
    def needed(count: int) -> int:
        config = EngineConfig(engine="triton", flags={"instance-count": count})
        return ENGINE.memory_needed_bytes(config, make_model(), make_hardware())

    assert needed(3) == 3 * needed(1)


def test_a_model_without_weights_is_refused() -> None:
    with pytest.raises(BadModel, match="без весов"):
        ENGINE.launch_plan(
            None,
            EngineConfig(engine="triton"),
            model=make_model().replace(dummy_weights=True),
            model_path=Path("/m"),
            port=1,
            hardware=make_hardware(),
        )


async def ask(server: Server, text: str, tokens: int) -> list[dict[str, Any]]:
    """The events of one answer."""
    fields = {"text_input": text, "max_tokens": tokens, "stream": True, "ignore_eos": True}
    answer = await fetch(
        server.url,
        "/v2/models/tiny/generate_stream",
        method="POST",
        body=json.dumps(fields).encode(),
        timeout_s=120,
    )
    assert answer.status == 200, answer.content
    events = answer.content.decode().strip().split("\n\n")
    return [json.loads(event.removeprefix("data: ")) for event in events]


@pytest.mark.engine
async def test_the_real_server_joins_what_waits_to_one_batch(
    demo_model: Path, real_home: Home, tmp_path: Path
) -> None:
    env = await environment_of("triton", real_home)
    flags: dict[str, FlagValue] = {
        "max-batch-size": 4,
        "max-queue-delay-microseconds": 200_000,
        "dtype": "float32",
    }
    log = tmp_path / "engine.log"
    async with launched("triton", log, flags, model_path=demo_model, env=env) as server:
        alive = server.process
        await wait_ready(server.url, lambda: alive.returncode is None, _READY_S, "/v2/health/ready")
        events = await ask(server, "The capital of France is", 12)
        text = "".join(event["text_output"] for event in events)
        assert text.startswith(" Paris")
        assert [event["output_tokens"] for event in events] == list(range(1, 13))
        assert {event["input_tokens"] for event in events} == {5}
        one = (await ENGINE.scrape(server.url))["executions"]
        prompts = ["The capital of France is", "One, two, three,", "A", "The capital of Italy is"]
        answers = await asyncio.gather(*(ask(server, prompt, 12) for prompt in prompts))
        assert "".join(e["text_output"] for e in answers[0]) == text  # padding changes nothing
        assert "Rome" in "".join(e["text_output"] for e in answers[3])
        counted = await ENGINE.scrape(server.url)
        assert counted["requests"] == 5
        assert counted["executions"] - one < len(prompts)
        in_force = ENGINE.in_force(log.read_text())
        assert in_force["max-batch-size"] == "4"
    assert server.process.returncode is not None
