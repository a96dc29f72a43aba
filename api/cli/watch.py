"""A session as it goes: a live table on a terminal, plain lines elsewhere; then the result."""

import json
import sys
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from advisor.report.summary import Summary, summary
from api.cli._json_out import give
from api.narration import HANDED_IN, decision_words, event_line, predicted
from knowledge.errors import NothingMeasured
from knowledge.quantities import format_estimate, format_number, format_slo
from knowledge.types import Estimate, Event, Metric
from tools.store import SessionRecord, Status

_ROLES = {"naive": "transformers, по одному", "default": "по умолчанию", "winner": "найдено"}
_SHOWN = (
    *(Metric.OUTPUT_TOKENS_PER_S, Metric.TTFT_P50_MS, Metric.TTFT_P95_MS, Metric.TTFT_P99_MS),
    *(Metric.TPOT_P50_MS, Metric.TPOT_P95_MS, Metric.TPOT_P99_MS),
)


if TYPE_CHECKING:
    from api.client import Client


class Watcher:
    """Prints events. On a terminal the hypotheses form a table that fills as they are judged."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self.live: Live | None = None
        self.rows: dict[str, list[str]] = {}
        self.titles: dict[int, tuple[str, str]] = {}

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.live = Live(self._table(), console=self.console, refresh_per_second=4)
            self.live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.live:
            self.live.stop()

    def line(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def event(self, event: Event) -> None:
        text = self._text(event)
        if text:
            self.line(f"{event.at:%H:%M:%S} {text}")
        if self.live:
            self.live.update(self._table())

    def _text(self, event: Event) -> str:
        seen = event.payload
        if event.kind == "hypothesis" and isinstance(ordinal := seen["ordinal"], int):
            low, high = predicted(event)
            self.titles[ordinal] = (str(seen["title"]), f"{low:.2f}–{high:.2f}")
        if event.kind == "verdict":
            trial = str(seen["trial"])
            title, expected = self.titles.get(int(trial[1:3]), ("", ""))
            decision = decision_words(str(seen["decision"]))
            self.rows[trial] = [trial[:3], title, expected, decision, str(seen["reason"])]
        return event_line(event)

    def _table(self) -> Table:
        table = Table("№", "гипотеза", "ожидали", "решение", "почему")
        for row in self.rows.values():
            table.add_row(*row)
        return table


async def follow(client: "Client", session: str, after: int) -> SessionRecord:
    """Watch a session that a service runs, to its end."""
    with Watcher() as watcher:
        async for event in client.follow(session, after):
            watcher.event(event)
    return await client.record(session)


def finish(record: SessionRecord, json_file: str | None, out: Path) -> int:
    """Print the figures, write the JSON; the exit code says whether the SLOs hold."""
    found = summary(record)
    report = next((e.payload["path"] for e in reversed(record.events) if e.kind == "report"), None)
    shown = found.model_dump(mode="json") | {"report": report}
    if not give(json.dumps(shown, ensure_ascii=False, indent=2), json_file):
        print_summary(found)
        print(f"\nОтчёт: {report}")
    if record.production is None:
        raise NothingMeasured(
            "сессия не дошла до испытания с нуля", f"advisor resume {found.session}"
        )
    return _infeasible(found) if record.row.status is Status.INFEASIBLE else 0


def print_summary(found: Summary) -> None:
    """Three configurations side by side, every figure with its 95 % interval."""
    console = Console()
    table = Table(title="Итог: значение [95 % интервал]")
    table.add_column("метрика")
    for configuration in found.configurations:
        table.add_column(f"{_ROLES[configuration.role]} ({configuration.trial_id[:3]})")
    for metric in _SHOWN:
        cells = [_cell(c.metrics.get(metric)) for c in found.configurations]
        table.add_row(metric.value, *cells)
    console.print(table)
    for name, gain in (("настроек по умолчанию", found.speedup_over_default),
                       ("наивного эталона", found.speedup_over_naive)):  # fmt: skip
        if gain:
            print(f"Быстрее {name} в {format_estimate(gain)} раза (отношение и 95 % интервал)")
    print(f"Сдано: {HANDED_IN.get(found.handed_in or '', 'ничего')} — {found.reason}")
    print(
        f"Гипотез: {len(found.hypotheses)}; прогноз попал в "
        f"{found.predictions_hit} из {found.predictions_judged}"
    )


def _cell(estimate: Estimate | None) -> str:
    return format_estimate(estimate) if estimate else "—"


def _infeasible(found: Summary) -> int:
    asked = ", ".join(format_slo(s.slo) for s in found.slos)
    print(f"advisor: SLO не выполнены: {asked}. {_nearest(found)}", file=sys.stderr)
    return 4


def _nearest(found: Summary) -> str:
    near = found.nearest
    if near is None:
        return ""
    said = (
        f"Ближе всего {near.trial_id[:3]} ({near.setting}): мешает {format_slo(near.binding)}, "
        f"измерено {_cell(near.measured)}"
    )
    if found.highest_load:
        load = found.highest_load.get("streams") or found.highest_load.get("rate_per_s")
        name = "потоков" if "streams" in found.highest_load else "запросов/с"
        return f"{said}. При меньшей нагрузке SLO держатся: {format_number(load or 0, 3)} {name}"
    return said
