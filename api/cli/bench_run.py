"""What `advisor bench` does: which loads, in which order, and what comes of them."""

import json
import math
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from api.cli._json_out import give
from api.cli.bench_show import Live, compared, shown
from api.tasks import Request, workload_of
from knowledge.errors import BadInput, NothingMeasured
from knowledge.measure import summarize
from knowledge.quantities import format_number, format_slo, parse_slo
from knowledge.types import (
    Arrival,
    ClosedLoop,
    Constant,
    Gamma,
    Measurement,
    Poisson,
    Slo,
    Workload,
)
from tools.executors import LOCAL
from tools.load import (
    HighestLoad,
    PromptSource,
    RoundOutcome,
    Target,
    Tokenizer,
    highest_load,
    knee,
    ladder,
    load_trace,
    models,
    outputs,
    run_round,
)
from tools.load.outputs import Point, Run
from tools.load.sweep import LoadPoint, Measure, judge

if TYPE_CHECKING:
    from tools.load.fleet import Spawn

_DRAIN_S = 60.0


@dataclass(frozen=True)
class ArrivalOptions:
    """What --rate is made into."""

    burstiness: float | None = None
    constant: bool = False
    max_in_flight: int | None = None


@dataclass(frozen=True)
class Asked:
    """The options of one call, checked."""

    url: str
    request: Request
    arrival: ArrivalOptions
    warmup_s: float
    duration_s: float
    streams: tuple[float, ...] = ()
    rates: tuple[float, ...] = ()
    find: str | None = None
    tokenizer: Path | None = None
    endpoint: str = "completions"
    processes: int | None = None
    executor: str = "local"
    api_key: str | None = field(default=None, repr=False)
    assertions: tuple[str, ...] = ()
    compare: Path | None = None
    files: dict[str, Path | None] = field(default_factory=dict)
    json_file: str | None = None


def numbers(option: str, text: str | None, *, whole: bool = False) -> tuple[float, ...]:
    """A list such as 1,4,16. Raises BadInput."""
    found: list[float] = []
    for word in (text or "").split(",") if text is not None else ():
        try:
            found.append(int(word) if whole else float(word))
        except ValueError:
            found.append(math.nan)
        if not (found[-1] > 0 and math.isfinite(found[-1])):
            raise BadInput(
                f"{option}: не число больше нуля: {word!r}", f"Например: {option} 1,4,16"
            )
    return tuple(found)


def assertion(text: str) -> Slo:
    """An SLO from ttft_p95<200ms or throughput>100. Raises BadInput."""
    return parse_slo(
        text.replace("<=", "<").replace(">=", ">").replace("<", "<=").replace(">", ">=")
    )


async def run(asked: Asked) -> int:
    """Measure, print, write; the exit code says whether the assertions hold."""
    slos = [parse_slo(text) for text in asked.request.slo]
    asserted = [assertion(text) for text in asked.assertions]
    before = _earlier(asked.compare)
    bench = await _Bench.prepare(asked, slos)
    async with _clients(asked) as (bench.processes, bench.spawn):
        found = await bench.measure()
    run_ = Run(asked.url, bench.target.model, asked.endpoint, bench.started_at,
               asked.request.seed, tuple(bench.points))  # fmt: skip
    for name, path in asked.files.items():
        if path is not None:
            path.write_text(outputs.load(name).render(run_), encoding="utf-8")
    result = as_json(run_, found, slos)
    if not give(json.dumps(result, ensure_ascii=False, indent=2), asked.json_file):
        shown(run_, found)
        if before is not None:
            compared(before, run_.points[-1].measurement)
    code = _verdict(run_, asserted)
    return 4 if found is not None and found.load is None else code


@asynccontextmanager
async def _clients(asked: Asked) -> AsyncIterator[tuple[int | None, "Spawn | None"]]:
    """How many processes offer the load, and where they are started if not here."""
    if asked.executor == LOCAL:
        yield asked.processes, None
        return
    from api.cli.optimize import connected
    from tools.executors.base import OffersLoad

    async with connected(asked.executor) as executor:
        if not isinstance(executor, OffersLoad):
            raise BadInput(f"--executor {asked.executor} нагрузки не даёт", "Есть: local, ray")
        clients = executor.clients()
        yield asked.processes or max(1, clients.nodes), clients.spawn
        for said in sorted(clients.warnings):
            print(said, file=sys.stderr)


class _Bench:
    """One server under the loads that were asked for."""

    def __init__(
        self, asked: Asked, slos: list[Slo], target: Target, words: Tokenizer | None
    ) -> None:
        self.asked, self.slos, self.target = asked, slos, target
        self.workload = _workload(asked)
        self.points: list[Point] = []
        self.processes: int | None = None
        self.spawn: "Spawn | None" = None  # noqa: UP037
        self.started_at = datetime.now(UTC)
        self._prompts = PromptSource(self.workload, words, asked.request.seed)
        self._rounds = 0

    @classmethod
    async def prepare(cls, asked: Asked, slos: list[Slo]) -> "_Bench":
        if asked.find not in (None, "rate", "streams"):
            raise BadInput(f"--find: неизвестно {asked.find!r}", "Есть: rate, streams")
        if asked.find and not slos:
            raise BadInput("--find ищет предел под SLO, а их нет", "Добавьте --slo ttft_p95=200ms")
        if sum(map(bool, (asked.streams, asked.rates, asked.find))) > 1:
            raise BadInput("--sweep, --sweep-rate и --find заданы вместе", "Оставьте одно")
        if asked.rates or asked.find == "rate":
            _refuse_recorded_times(_workload(asked))
        words = Tokenizer.from_folder(asked.tokenizer) if asked.tokenizer else None
        target = Target(asked.url, "", endpoint=asked.endpoint, api_key=asked.api_key)
        if target.protocol.name in ("completions", "chat"):
            served = await models(asked.url, asked.api_key)
            name = asked.request.model or (served[0] if served else "")
            if served and name not in served:
                raise BadInput(f"у сервера нет модели {name!r}", f"Есть: {', '.join(served)}")
        else:
            name = asked.request.model or "default"
        target = Target(asked.url, name, endpoint=asked.endpoint, api_key=asked.api_key)
        return cls(asked, slos, target, words)

    async def measure(self) -> HighestLoad | None:
        """All loads in turn. Raises NothingMeasured when no request succeeded."""
        asked = self.asked
        if asked.warmup_s:
            await self._round(self.workload, asked.warmup_s, -1, None)
        if asked.find:
            streams = asked.find == "streams"
            start = await self._start(streams)
            return await highest_load(
                self._at(streams), self.slos, start=start, streams=streams,
                lowest=1.0 if streams else 0.5 / asked.duration_s,
            )  # fmt: skip
        if asked.streams or asked.rates:
            loads = asked.streams or asked.rates
            await ladder(self._at(bool(asked.streams)), loads, self.slos,
                         streams=bool(asked.streams))  # fmt: skip
        else:
            await self._point(self.workload)
        if not self.points:
            raise NothingMeasured("ни один запрос не удался", "Проверьте сервер")
        return None

    async def _start(self, streams: bool) -> float:
        """Where to begin the search: one stream, or the rate that one stream had in the warm-up."""
        return 1.0 if streams else max(self._prompts.requests_per_s or 0.0, 0.5)

    def _at(self, streams: bool) -> Measure:
        async def measure(load: float) -> Measurement | None:
            arrival: Arrival = (
                ClosedLoop(concurrency=int(load))
                if streams
                else open_loop(load, self.asked.arrival)
            )
            point = await self._point(self.workload.replace(arrival=arrival))
            return point.measurement if point else None

        return measure

    async def _point(self, workload: Workload) -> Point | None:
        """One load. None where it was broken off; raises NothingMeasured where all failed."""
        self._rounds += 1
        with Live(workload, self.asked.duration_s) as live:
            outcome = await self._round(workload, self.asked.duration_s, self._rounds - 1, live)
        if not any(sample.ok for sample in outcome.samples):
            if outcome.saturated:
                return None
            errors = sorted({sample.error or "" for sample in outcome.samples})
            raise NothingMeasured(
                f"ни один запрос не удался: {', '.join(errors)}", "Проверьте сервер"
            )
        measured = summarize(
            outcome.samples,
            round_s=self.asked.duration_s,
            slos=self.slos,
            seed=self.asked.request.seed,
        )
        measured = measured.replace(client_lag_p99_ms=outcome.loop_lag_p99_ms)
        point = Point(workload, self.asked.duration_s, measured, outcome.samples, outcome.client)
        self.points.append(point)
        return None if outcome.saturated else point

    async def _round(
        self, workload: Workload, seconds: float, index: int, live: Live | None
    ) -> RoundOutcome:
        return await run_round(
            self.target,
            workload,
            self._prompts,
            round_index=index,
            duration_s=seconds,
            drain_s=_DRAIN_S,
            seed=self.asked.request.seed,
            on_sample=live.note if live else None,
            stop_saturated=bool(self.asked.find or self.asked.rates),
            processes=self.processes,
            spawn=self.spawn,
        )


def open_loop(rate: float, options: ArrivalOptions) -> Poisson | Constant | Gamma:
    """Arrivals at a rate as the options ask. Raises BadInput."""
    if options.burstiness is not None and options.constant:
        raise BadInput("--burstiness и --constant заданы вместе", "Оставьте одно")
    cap = options.max_in_flight
    if cap is not None and cap < 1:
        raise BadInput(f"--max-in-flight: {cap} не подходит", "Нужно число больше нуля")
    if options.constant:
        return Constant(rate_per_s=rate, max_in_flight=cap)
    if options.burstiness is not None:
        if not options.burstiness > 0:
            raise BadInput(
                f"--burstiness: {options.burstiness} не подходит", "Нужно число больше нуля"
            )
        return Gamma(rate_per_s=rate, burstiness=options.burstiness, max_in_flight=cap)
    return Poisson(rate_per_s=rate, max_in_flight=cap)


def _workload(asked: Asked) -> Workload:
    load = workload_of(asked.request)
    if asked.request.rate is not None:
        return load.replace(arrival=open_loop(asked.request.rate, asked.arrival))
    if asked.arrival != ArrivalOptions() and not (asked.rates or asked.find == "rate"):
        raise BadInput(
            "--burstiness, --constant и --max-in-flight нужны вместе с --rate", "Добавьте --rate 5"
        )
    return load


def _refuse_recorded_times(workload: Workload) -> None:
    """A trace that is replayed at its own times has no rate to vary."""
    path = workload.trace_path
    if path is not None and load_trace(path)[0].arrival_s is not None:
        raise BadInput(
            f"в {path} записано время прихода, частоту не изменить",
            "Уберите из файла arrival_s или ищите предел по потокам: --find streams",
        )


def as_json(run_: Run, found: HighestLoad | None, slos: list[Slo]) -> dict[str, object]:
    """The documented object: the last load's figures, and every load under `points`."""
    points = [_point_json(point) for point in run_.points]
    best = knee(_ladder_points(run_, slos)) if len(run_.points) > 1 else None
    return {
        "url": run_.url,
        "model": run_.model,
        "protocol": run_.endpoint,
        "started_at": run_.started_at.isoformat(),
        **points[-1],
        "points": points,
        "knee": best.load if best else None,
        "highest_load": None if found is None else {
            "load": found.load, "limit": found.limit,
            "binding": [format_slo(slo) for slo in found.binding],
        },
    }  # fmt: skip


def _ladder_points(run_: Run, slos: list[Slo]) -> list[LoadPoint]:
    return [judge(p.load, p.measurement, slos, streams=p.streams is not None) for p in run_.points]


def _point_json(point: Point) -> dict[str, object]:
    return {
        "load": point.load,
        "workload": point.workload.model_dump(mode="json"),
        "workload_id": point.workload.content_id(),
        "valid": point.client.valid,
        "client": asdict(point.client)
        | {"clock": point.client.clock, "problems": list(point.client.problems)},
        **point.measurement.model_dump(mode="json"),
    }


def _earlier(path: Path | None) -> dict[str, object] | None:
    if path is None:
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        metrics = found["metrics"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"с этим не сравнить: {path}", "Нужен файл, записанный advisor bench --json"
        ) from error
    return dict(metrics)


def _verdict(run_: Run, asserted: list[Slo]) -> int:
    """4 where an assertion is broken; an invalid measurement proves nothing, so 3."""
    point = run_.points[-1]
    if asserted and not point.client.valid:
        reasons = "; ".join(point.client.problems)
        raise NothingMeasured(f"измерен клиент, а не сервер: {reasons}", "Освободите машину")
    broken = 0
    for slo in asserted:
        seen = point.measurement.metrics.get(slo.metric)
        if seen is None or not slo.met_by(seen.value):
            value = format_number(seen.value) if seen else "не измерено"
            print(f"advisor: нарушено {format_slo(slo)}: {value}", file=sys.stderr)
            broken += 1
    return 4 if broken else 0


async def calibrated(json_file: str | None) -> int:
    """The generator against a server whose truth is known, on this machine."""
    from api.cli.bench_show import calibration_table
    from tools.load.calibrate import Case, calibrate

    found = []
    for streams in (1, 16, 64, 256):
        found.append(await calibrate(Case(streams=streams, seconds=3.0)))
    if give(json.dumps([asdict(one) for one in found], ensure_ascii=False, indent=2), json_file):
        return 0
    calibration_table(found)
    return 0
