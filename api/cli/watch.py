"""A session as it goes: a live table on a terminal, plain lines elsewhere; then the result."""

import json
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from advisor.report.summary import Summary, summary
from knowledge.errors import NothingMeasured
from knowledge.quantities import format_estimate, format_slo
from knowledge.types import Estimate, Event, Metric
from tools.store import SessionRecord, Status

_ROLES = {"naive": "transformers, по одному", "default": "по умолчанию", "winner": "найдено"}
_HANDED_IN = {"winner": "найденная конфигурация", "default": "настройки по умолчанию"}
_SHOWN = (
    *(Metric.OUTPUT_TOKENS_PER_S, Metric.TTFT_P50_MS, Metric.TTFT_P95_MS, Metric.TTFT_P99_MS),
    *(Metric.TPOT_P50_MS, Metric.TPOT_P95_MS, Metric.TPOT_P99_MS),
)
_DECISIONS = {
    "kept": "оставлено",
    "dropped": "отброшено",
    "inconclusive": "неясно",
    "crashed": "не запустилось",
}


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

    def _text(self, event: Event) -> str:  # noqa: PLR0911 - one return per kind of event
        seen = event.payload
        match event.kind:
            case "session_started":
                return f"сессия {seen['session']}"
            case "progress":
                return str(seen["text"])
            case "profile":
                evidence = seen["evidence"]
                return "профиль: " + " ".join(
                    map(str, evidence if isinstance(evidence, list) else [])
                )
            case "trial_started":
                return f"{seen['trial']} замер ({seen['purpose']}) …"
            case "trial_finished":
                return self._finished(seen)
            case "hypothesis":
                low, high = seen["predicted"] if isinstance(seen["predicted"], list) else (0, 0)
                ordinal = seen["ordinal"]
                if isinstance(ordinal, int):
                    self.titles[ordinal] = (str(seen["title"]), f"{low:.2f}–{high:.2f}")
                return f"гипотеза: {seen['title']}, ожидаем ускорение {low:.2f}–{high:.2f}"
            case "verdict":
                return self._verdict(seen)
            case "search_ended":
                return f"поиск окончен: {seen['reason']}"
            case "production":
                return f"сдаём {_HANDED_IN[str(seen['handed_in'])]}: {seen['reason']}"
            case "report":
                return f"отчёт: {seen['path']}"
            case "failed":
                return ""
        return ""

    def _finished(self, seen: dict[str, object]) -> str:
        if "failure" in seen:
            return f"{seen['trial']} не удался: {seen['failure']}, {seen['message']}"
        metrics = seen.get("metrics")
        metrics = metrics if isinstance(metrics, dict) else {}
        parts = []
        for name, unit in (("output_tokens_per_s", "ток/с"), ("ttft_p50_ms", "мс TTFT p50"),
                           ("tpot_p50_ms", "мс TPOT p50")):  # fmt: skip
            if name in metrics:
                value, low, high = metrics[name]
                parts.append(f"{value:.1f} [{low:.1f}; {high:.1f}] {unit}")
        return f"{seen['trial']} за {seen['seconds']} с: " + ", ".join(parts)

    def _verdict(self, seen: dict[str, object]) -> str:
        decision = _DECISIONS[str(seen["decision"])]
        trial = str(seen["trial"])
        title, predicted = self.titles.get(int(trial[1:3]), ("", ""))
        self.rows[trial] = [trial[:3], title, predicted, decision, str(seen["reason"])]
        return f"{trial} {decision}: {seen['reason']}"

    def _table(self) -> Table:
        table = Table("№", "гипотеза", "ожидали", "решение", "почему")
        for row in self.rows.values():
            table.add_row(*row)
        return table


def finish(record: SessionRecord, json_file: str | None, out: Path) -> int:
    """Print the figures, write the JSON; the exit code says whether the SLOs hold."""
    found = summary(record)
    report = next((e.payload["path"] for e in reversed(record.events) if e.kind == "report"), None)
    shown = found.model_dump(mode="json") | {"report": report}
    if json_file == "-":
        print(json.dumps(shown, ensure_ascii=False, indent=2))
    else:
        if json_file:
            Path(json_file).write_text(json.dumps(shown, ensure_ascii=False, indent=2) + "\n")
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
    print(f"Сдано: {_HANDED_IN.get(found.handed_in or '', 'ничего')} — {found.reason}")
    print(
        f"Гипотез: {len(found.hypotheses)}; прогноз попал в "
        f"{found.predictions_hit} из {found.predictions_judged}"
    )


def _cell(estimate: Estimate | None) -> str:
    return format_estimate(estimate) if estimate else "—"


def _infeasible(found: Summary) -> int:
    broken = [s for s in found.slos if not s.met]
    nearest = "; ".join(
        f"{format_slo(s.slo)}, ближайшее достигнутое {_cell(s.measured)}" for s in broken
    )
    print(f"advisor: SLO невыполнимы: {nearest}", file=sys.stderr)
    return 4
