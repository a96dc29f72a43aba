"""From windows to alerts. Pure but for what it remembers of the windows it was given."""

import statistics
from datetime import datetime
from typing import Literal

from advisor.monitoring.proposal import Tuned, outside, proposal
from advisor.monitoring.series import SERIES, Series
from knowledge.quantities import format_number
from knowledge.statistics.change import WARM_UP, Change, ChangeDetector, slope
from knowledge.types import Frozen
from tools.monitor.windows import Window

MONTH_S = 30 * 86_400
_DOWN_AFTER = 3
_LEAK_WINDOWS = 120
_TUNED_AFTER = 60

AlertKind = Literal["drift", "leak", "workload", "down", "up"]


class Alert(Frozen):
    """What somebody should know."""

    at: datetime
    kind: AlertKind
    metric: str
    text: str
    """Russian: what, since when, from what to what, what to do."""
    since: datetime | None = None
    before: float | None = None
    after: float | None = None
    evidence: float | None = None
    """The e-value of the change."""
    propose: str | None = None
    """The command of a session that would tune for what comes now."""


class Watch:
    """Feed it the windows of one endpoint in their order.

    `false_alarms_per_month` holds for all series together.
    """

    def __init__(
        self,
        every_s: float,
        *,
        false_alarms_per_month: float = 1.0,
        tuned: Tuned | None = None,
        model: str = "МОДЕЛЬ",
        warm_up: int = WARM_UP,
    ) -> None:
        self._tuned, self._model = tuned, model
        rate = len(SERIES) * MONTH_S / every_s / false_alarms_per_month
        self._detectors = {
            one.metric: ChangeDetector(
                rate, one.directions, warm_up=warm_up, whiten=one.whiten, seed=number
            )
            for number, one in enumerate(SERIES)
        }
        self._times: dict[str, list[datetime]] = {one.metric: [] for one in SERIES}
        self._values: dict[str, list[float]] = {one.metric: [] for one in SERIES}
        self._silent = 0
        self._canary_failed = False
        self._told_workload = False

    @property
    def ready(self) -> bool:
        """Whether any series has been learnt."""
        return any(detector.ready for detector in self._detectors.values())

    def feed(self, window: Window) -> list[Alert]:
        """The alerts that this window settles."""
        alerts = self._liveness(window)
        figures = window.figures()
        for series in SERIES:
            if (value := figures.get(series.metric)) is None:
                continue
            self._times[series.metric].append(window.at)
            self._values[series.metric].append(value)
            change = self._detectors[series.metric].update(value)
            if change and (alert := self._alert(series, change, window)):
                alerts.append(alert)
        if alert := self._not_tuned_for(window):
            alerts.append(alert)
        return alerts

    def _liveness(self, window: Window) -> list[Alert]:
        was = self._silent
        if not window.up or window.canary_ok is False:
            self._silent = was + 1
        elif window.canary_ok or not self._canary_failed:
            self._silent = 0  # without a canary in this window, the last one's word stands
        if window.canary_ok is not None:
            self._canary_failed = not window.canary_ok
        if self._silent == _DOWN_AFTER != was:
            why = "на пробный запрос нет ответа" if window.up else "сервер не отвечает"
            return [Alert(at=window.at, kind="down", metric="up",
                          text=f"Не отвечает {_DOWN_AFTER} раза подряд: {why}.")]  # fmt: skip
        if was >= _DOWN_AFTER and not self._silent:
            return [Alert(at=window.at, kind="up", metric="up", text="Снова отвечает.")]
        return []

    def _alert(self, series: Series, change: Change, window: Window) -> Alert | None:
        if not _matters(series, change):
            return None
        since = self._times[series.metric][change.began]
        if series.kind == "leak":
            return self._leak(series, change, window, since)
        text = (
            f"{series.title}: было {_shown(series, change.before)}, "
            f"стало {_shown(series, change.after)} (с {since:%d.%m %H:%M} UTC)."
        )
        propose = None
        if series.kind == "workload":
            propose = self._proposal(change.began)
            text += f" Нагрузка уже не та. Предлагаю новую сессию: {propose}"
            self._told_workload = True
        return Alert(
            at=window.at, kind=series.kind, metric=series.metric, text=text, since=since,
            before=change.before, after=change.after, evidence=change.evidence, propose=propose,
        )  # fmt: skip

    def _leak(
        self, series: Series, change: Change, window: Window, since: datetime
    ) -> Alert | None:
        """Growth that goes on: a step (a cache that was filled) is none."""
        recent = self._values[series.metric][-_LEAK_WINDOWS:]
        grows = slope(recent[len(recent) // 2 :])
        if grows is None or grows.low <= 0:
            return None
        per_hour = grows.value * series.scale * 3600 / window.seconds
        text = (
            f"{series.title} растёт и не останавливается: {_shown(series, change.before)} → "
            f"{_shown(series, recent[-1])}, около {format_number(per_hour, 2)} {series.unit}/ч "
            f"(с {since:%d.%m %H:%M} UTC). Похоже на утечку: перезапустите реплику до нехватки."
        )
        return Alert(at=window.at, kind="leak", metric=series.metric, text=text, since=since,
                     before=change.before, after=recent[-1], evidence=change.evidence)  # fmt: skip

    def _not_tuned_for(self, window: Window) -> Alert | None:
        """Traffic that never was what the session had tuned for: no change, but worth a word."""
        if self._tuned is None or self._told_workload:
            return None
        seen = {name: self._values[name] for name in ("input_tokens_mean", "output_tokens_mean",
                                                      "requests_running")}  # fmt: skip
        if len(seen["input_tokens_mean"]) < _TUNED_AFTER:
            return None
        found = outside(self._tuned, seen)
        if not found:
            return None
        self._told_workload = True
        propose = self._proposal(0)
        text = (
            f"Нагрузка не та, под которую настраивала сессия {self._tuned.session}: "
            f"{'; '.join(found)}. Предлагаю новую сессию: {propose}"
        )
        return Alert(at=window.at, kind="workload", metric="workload", text=text, propose=propose)

    def _proposal(self, began: int) -> str:
        def typical(metric: str) -> float | None:
            values = self._values[metric][began:] or self._values[metric]
            return statistics.median(values) if values else None

        return proposal(self._model, typical)


def _matters(series: Series, change: Change) -> bool:
    """A sure change of one percent is still of no use to anybody."""
    high, low = max(change.before, change.after), min(change.before, change.after)
    return high - low >= series.least_difference and high > low * series.least_ratio


def _shown(series: Series, value: float) -> str:
    scaled = value * series.scale
    digits = 4 if series.unit == "$" else 2 if abs(scaled) < 10 else 0
    return f"{format_number(scaled, digits)} {series.unit}".strip()
