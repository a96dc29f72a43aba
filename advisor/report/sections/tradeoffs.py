"""What each gain costs, from the measured rows."""

from advisor.report import labels
from advisor.report.context import ReportContext, cite, figure
from advisor.report.numbers import NBSP, number, ratio, with_unit
from knowledge.types import Estimate, Metric, TrialResult
from tools import engines

ORDER = 70


def render(ctx: ReportContext) -> str:
    """Latency and throughput, quality and speed, speed and money."""
    if ctx.best is None or ctx.best.measurement is None:
        return ""
    lines = [*_latency(ctx, ctx.best), *_quality(ctx), *_start(ctx), *_cost(ctx, ctx.best)]
    return "\n\n".join(["## Trade-offs", *lines])


def _latency(ctx: ReportContext, best: TrialResult) -> list[str]:
    """The fastest of the search in three directions: what choosing it would have meant."""
    wanted = {
        Metric.OUTPUT_TOKENS_PER_S: "больше всего токенов в секунду",
        Metric.TTFT_P95_MS: "самый быстрый первый токен (TTFT p95)",
        Metric.TPOT_P95_MS: "самая быстрая генерация (TPOT p95)",
    }
    praise: dict[str, list[str]] = {}
    for metric, text in wanted.items():
        leader = _leader(ctx, metric)
        if leader is not None:
            praise.setdefault(leader.trial_id, []).append(text)
    lines = []
    for trial_id, texts in praise.items():
        trial = ctx.trial(trial_id)
        assert trial is not None
        sentence = ", ".join(texts)
        lines.append(
            f"- {sentence[0].upper()}{sentence[1:]}: {cite(trial)}{_fate(ctx, trial)}. "
            f"{_figures(trial)}"
        )
    lines.append(
        f"- {'Сдано' if ctx.handed_in else 'Лучшее из измеренного'}: {cite(best)}. {_figures(best)}"
    )
    default, winner = ctx.default, ctx.winner
    text = "**Задержка и пропускная способность.** Лидеры среди измеренных конфигураций:\n\n"
    text += "\n".join(lines)
    if default and winner:
        worse = [
            f"{labels.metric(m)} {ratio(gain)}"
            for m in labels.TABLE_METRICS
            if (gain := ctx.improvement(default, winner, m)) is not None and gain.high < 1
        ]
        text += "\n\n" + (
            f"За выигрыш заплачено: {', '.join(worse)} ({cite(winner)} против {cite(default)})."
            if worse
            else f"Ни одна метрика {cite(winner)} не стала доказанно хуже, чем у {cite(default)}."
        )
    return [text]


def _fate(ctx: ReportContext, trial: TrialResult) -> str:
    verdict = ctx.verdict(trial.trial_id)
    return f" ({labels.DECISIONS[verdict.decision]})" if verdict else ""


def _leader(ctx: ReportContext, metric: Metric) -> TrialResult | None:
    """The best trial of the search by a metric, those that failed a check left out."""
    found = [
        (seen.value, trial)
        for trial in ctx.record.trials
        if trial.spec.purpose in ("baseline", "hypothesis")
        and (seen := figure(trial, metric)) is not None
        and (trial.integrity is None or trial.integrity.passed)
    ]
    if not found:
        return None
    pick = max if metric.higher_is_better else min
    return pick(found, key=lambda item: item[0])[1]


def _figures(trial: TrialResult) -> str:
    parts = []
    for metric in (Metric.OUTPUT_TOKENS_PER_S, Metric.TTFT_P95_MS, Metric.TPOT_P95_MS):
        seen = figure(trial, metric)
        if seen is not None:
            parts.append(f"{labels.metric(metric)} {labels.value(metric, seen.value)}")
    return "; ".join(parts) + "."


def _quality(ctx: ReportContext) -> list[str]:
    lines = []
    for trial, hypothesis, verdict in ctx.tested:
        judged = verdict.quality if verdict else None
        if verdict is None or judged is None or judged.non_inferior:
            continue
        gain = f"давала {ratio(verdict.speedup)}" if verdict.speedup else "была измерена"
        lines.append(
            f"- «{hypothesis.title}» ({cite(trial)}) {gain}, но потеря качества "
            f"{_nats(judged.loss_nats_per_token)} не укладывается в допуск "
            f"{number(judged.margin, 3)} nats/token."
        )
    if not lines:
        return []
    lead = "**Качество и скорость.** Быстрее можно, если согласиться на другие ответы:"
    tail = "Допуск меняется флагом `--quality-floor`; решать, сколько качества отдать, вам."
    return ["\n".join([lead, "", *lines, "", tail])]


def _nats(loss: Estimate) -> str:
    return f"{number(loss.value, 4)} [{number(loss.low, 4)}; {number(loss.high, 4)}]"


def _start(ctx: ReportContext) -> list[str]:
    default, best = ctx.default, ctx.winner
    if not (default and best and default.launch and best.launch):
        return []
    before, after = default.launch.ready_s, best.launch.ready_s
    if max(before, after) < 1.1 * min(before, after):
        return []
    return [
        f"**Скорость и время запуска.** Победитель готов через {number(after, 0)}{NBSP}с "
        f"({cite(best)}), движок по умолчанию — через {number(before, 0)}{NBSP}с "
        f"({cite(default)}). Это важно там, где реплики поднимают под нагрузку."
    ]


def _cost(ctx: ReportContext, best: TrialResult) -> list[str]:
    rate = figure(best, Metric.OUTPUT_TOKENS_PER_S)
    if rate is None or rate.value <= 0:
        return []
    hardware = ctx.record.task.hardware
    device, config = hardware.device, best.spec.candidate.config
    used = engines.devices_of(config, otherwise=hardware.device_count)
    per_hour = rate.value * 3600 / 1e6
    whole = used >= hardware.device_count
    who = "машина" if whole else f"реплика (GPU: {used} из {hardware.device_count})"
    text = (
        f"**Скорость и деньги.** За час под этой нагрузкой {who} выдаёт {number(per_hour, 2)} млн "
        f"выходных токенов ({cite(best)})"
    )
    price = device.price_per_hour_usd
    if price is None:
        return [
            text + f". Цена часа {'этой машины' if whole else 'этих GPU'} неизвестна; цена 1 млн "
            f"токенов равна ей, делённой на {number(per_hour, 2)}."
        ]
    price *= used
    cost = with_unit(price / per_hour, "$", 2)
    return [
        text + f"; при {with_unit(price, '$', 2)} за час это {cost} за 1 млн токенов. Цена: "
        f"{device.price_source or device.source}."
    ]
