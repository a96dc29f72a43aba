"""Advice for production, derived from what was measured."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from advisor.report import labels
from advisor.report.context import ReportContext, cite, figure, table
from advisor.report.numbers import NBSP, gib, number, percent
from knowledge.types import ClosedLoop, Metric, TrialResult

ORDER = 60

MARGIN = 1.25
"""Alert this far above the upper bound of the measured p95: it rings on change, not on noise."""

MONITORING = Path(__file__).parents[1] / "monitoring"


def render(ctx: ReportContext) -> str:
    """Deployment, monitoring, scaling."""
    trial = ctx.best
    if trial is None or trial.measurement is None:
        return ""
    parts = [
        "## Рекомендации для production",
        "### Развёртывание\n\n" + "\n".join(f"- {line}" for line in _deployment(ctx, trial)),
        _monitoring(ctx, trial),
        "### Масштабирование\n\n" + "\n".join(f"- {line}" for line in _scaling(ctx, trial)),
    ]
    return "\n\n".join(part for part in parts if part)


def _deployment(ctx: ReportContext, trial: TrialResult) -> list[str]:
    lines = []
    if trial.launch is not None:
        lines.append(
            f"До готовности сервер поднимается {number(trial.launch.ready_s, 0)}{NBSP}с "
            f"({cite(trial)}): startup probe должна ждать с запасом, не меньше "
            f"{number(trial.launch.ready_s * 4, 0)}{NBSP}с."
        )
        lines.append(
            f"Закрепите версию движка {trial.launch.engine_version}: с другой версией цифры "
            "отчёта придётся подтверждать заново."
        )
    seen = trial.telemetry
    if seen and seen.rss_peak_bytes:
        lines.append(
            f"Пик памяти процессов {gib(seen.rss_peak_bytes)} ({cite(trial)}); лимит ставьте на "
            f"четверть выше: {gib(seen.rss_peak_bytes * MARGIN)}."
        )
    if seen and seen.gpu_memory_peak_bytes:
        lines.append(f"Пик памяти GPU {gib(seen.gpu_memory_peak_bytes)} ({cite(trial)}).")
    if isinstance(ctx.record.task.workload.arrival, ClosedLoop):
        streams = ctx.record.task.workload.arrival.concurrency
        test = ctx.record.production
        more = test is not None and bool(test.highest_load)
        beyond = "" if more else ": большей нагрузки эта сессия не измеряла"
        lines.append(
            f"Цифры получены при {streams} одновременных запросах. Ограничьте их число на входе "
            f"тем же значением{beyond}."
        )
    return lines


def _monitoring(ctx: ReportContext, trial: TrialResult) -> str:
    known = _known(trial.spec.candidate.config.engine)
    lines = ["### Мониторинг", "", f"Пороги посчитаны по {cite(trial)}: " + _rule(ctx)]
    rows = []
    for metric in (Metric.TTFT_P95_MS, Metric.TPOT_P95_MS, Metric.ITL_P95_MS, Metric.E2E_P95_MS):
        threshold = _threshold(ctx, trial, metric)
        seen = figure(trial, metric)
        if threshold is None or seen is None:
            continue
        rows.append(
            [
                labels.metric(metric),
                labels.value(metric, seen.value),
                labels.value(metric, threshold),
            ]
        )
    lines += ["", table(["Метрика", "Измерено", "Порог тревоги"], rows)]
    if known is None:
        return "\n".join(lines)
    lines += ["", "Выражения для Prometheus:", "", "```promql"]
    for alert in known["alerts"]:
        threshold = _threshold(ctx, trial, Metric(alert["metric"]))
        if threshold is not None:
            lines.append(f"{alert['expression']} > {threshold / 1000:.3g}")
    lines += ["```", "", known["note"].strip(), "", "За чем ещё следить:", ""]
    lines += [f"- `{gauge['name']}`: {gauge['meaning']};" for gauge in known["gauges"]]
    lines[-1] = lines[-1].rstrip(";") + "."
    lines += _engine_counters(trial)
    return "\n".join(lines)


def _rule(ctx: ReportContext) -> str:
    rule = "верхняя граница интервала p95 и ещё 25 % сверху"
    return rule + ("; там, где задан SLO, порог равен ему." if ctx.record.task.slos else ".")


def _threshold(ctx: ReportContext, trial: TrialResult, metric: Metric) -> float | None:
    """Milliseconds above which something has changed; the SLO itself where one was promised."""
    for slo in ctx.record.task.slos:
        if slo.metric == metric:
            return slo.limit
    seen = figure(trial, metric)
    return seen.high * MARGIN if seen else None


def _engine_counters(trial: TrialResult) -> list[str]:
    engine = trial.telemetry.engine if trial.telemetry else {}
    shares = {
        "kv_cache_usage_perc": "KV cache был занят на",
        "prefix_cache_hit_rate": "из prefix cache взято",
    }
    said = [f"{text} {percent(engine[name])}" for name, text in shares.items() if name in engine]
    if "num_preemptions" in engine:
        said.append(f"вытеснений {number(engine['num_preemptions'], 0)}")
    return ["", f"Во время замера ({cite(trial)}): {', '.join(said)}."] if said else []


def _scaling(ctx: ReportContext, trial: TrialResult) -> list[str]:
    lines = []
    rate, requests = figure(trial, Metric.OUTPUT_TOKENS_PER_S), figure(trial, Metric.REQUESTS_PER_S)
    if rate and requests:
        lines.append(
            f"Одна реплика даёт {labels.value(Metric.OUTPUT_TOKENS_PER_S, rate.value)} и "
            f"{labels.value(Metric.REQUESTS_PER_S, requests.value)} ({cite(trial)}). Число реплик: "
            "пиковый поток запросов, делённый на нижнюю границу интервала "
            f"({labels.value(Metric.REQUESTS_PER_S, requests.low)}), с округлением вверх."
        )
    test = ctx.record.production
    if test is not None and test.highest_load is not None:
        lines.append(_highest(ctx, test.highest_load, trial))
    lines.append(
        "Сигнал к новой реплике: очередь не пустеет, а p95 стоит выше порога. Загрузка процессора "
        "или GPU сигналом не служит: при continuous batching она высока и без очереди."
    )
    lines.append(
        "Цифры верны для этой нагрузки. Если длины prompt или ответов изменятся, повторите замер: "
        "`advisor bench URL`."
    )
    return lines


def _highest(ctx: ReportContext, found: dict[str, float], trial: TrialResult) -> str:
    """What the bisection after the production test found."""
    name = "streams" if "streams" in found else "rate_per_s"
    if name not in found:
        return f"Нагрузки, при которой SLO держались бы дважды подряд, не нашлось ({cite(trial)})."
    unit = "одновременных запросов" if name == "streams" else "запросов в секунду"
    digits = 0 if name == "streams" else 2
    seen = ", ".join(
        f"{labels.metric(slo.metric)} {labels.value(slo.metric, found[slo.metric.value])}"
        for slo in ctx.record.task.slos
        if slo.metric.value in found
    )
    limit = found.get(f"{name}_limit")
    above = f", при {number(limit, digits)} уже нет" if limit else "; выше не пробовали"
    return (
        f"Наибольшая нагрузка, при которой SLO ещё выполняются: {number(found[name], digits)} "
        f"{unit} ({seen}){above} ({cite(trial)}, короткие замеры с делением пополам)."
    )


@cache
def _known(engine: str) -> dict[str, Any] | None:
    path = MONITORING / f"{engine}.yaml"
    if not path.exists():
        return None
    data: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return data
