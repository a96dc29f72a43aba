"""What `advisor bench` shows: a live line while it measures, then tables."""

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.live import Live as RichLive
from rich.table import Table

from knowledge.measure.requests import tpot_ms, ttft_ms
from knowledge.quantities import format_estimate, format_number, format_slo
from knowledge.types import ClosedLoop, Estimate, Measurement, Metric, RequestSample, Workload
from tools.load import HighestLoad
from tools.load.outputs import Run
from tools.load.outputs.base import spread

if TYPE_CHECKING:
    from tools.load.calibrate import Calibration

_SHOWN = (
    Metric.OUTPUT_TOKENS_PER_S, Metric.REQUESTS_PER_S, Metric.GOODPUT_PER_S, Metric.TTFT_P50_MS,
    Metric.TTFT_P95_MS, Metric.TTFT_P99_MS, Metric.TPOT_P50_MS, Metric.TPOT_P95_MS,
    Metric.ITL_P50_MS, Metric.ITL_P99_MS, Metric.E2E_P50_MS, Metric.E2E_P95_MS, Metric.ERROR_RATE,
)  # fmt: skip
_COLUMNS = 4
_REFRESH_S = 0.25


class Live:
    """Figures so far, on a terminal; nothing elsewhere."""

    def __init__(self, workload: Workload, duration_s: float) -> None:
        self._console = Console(stderr=True)
        self._title = load_name(workload)
        self._duration_s = duration_s
        self._begun = self._drawn = time.monotonic()
        self._done = self._failed = self._tokens = 0
        self._ttft: list[float] = []
        self._tpot: list[float] = []
        self._live: RichLive | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = RichLive(self._table(), console=self._console, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.update(self._table(), refresh=True)
            self._live.stop()

    def note(self, sample: RequestSample) -> None:
        """One request ended. Drawn at most four times a second: drawing takes the client's time."""
        self._done += 1
        self._failed += not sample.ok
        self._tokens += sample.output_tokens or 0
        if (first := ttft_ms(sample)) is not None:
            self._ttft.append(first)
        if (per_token := tpot_ms(sample)) is not None:
            self._tpot.append(per_token)
        now = time.monotonic()
        if self._live and now - self._drawn >= _REFRESH_S:
            self._drawn = now
            self._live.update(self._table(), refresh=True)

    def _table(self) -> Table:
        elapsed = max(1e-9, time.monotonic() - self._begun)
        table = Table("нагрузка", "прошло", "запросов", "ошибок", "токенов/с", "TTFT p50 / p95, мс",
                      "TPOT p50, мс")  # fmt: skip
        p50, p95 = spread(self._ttft[-2000:], (0.5, 0.95))
        table.add_row(
            self._title,
            f"{elapsed:.0f} из {self._duration_s:.0f} с",
            str(self._done),
            str(self._failed),
            format_number(self._tokens / elapsed),
            f"{format_number(p50)} / {format_number(p95)}",
            format_number(spread(self._tpot[-2000:], (0.5,))[0]),
        )
        return table


def load_name(workload: Workload) -> str:
    """«потоков: 8» or «4 запр./с»."""
    if isinstance(workload.arrival, ClosedLoop):
        return f"потоков: {workload.arrival.concurrency}"
    return f"{format_number(workload.arrival.rate_per_s)} запр./с"


def shown(run: Run, found: HighestLoad | None) -> None:
    """Every load beside the others, what weakens the figures, and the limit that was found."""
    console = Console()
    for first in range(0, len(run.points), _COLUMNS):
        points = run.points[first : first + _COLUMNS]
        table = Table(title=f"{run.model} на {run.url}: значение (95 % интервал)")
        table.add_column("метрика")
        for point in points:
            table.add_column(load_name(point.workload), justify="right")
        for metric in _SHOWN:
            seen = [point.measurement.metrics.get(metric) for point in points]
            if any(seen):
                table.add_row(metric.value, *(format_estimate(s) if s else "—" for s in seen))
        counts = [f"{p.measurement.requests}, неудачных {p.measurement.failed_requests}"
                  for p in points]  # fmt: skip
        table.add_row("запросов", *counts)
        console.print(table)
    for point in run.points:
        for text in point.measurement.warnings:
            print(f"  ! {load_name(point.workload)}: {text}")
        for text in point.client.problems:
            print(f"  ! {load_name(point.workload)}: замер недействителен. {text}")
    client = run.points[-1].client
    queued = client.queued_p99_ms
    print(
        f"Клиент: {client.clock}; процессов {client.processes}, ядро занято на "
        f"{client.cpu_share:.0%}"
        + (f"; ожидание в клиенте p99 {format_number(queued)} мс" if queued else "")
    )
    if found is not None:
        _limit(found)


def _limit(found: HighestLoad) -> None:
    if found.load is None:
        print("SLO не держатся ни при какой проверенной нагрузке")
    else:
        print(f"Наибольшая нагрузка, при которой держатся SLO: {format_number(found.load)}")
    if found.limit is not None:
        why = ", ".join(format_slo(slo) for slo in found.binding) or "сервер не успевает"
        print(f"При {format_number(found.limit)} уже нет: {why}")


def compared(before: Mapping[str, object], after: Measurement) -> None:
    """Two runs side by side; whether their intervals meet."""
    table = Table("метрика", "было", "стало", "отношение", "интервалы")
    for metric in _SHOWN:
        old, new = before.get(metric.value), after.metrics.get(metric)
        if isinstance(old, dict) and new is not None:
            past = Estimate.model_validate(old)
            ratio = format_number(new.value / past.value) if past.value else "—"
            apart = "пересекаются" if past.overlaps(new) else "разошлись"
            table.add_row(metric.value, format_estimate(past), format_estimate(new), ratio, apart)
    Console().print(table)


def calibration_table(found: "Sequence[Calibration]") -> None:
    """How far the generator is off on this machine."""
    table = Table(title="Генератор против сервера с точным расписанием (TTFT 50 мс, ITL 10 мс)")
    for name in ("потоков", "от идеала", "ошибка TTFT p50 / p99, мс", "ошибка ITL p50 / p99, мс",
                 "опоздания сервера p99, мс", "CPU, мкс/токен", "годится"):  # fmt: skip
        table.add_column(name, justify="right")
    for one in found:
        table.add_row(
            str(one.case.streams),
            f"{one.share_of_ideal:.1%}" if one.share_of_ideal else "—",
            f"{one.ttft_error_p50_ms:.3f} / {one.ttft_error_p99_ms:.3f}",
            f"{one.itl_error_p50_ms:.3f} / {one.itl_error_p99_ms:.3f}",
            f"{one.server_late_p99_ms:.3f}",
            f"{one.cpu_us_per_token:.1f}",
            "да" if one.valid else "нет: " + "; ".join(one.problems),
        )
    Console().print(table)
    print(f"Время токенов: {found[-1].clock}")
