"""What the page of a session shows, from its record."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from advisor.outcome import describe
from api.dashboard.charts import forecast, pareto, series
from api.dashboard.charts.series import Run
from api.dashboard.language import Language
from api.narration import event_line
from api.schemas import TrialView
from api.service.views import trial_views
from knowledge.types import Event, Hypothesis, Metric, RequestSample, TrialResult, Verdict
from tools.store import SessionRecord

_LOG_LINES = 40
_ALWAYS = (Metric.OUTPUT_TOKENS_PER_S, Metric.TTFT_P50_MS, Metric.TPOT_P50_MS, Metric.E2E_P50_MS)
_MOST_DOTS = 1500
_SERIES = {
    "cpu_percent": ("CPU (100 % — одно ядро)", "%", 1.0),
    "rss_bytes": ("Память процессов", "ГиБ", 2.0**30),
    "util_percent": ("Загрузка GPU", "%", 1.0),
    "memory_bytes": ("Память GPU", "ГиБ", 2.0**30),
    "power_w": ("Мощность GPU", "Вт", 1.0),
    "sm_clock_mhz": ("Частота SM GPU", "МГц", 1.0),
    "temperature_c": ("Температура GPU", "°C", 1.0),
}
_SIDES = ("по умолчанию", "найденная конфигурация")
SPOKEN = (*(title for title, _, _ in _SERIES.values()), *_SIDES)


@dataclass(frozen=True)
class Row:
    """A trial with all that is told of it."""

    view: TrialView
    result: TrialResult
    hypothesis: Hypothesis | None
    verdict: Verdict | None
    change: str
    part: str = ""
    """Which side of the production test it is."""

    @property
    def number(self) -> str:
        return self.view.id.split("-")[0]


def rows(record: SessionRecord) -> list[Row]:
    """Trials in order."""
    hypotheses = dict(record.hypotheses)
    verdicts = {verdict.trial_id: verdict for verdict in record.verdicts}
    return [
        Row(
            view=view,
            result=result,
            hypothesis=hypotheses.get(view.ordinal) if view.purpose == "hypothesis" else None,
            verdict=verdicts.get(view.id),
            change=describe(result.spec.candidate, record.task.engine),
            part=_part(record, view.id),
        )
        for view, result in zip(trial_views(record), record.trials, strict=True)
    ]


def _part(record: SessionRecord, trial_id: str) -> str:
    test = record.production
    if test is None or trial_id not in (test.default_trial_id, test.winner_trial_id):
        return ""
    return _SIDES[trial_id == test.winner_trial_id != test.default_trial_id]


def columns(record: SessionRecord) -> list[Metric]:
    """Metrics of the table: the usual four, and those that an SLO names."""
    named = [slo.metric for slo in record.task.slos]
    return list(dict.fromkeys([*_ALWAYS, record.task.objective.metric, *named]))


def spoiled(record: SessionRecord) -> frozenset[str]:
    """Trials that may not be handed in, however fast they are."""
    worse = {v.trial_id for v in record.verdicts if v.quality and not v.quality.non_inferior}
    broken = {t.trial_id for t in record.trials if t.integrity and not t.integrity.passed}
    return frozenset(worse | broken)


def log(record: SessionRecord) -> list[tuple[Event, str]]:
    """The last events that say something, the newest first."""
    found = []
    for event in reversed(record.events):
        if line := event_line(event):
            found.append((event, line))
        if len(found) == _LOG_LINES:
            break
    return found


def underway(record: SessionRecord) -> str | None:
    """What is being measured right now: the trial that began and has not ended."""
    done = {trial.spec.ordinal for trial in record.trials}
    for event in reversed(record.events):
        if event.kind in ("trial_finished", "report", "cancelled", "failed"):
            return None
        if event.kind == "trial_started":
            name = str(event.payload.get("trial", ""))
            ordinal = name.removeprefix("t").split("-")[0]
            return None if ordinal.isdigit() and int(ordinal) in done else name
    return None


def charts(
    record: SessionRecord, views: Sequence[TrialView], language: Language
) -> dict[str, Markup]:
    """The pictures of the session."""
    objective = record.task.objective.metric
    return {
        "pareto": pareto.draw(views, objective, language, spoiled(record)),
        "forecast": forecast.draw(views, language),
    }


def telemetry(trials: Sequence[TrialResult], language: Language) -> list[Markup]:
    """CPU, memory and GPU over the time of the session, trial by trial."""
    if not trials:
        return []
    start = min(trial.started_at for trial in trials)
    gathered: dict[str, list[Run]] = {}
    for trial in trials:
        if trial.telemetry is None:
            continue
        # The load ends with the trial: what lies before it is the start of the engine.
        length = max((p[-1][0] for p in trial.telemetry.series.values() if p), default=0.0)
        begun = max(0.0, (trial.finished_at - start).total_seconds() - length)
        for name, points in trial.telemetry.series.items():
            moved = tuple((begun + at, value) for at, value in points)
            gathered.setdefault(name, []).append(Run(moved, trial.trial_id.split("-")[0]))
    return [_picture(name, runs, language) for name, runs in sorted(gathered.items())]


def _picture(name: str, runs: Sequence[Run], language: Language) -> Markup:
    device, _, rest = name.partition("_")
    stem = rest if device.startswith("gpu") else name
    title, unit, scale = _SERIES.get(stem, (name, "", 1.0))
    title = language.t(title) + (f" {device[3:]}" if device.startswith("gpu") else "")
    scaled = [Run(tuple((at, v / scale) for at, v in run.points), run.name) for run in runs]
    return series.draw(scaled, title, unit, language)


def requests(samples: Sequence[RequestSample], language: Language) -> list[Markup]:
    """TTFT of each request and tokens per second, over the rounds of one trial."""
    offsets = _offsets(samples)
    good = [s for s in samples if s.ok and s.first_token_s is not None]
    thin = good[:: max(1, -(-len(good) // _MOST_DOTS))]
    dots = tuple(
        (offsets[s.round] + s.intended_s, ((s.first_token_s or 0) - s.intended_s) * 1000)
        for s in thin
    )
    per_second: dict[int, dict[int, int]] = {}
    for sample in good:
        counts = per_second.setdefault(sample.round, {})
        for at, tokens in zip(sample.chunk_times_s, sample.chunk_tokens, strict=False):
            counts[int(at)] = counts.get(int(at), 0) + tokens
    curves = [
        Run(
            tuple((offsets[number] + second + 0.5, float(counts.get(second, 0)))
                  for second in range(min(counts), max(counts))),
            f"{language.t('раунд')} {number + 1}",
        )
        for number, counts in sorted(per_second.items())
        if counts
    ]  # fmt: skip
    return [
        series.draw([Run(dots)], language.t("TTFT каждого запроса"), "мс", language, dots=True),
        series.draw(curves, language.t("Токены по секундам"), "ток/с", language),
    ]


def _offsets(samples: Sequence[RequestSample]) -> dict[int, float]:
    """Rounds one after the other on one time axis."""
    found: dict[int, float] = {}
    at = 0.0
    for number in sorted({sample.round for sample in samples}):
        found[number] = at
        at += max(s.end_s for s in samples if s.round == number) + 1
    return found
