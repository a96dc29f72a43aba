"""python -m tools.engines._sim --model FOLDER --served-model-name NAME --port N …"""

import argparse
import asyncio
import json
import os
import sys
import time
import zlib
from collections.abc import AsyncGenerator
from pathlib import Path

from tools.engines._in_env.openai_http import Ask, Piece, TokenScore, serve
from tools.engines._sim.cost import Cost
from tools.engines._sim.options import build_parser
from tools.engines._sim.scheduler import Scheduler

_CHARACTERS_PER_TOKEN = 4
_VOCABULARY = 49_152
_NO_SETTINGS = ("model", "served_model_name", "host", "port")


class SimulatedServer:
    """Answers like a server whose steps take the time that the cost model gives."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.model = options.served_model_name
        self.max_model_len = options.max_model_len
        self.cost = Cost(options, os.environ)
        self.scheduler = Scheduler(options, self.cost)
        self._tokenizer = _tokenizer(Path(options.model))

    def encode(self, ask: Ask) -> list[int]:
        """The model's own tokens where it has a tokenizer.json; else four characters are one."""
        if isinstance(ask.prompt, list):
            return ask.prompt
        text = ask.prompt or json.dumps(ask.messages, ensure_ascii=False)
        if self._tokenizer is not None:
            ids: list[int] = self._tokenizer.encode(text).ids
            return ids
        cuts = range(0, len(text), _CHARACTERS_PER_TOKEN)
        return [
            zlib.crc32(text[i : i + _CHARACTERS_PER_TOKEN].encode()) % _VOCABULARY for i in cuts
        ]

    def generate(self, ask: Ask, ids: list[int], max_tokens: int) -> AsyncGenerator[Piece, None]:
        return self.scheduler.generate(ask, ids, max_tokens)

    async def score(self, ids: list[int]) -> list[TokenScore]:
        logprobs = self.cost.logprobs(ids)
        return [TokenScore(i, f"<{i}>", p) for i, p in zip(ids[1:], logprobs, strict=True)]

    def metrics(self) -> str | None:
        return self.scheduler.metrics()


def _tokenizer(model: Path):  # type: ignore[no-untyped-def]  # tokenizers has no types
    if not (model / "tokenizer.json").exists():
        return None
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(model / "tokenizer.json"))


def _settings(options: argparse.Namespace, cost: Cost) -> dict[str, object]:
    flags = {k.replace("_", "-"): v for k, v in vars(options).items() if k not in _NO_SETTINGS}
    return flags | {"SIM_THREADS": cost.threads, "SIM_KVCACHE_TOKENS": cost.kv_tokens}


def _start_badly(options: argparse.Namespace) -> None:
    """The faults that come before the server listens."""
    if options.oom_at_start:
        print("MemoryError: cannot allocate memory for the KV cache", flush=True)
        sys.exit(1)
    if options.hang_at_start:
        time.sleep(1e6)
    time.sleep(options.slow_start_s)


async def _crash(after_s: float | None) -> None:
    if after_s is not None:
        await asyncio.sleep(after_s)
        print("RuntimeError: simulated crash", flush=True)
        os._exit(1)


async def _run(options: argparse.Namespace) -> None:
    server = SimulatedServer(options)
    print("settings:", json.dumps(_settings(options, server.cost)), flush=True)
    await asyncio.gather(
        serve(server, options.host, options.port),
        server.scheduler.run(),
        _crash(options.crash_after_s),
    )


def main() -> None:
    """Serve until killed."""
    options = build_parser().parse_args()
    _start_badly(options)
    if options.distributed_executor_backend == "ray":
        from tools.engines._sim.cluster import hold_gpus

        hold_gpus(options.tensor_parallel_size)
    asyncio.run(_run(options))


if __name__ == "__main__":
    main()
