"""InferenceBench's four scenarios: naive PyTorch, the engine's default, and our hand-in.

`python -m bench.inferencebench MODEL [--dummy-weights] [--session last] [--cut 20] [--json FILE]`

The scenarios are those of the public benchmark: A 8192/1024, one stream, TTFT; B 1024/8192, one
stream, TPOT; C 1024/1024, a burst of 64, then 32/s capped at 32, then 16/s capped at 16, requests
per second; D 4096/2048, four streams, the geometric mean of 1/TTFT, 1/TPOT and requests per second.
Where it differs is printed: each phase is cut to `--cut` seconds, answers that don't matter to the
metric are shorter, constant arrivals are drawn as Poisson, and naive PyTorch, which serves one
request at a time, gets its requests per second from its TTFT and TPOT.
"""

import argparse
import asyncio
import json
import math
import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench._served import Served, closed, figures, served
from knowledge.types import EngineConfig, Metric, Poisson, RequestSample, Workload
from tools.hardware import inspect
from tools.home import Home
from tools.models import resolve

SHAPES = {"a": (8192, 1024), "b": (1024, 8192), "c": (1024, 1024), "d": (4096, 2048)}
NAIVE = "naive"
_CUTS = (
    "фазы обрезаны до {cut} с; ответы в A — {a} токенов, в B — {b}: на TTFT и TPOT это не влияет; "
    "постоянный поток в C заменён на Poisson; req/s наивного PyTorch посчитан по его TTFT и TPOT"
)
_A_OUTPUT, _B_OUTPUT = 32, 1024


@dataclass
class Row:
    """One configuration in the four scenarios; None where it was not measured."""

    name: str
    config: dict[str, Any]
    ready_s: float | None = None
    version: str = ""
    ttft_a_ms: float | None = None
    tpot_b_ms: float | None = None
    requests_per_s_c: float | None = None
    c_phases: dict[str, float] = field(default_factory=dict)
    ttft_d_ms: float | None = None
    tpot_d_ms: float | None = None
    requests_per_s_d: float | None = None
    requests: int = 0
    failed: int = 0
    error: str | None = None

    def gains_over(self, naive: "Row") -> dict[str, float]:
        """Speed-up by scenario; those that both were measured in."""
        d = [
            _ratio(naive.ttft_d_ms, self.ttft_d_ms),
            _ratio(naive.tpot_d_ms, self.tpot_d_ms),
            _ratio(self.requests_per_s_d, naive.requests_per_s_d),
        ]
        found = {
            "a": _ratio(naive.ttft_a_ms, self.ttft_a_ms),
            "b": _ratio(naive.tpot_b_ms, self.tpot_b_ms),
            "c": _ratio(self.requests_per_s_c, naive.requests_per_s_c),
            "d": _mean([one for one in d if one]) if all(d) else None,
        }
        return {name: value for name, value in found.items() if value}


def _ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above and below else None


def _mean(values: list[float]) -> float:
    """Geometric."""
    return math.exp(sum(map(math.log, values)) / len(values))


async def naive(server: Served, row: Row) -> None:
    """One request at a time: TTFT of each length, TPOT of a short answer, rates from both."""
    await server.round(closed("warm-up", 1, SHAPES["a"][0], 8), 0.1)
    for name, (inputs, outputs) in SHAPES.items():
        samples = await server.round(closed(name, 1, inputs, 48), 0.2)
        seen = _note(row, samples, 0.2)
        ttft, tpot = seen[Metric.TTFT_P50_MS], seen[Metric.TPOT_P50_MS]
        rate = 1e3 / (ttft + tpot * (0.9 * outputs - 1))
        if name == "a":
            row.ttft_a_ms = ttft
        elif name == "b":
            row.tpot_b_ms = tpot
        elif name == "c":
            row.requests_per_s_c = rate
        else:
            row.ttft_d_ms, row.tpot_d_ms, row.requests_per_s_d = ttft, tpot, rate


async def batched(server: Served, row: Row, cut_s: float) -> None:
    """The scenarios as they are, but for the cuts."""
    await server.round(closed("warm-up", 4, SHAPES["b"][0], 32), 1.0)
    b_output = min(_B_OUTPUT, SHAPES["b"][1])
    third = cut_s / 3
    samples = await server.round(closed("a", 1, SHAPES["a"][0], _A_OUTPUT), third)
    row.ttft_a_ms = _note(row, samples, third)[Metric.TTFT_P50_MS]
    samples = await server.round(closed("b", 1, SHAPES["b"][0], b_output), third)
    row.tpot_b_ms = _note(row, samples, third)[Metric.TPOT_P50_MS]
    await _scenario_c(server, row, cut_s)
    long_s = 1.5 * cut_s
    seen = _note(row, await server.round(closed("d", 4, *SHAPES["d"]), long_s), long_s)
    row.ttft_d_ms, row.tpot_d_ms = seen[Metric.TTFT_P50_MS], seen[Metric.TPOT_P50_MS]
    # Requests are few and long: their rate is that of their tokens.
    row.requests_per_s_d = seen[Metric.OUTPUT_TOKENS_PER_S] / (0.9 * SHAPES["d"][1])


async def _scenario_c(server: Served, row: Row, cut_s: float) -> None:
    finished, seconds = 0, 0.0
    phases: dict[str, tuple[Workload, float]] = {
        "burst": (closed("c", 64, *SHAPES["c"]), 0.1),
        "poisson_32": (_open(32), cut_s),
        "poisson_16": (_open(16), cut_s),
    }
    for name, (workload, length) in phases.items():
        samples = await server.round(workload, length)
        _note(row, samples, length)
        done = [s.last_token_s for s in samples if s.ok and s.last_token_s is not None]
        taken = max(done, default=0.0)
        row.c_phases[name] = len(done) / taken if taken else 0.0
        finished, seconds = finished + len(done), seconds + taken
    row.requests_per_s_c = finished / seconds if seconds else None


def _open(rate: int) -> Workload:
    arrival = Poisson(rate_per_s=rate, max_in_flight=rate)
    return closed("c", 1, *SHAPES["c"]).replace(arrival=arrival)


def _note(row: Row, samples: tuple[RequestSample, ...], seconds: float) -> dict[Metric, float]:
    row.requests += len(samples)
    row.failed += sum(not s.ok and s.error != "cut" for s in samples)
    return {metric: seen.value for metric, seen in figures(samples, seconds).items()}


def handed_in(session: str, home: Home) -> EngineConfig:
    """The configuration of a finished session."""
    from advisor import outcome
    from tools.store import Store

    with Store.open(home.store, "bench inferencebench") as store:
        row = store.sessions()[0] if session == "last" else store.session(session)
        best = outcome.handed_in(store.record(row.session))
    if best is None:
        raise SystemExit(f"сессия {row.session} ничего не сдала")
    return best.spec.candidate.config


async def run(chosen: argparse.Namespace) -> dict[str, Any]:
    home = Home.default(os.environ)
    hardware = inspect(home)
    model = await resolve(chosen.model, home, print, dummy_weights=chosen.dummy_weights)
    configs = {
        NAIVE: EngineConfig(engine="transformers"),
        "default": EngineConfig(engine=chosen.engine),
    }
    if chosen.session:
        configs["ours"] = handed_in(chosen.session, home)
    elif chosen.ours:
        configs["ours"] = EngineConfig(engine=chosen.engine, flags=json.loads(chosen.ours))
    rows: list[Row] = []
    for name, lengths in SHAPES.items():
        SHAPES[name] = (int(lengths[0] * chosen.scale), int(lengths[1] * chosen.scale))
    cuts = _CUTS.format(cut=chosen.cut, a=_A_OUTPUT, b=_B_OUTPUT)
    if chosen.scale != 1:
        cuts += f"; все длины умножены на {chosen.scale:g}: это репетиция, не InferenceBench"
    found: dict[str, Any] = {"machine": hardware.device.name, "model": model.name, "cuts": cuts}
    for name in chosen.only.split(",") if chosen.only else configs:
        row = Row(name, configs[name].model_dump(mode="json"))
        rows.append(row)
        try:
            log = home.data / "bench" / f"inferencebench-{name}.log"
            async with served(configs[name], model, hardware, home, log) as server:
                row.ready_s, row.version = server.ready_s, server.version
                await (naive(server, row) if name == NAIVE else batched(server, row, chosen.cut))
        except Exception as error:  # noqa: BLE001 - the other rows are still worth having
            row.error = f"{type(error).__name__}: {error}"
        found["rows"] = [asdict(one) for one in rows]
        found["speed_up_over_naive"] = _speedups(rows)
        if chosen.json:
            chosen.json.write_text(json.dumps(found, ensure_ascii=False, indent=2) + "\n")
        print(_line(row), flush=True)
    return found


def _speedups(rows: list[Row]) -> dict[str, dict[str, float]]:
    reference = next((row for row in rows if row.name == NAIVE), None)
    if reference is None:
        return {}
    gains = {row.name: row.gains_over(reference) for row in rows if row is not reference}
    return {name: g | {"mean": _mean(list(g.values()))} for name, g in gains.items() if g}


def _line(row: Row) -> str:
    if row.error:
        return f"{row.name:8} {row.error}"
    shown = (row.ttft_a_ms, row.tpot_b_ms, row.requests_per_s_c, row.ttft_d_ms, row.tpot_d_ms)
    cells = " ".join("—" if one is None else f"{one:10.2f}" for one in shown)
    return f"{row.name:8} {cells} {row.requests_per_s_d or 0:8.3f}  ({row.requests} запросов)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--dummy-weights", action="store_true")
    parser.add_argument("--engine", default="vllm")
    parser.add_argument("--session", help="whose hand-in to measure: an id, or last")
    parser.add_argument("--ours", help="flags of our hand-in as JSON")
    parser.add_argument("--only", help="of naive,default,ours")
    parser.add_argument("--scale", type=float, default=1.0, help="of all lengths, to rehearse")
    parser.add_argument("--cut", type=float, default=20.0, help="seconds per phase")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    print("          A: TTFT мс  B: TPOT мс  C: req/s  D: TTFT мс  D: TPOT мс  D: req/s")
    found = asyncio.run(run(chosen))
    for name, gains in found.get("speed_up_over_naive", {}).items():
        shown = ", ".join(f"{scenario.upper()} ×{gain:.2f}" for scenario, gain in gains.items())
        print(f"{name} против наивного: {shown}")
    print(found["cuts"])
    sys.exit(1 if any(row["error"] for row in found.get("rows", ())) else 0)


if __name__ == "__main__":
    main()
