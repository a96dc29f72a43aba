import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from knowledge.types import (
    Device,
    EngineConfig,
    FlagValue,
    Hardware,
    ModelSpec,
)
from tests.smollm2 import FACTS
from tools.engines import load
from tools.envs import Environment, ensure
from tools.home import Home
from tools.load.http import fetch
from tools.process import ServerProcess, clean_env, free_port


def make_hardware(kind: str = "cpu", memory_bytes: int = 24 * 2**30) -> Hardware:
    device = Device(
        name=kind,
        kind=kind,
        memory_bytes=memory_bytes,
        bandwidth_bytes_per_s=1e10,
        flops_per_s={"float32": 1e11},
    )
    return Hardware(device=device, cpu_name="x", cores=2, host_memory_bytes=memory_bytes)


def make_model(path: Path = Path("/models/tiny"), max_position: int = 8192) -> ModelSpec:
    """The shape of SmolLM2-135M."""
    facts = FACTS.replace(max_position=max_position)
    return ModelSpec(
        name="tiny", path=str(path), fingerprint="f", weights_bytes=538_060_032, facts=facts
    )


class Server:
    """A running engine, as a test looks at it."""

    def __init__(self, url: str, process: ServerProcess, log: Path) -> None:
        self.url, self.process, self.log = url, process, log

    async def post(self, path: str, **fields: Any) -> tuple[int, dict[str, Any]]:
        body = json.dumps({"model": "tiny", **fields}).encode()
        answer = await fetch(self.url, path, method="POST", body=body, timeout_s=120)
        return answer.status, json.loads(answer.content)

    async def stream(self, path: str, **fields: Any) -> list[dict[str, Any]]:
        """The events of a whole answer, without the closing [DONE]."""
        body = json.dumps({"model": "tiny", "stream": True, **fields}).encode()
        answer = await fetch(self.url, path, method="POST", body=body, timeout_s=120)
        assert answer.status == 200
        *events, done = answer.content.decode().strip().split("\n\n")
        assert done == "data: [DONE]"
        return [json.loads(event.removeprefix("data: ")) for event in events]

    async def ready(self) -> bool:
        """False when the process ends first."""
        while self.process.returncode is None:
            try:
                if (await fetch(self.url, "/health", timeout_s=5)).status == 200:
                    return True
            except (OSError, TimeoutError):
                await asyncio.sleep(0.02)
        return False


async def environment_of(name: str, home: Home) -> Environment | None:
    spec = load(name).env_spec(make_hardware())
    return await ensure(spec, home, print) if spec else None


@asynccontextmanager
async def launched(
    name: str,
    log: Path,
    flags: dict[str, FlagValue],
    *,
    variables: dict[str, str] | None = None,
    model_path: Path = Path("/models/tiny"),
    env: Environment | None = None,
) -> AsyncGenerator[Server, None]:
    """An engine started the way the trial starts it; not waited for."""
    port = free_port()
    plan = load(name).launch_plan(
        env,
        EngineConfig(engine=name, flags=flags, env=variables or {}),
        model=make_model(model_path),
        model_path=model_path,
        port=port,
        hardware=make_hardware(),
    )
    process = await ServerProcess.start(plan.argv, clean_env(plan.env), log)
    try:
        yield Server(f"http://127.0.0.1:{port}", process, log)
    finally:
        await process.stop(grace_s=10)


StartSim = Callable[..., Awaitable[Server]]


@pytest.fixture
async def start_sim(tmp_path: Path) -> AsyncGenerator[StartSim, None]:
    """Start simulated servers, a hundred times as fast as the figures they model."""
    async with AsyncExitStack() as stack:

        async def start(
            *, wait: bool = True, variables: dict[str, str] | None = None, **flags: FlagValue
        ) -> Server:
            named = {name.replace("_", "-"): value for name, value in flags.items()}
            context = launched(
                "sim", tmp_path / "sim.log", {"time-scale": 0.01, **named}, variables=variables
            )
            server = await stack.enter_async_context(context)
            if wait:
                assert await server.ready()
            return server

        yield start
