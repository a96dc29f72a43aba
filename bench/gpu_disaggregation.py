"""Prefill on one card and decode on another, against two equal replicas on the same two cards.

`python -m bench.gpu_disaggregation MODEL [--dummy-weights] [--flags JSON] [--json FILE]`. Both
deployments get the same closed loops through one address: replicas through vLLM's own data
parallelism, the split through NixlConnector and a small proxy. Needs two cards and nixl in the
engine's environment.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from bench._served import Served, closed, figures, served
from knowledge.types import EngineConfig, Hardware, ModelSpec
from tools._nvml import fingerprints
from tools.hardware import inspect
from tools.home import Home
from tools.load import Target, wait_ready
from tools.models import resolve
from tools.process import ServerProcess, clean_env, free_port

_LOADS = ((64, 1024, 256), (32, 4096, 128), (32, 512, 512))
"""Streams, tokens in, tokens out, each at most."""
_TRANSFER = {"kv_connector": "NixlConnector", "kv_role": "kv_both"}
_PROXY_READY_S = 60.0
_VISIBLE = "CUDA_VISIBLE_DEVICES"


@asynccontextmanager
async def disaggregated(
    config: EngineConfig, model: ModelSpec, hardware: Hardware, home: Home, logs: Path
) -> AsyncGenerator[Served, None]:
    """Two servers, each with a card of its own, behind one address."""
    cards = os.environ.get(_VISIBLE, "0,1").split(",")
    servers: list[Served] = []
    async with AsyncExitStack() as stack:
        for role, card in zip(("prefill", "decode"), cards, strict=False):
            variables = {_VISIBLE: card, "VLLM_NIXL_SIDE_CHANNEL_PORT": str(free_port())}
            one = served(
                config, model, hardware, home, logs / f"{role}.log",
                arguments=("--kv-transfer-config", json.dumps(_TRANSFER)), variables=variables,
            )  # fmt: skip
            servers.append(await stack.enter_async_context(one))
            print(role, "готов за", round(servers[-1].ready_s, 1), "с", flush=True)
        prefill, decode = servers
        port = free_port()
        urls = (prefill.target.base_url, decode.target.base_url, str(port))
        argv = (sys.executable, "-m", "bench._prefill_decode_proxy", *urls)
        proxy = await ServerProcess.start(
            argv, clean_env(), logs / "proxy.log", cwd=Path(__file__).parents[1]
        )
        stack.push_async_callback(proxy.stop)
        url = f"http://127.0.0.1:{port}"
        await wait_ready(url, lambda: proxy.returncode is None, _PROXY_READY_S)
        yield Served(
            target=Target(base_url=url, model=model.name),
            tokenizer=decode.tokenizer,
            ready_s=prefill.ready_s + decode.ready_s,
            version=decode.version,
            process=decode.process,
        )


async def loaded(server: Served, seconds: float) -> list[dict[str, Any]]:
    """Each load twice; the metrics of both rounds."""
    await server.round(closed("warm-up", 8, 512, 16), 2.0)
    found = []
    for streams, inputs, outputs in _LOADS * 2:
        samples = await server.round(closed("load", streams, inputs, outputs), seconds)
        failed = sum(sample.error is not None for sample in samples)
        seen = {m.value: e.model_dump() for m, e in figures(samples, seconds).items()}
        shape = {"streams": streams, "input_tokens": inputs, "output_tokens": outputs}
        found.append({**shape, "requests": len(samples), "failed": failed, "metrics": seen})
        short = {n: round(v["value"], 1) for n, v in seen.items() if n in _SHOWN}
        print(streams, inputs, outputs, failed, short, flush=True)
    return found


_SHOWN = ("output_tokens_per_s", "ttft_p50_ms", "ttft_p95_ms", "tpot_p50_ms", "itl_p99_ms")


async def run(chosen: argparse.Namespace) -> None:
    home = Home.default(os.environ)
    hardware = inspect(home)
    model = await resolve(chosen.model, home, print, dummy_weights=chosen.dummy_weights)
    flags = json.loads(chosen.flags)
    logs = home.data / "bench"
    found: dict[str, Any] = {
        "machine": [card.model_dump(mode="json") for card in fingerprints()],
        "model": model.name,
        "flags": flags,
    }
    split = EngineConfig(engine="vllm", flags=flags)
    replicas = EngineConfig(engine="vllm", flags={**flags, "data-parallel-size": 2})
    deployments = {
        "disaggregated": disaggregated(split, model, hardware, home, logs),
        "replicas": served(replicas, model, hardware, home, logs / "replicas.log"),
    }
    for name, deployment in deployments.items():
        if name not in chosen.only.split(","):
            continue
        async with deployment as server:
            print(name, "готов за", round(server.ready_s, 1), "с", flush=True)
            loads = await loaded(server, chosen.seconds)
            found[name] = {"ready_s": server.ready_s, "loads": loads}
        if chosen.json:
            chosen.json.write_text(json.dumps(found, ensure_ascii=False, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--dummy-weights", action="store_true")
    parser.add_argument("--flags", default="{}", help="of the engine, as JSON")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--only", default="disaggregated,replicas")
    parser.add_argument("--json", type=Path)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
