"""Points for calibration, and what our own telemetry costs: one start, many loads.

`python -m bench.gpu_points MODEL [--dummy-weights] [--flags JSON] [--streams 1,16,64,256]
[--input-tokens 256] [--output-tokens 128] [--json FILE]`. The telemetry is judged by rounds with
and without it in turns, and by the time that one sample takes.
"""

import argparse
import asyncio
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

from advisor.policy.space import candidate_of
from bench._served import Served, closed, figures, served
from knowledge.types import Metric
from tools._nvml import fingerprints
from tools.hardware import inspect
from tools.home import Home
from tools.models import resolve
from tools.telemetry import EVERY_S, Sampler

_INPUT, _OUTPUT = 256, 128
_PAIRS = 8
_OVERHEAD_STREAMS = 64
"""Enough to fill the card; more only makes every round wait longer for its last answers."""
_SAMPLES = 200


async def points(
    server: Served, streams: list[int], seconds: float, inputs: int, outputs: int
) -> list[dict[str, Any]]:
    """Throughput, TTFT and TPOT by the number of streams."""
    found = []
    for count in streams:
        samples = await server.round(closed("grid", count, inputs, outputs), seconds)
        seen = {m.value: e.model_dump() for m, e in figures(samples, seconds).items()}
        shape = {"streams": count, "input_tokens": inputs, "output_tokens": outputs}
        found.append({**shape, "requests": len(samples), "metrics": seen})
        print(count, round(seen[Metric.OUTPUT_TOKENS_PER_S.value]["value"], 1), "ток/с", flush=True)
    return found


async def telemetry_cost(server: Served, streams: int, seconds: float) -> dict[str, Any]:
    """Throughput with the sampler over throughput without, pair by pair, the order alternating."""
    workload = closed("overhead", streams, _INPUT, _OUTPUT)
    ratios = []
    for pair in range(_PAIRS):
        rates = {}
        for sampled in (True, False) if pair % 2 else (False, True):
            if sampled:
                async with Sampler(server.process.pid):
                    samples = await server.round(workload, seconds)
            else:
                samples = await server.round(workload, seconds)
            rates[sampled] = figures(samples, seconds)[Metric.OUTPUT_TOKENS_PER_S].value
        ratios.append(rates[True] / rates[False])
    begun = time.perf_counter()
    async with Sampler(server.process.pid) as sampler:
        for number in range(_SAMPLES):
            await asyncio.to_thread(sampler._sample, number % 4 == 0)
    each_ms = (time.perf_counter() - begun) / _SAMPLES * 1e3
    return {
        "ratio_median": statistics.median(ratios),
        "ratios": ratios,
        "sample_ms": each_ms,
        "samples_per_s": 1 / EVERY_S,
        "busy_share_of_one_core": each_ms / 1e3 / EVERY_S,
    }


async def run(chosen: argparse.Namespace) -> dict[str, Any]:
    home = Home.default(os.environ)
    hardware = inspect(home)
    model = await resolve(chosen.model, home, print, dummy_weights=chosen.dummy_weights)
    config = candidate_of(chosen.engine, json.loads(chosen.flags)).config
    found: dict[str, Any] = {
        "machine": [card.model_dump(mode="json") for card in fingerprints()],
        "model": model.name,
        "config": config.model_dump(mode="json"),
    }
    log = home.data / "bench" / "gpu_points.log"
    async with served(config, model, hardware, home, log) as server:
        found |= {"ready_s": server.ready_s, "engine_version": server.version}
        await server.round(closed("warm-up", 8, _INPUT, 16), 1.0)
        streams = [int(one) for one in chosen.streams.split(",")]
        lengths = chosen.input_tokens, chosen.output_tokens
        found["points"] = await points(server, streams, chosen.seconds, *lengths)
        _write(chosen.json, found)
        if chosen.overhead:
            found["telemetry"] = await telemetry_cost(server, _OVERHEAD_STREAMS, chosen.seconds)
    _write(chosen.json, found)
    return found


def _write(file: Path | None, found: dict[str, Any]) -> None:
    if file:
        file.write_text(json.dumps(found, ensure_ascii=False, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--dummy-weights", action="store_true")
    parser.add_argument("--engine", default="vllm")
    parser.add_argument("--flags", default="{}", help="of the engine, and $VARIABLES, as JSON")
    parser.add_argument("--streams", default="1,16,64,256")
    parser.add_argument("--input-tokens", type=int, default=_INPUT, help="at most")
    parser.add_argument("--output-tokens", type=int, default=_OUTPUT, help="at most")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--overhead", action="store_true", help="judge the telemetry too")
    parser.add_argument("--json", type=Path)
    found = asyncio.run(run(parser.parse_args()))
    if "telemetry" in found:
        print(json.dumps(found["telemetry"], indent=2))


if __name__ == "__main__":
    main()
