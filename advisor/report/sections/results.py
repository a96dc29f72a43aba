"""The big table: naive, default, handed in; and how far the figures can be trusted."""

from advisor.report import labels
from advisor.report.context import ReportContext, cell, cite, figure, sentence, table
from advisor.report.figures import embed
from advisor.report.numbers import DASH, number, plural, ratio
from knowledge.types import Estimate, Metric, ProductionTest, TrialResult

ORDER = 30

SMALL_GAIN = 1.05
"""Below this lower bound a gain asks for an explanation."""


def render(ctx: ReportContext) -> str:
    """Table, SLOs, agreement with the search, what bounds the gain, pictures."""
    parts = [
        "## Результаты бенчмаркинга",
        _table(ctx),
        _requests(ctx),
        _slos(ctx),
        _stopping(ctx),
        _launches(ctx),
        _agreement(ctx),
        _bound(ctx),
        embed(ctx, "pareto"),
        embed(ctx, "waterfall"),
    ]
    return "\n\n".join(part for part in parts if part)


def _table(ctx: ReportContext) -> str:
    default, best = ctx.default, ctx.winner
    trials = [t for t in (ctx.naive, default, best) if t is not None]
    if not trials:
        return "Измерений нет."
    head = ["Метрика", "Наивная", "Baseline", "Optimized", "Improvement"]
    rows = [["Испытание", cite(ctx.naive), cite(default), cite(best), _pair(default, best)]]
    for metric in labels.TABLE_METRICS:
        if not any(figure(trial, metric) for trial in trials):
            continue
        gain = ctx.improvement(default, best, metric) if default and best else None
        name = labels.metric(metric)
        rows.append(
            [
                f"**{name}** (цель)" if metric == ctx.objective else name,
                *(cell(trial, metric) for trial in (ctx.naive, default, best)),
                _gain(gain),
            ]
        )
    return f"{_caption(ctx)}\n\n{table(head, rows)}"


def _caption(ctx: ReportContext) -> str:
    if ctx.record.production is None:
        return (
            "Production-проверки не было: в таблице цифры, полученные во время поиска. "
            "Они предварительные."
        )
    text = (
        f"Baseline — {ctx.engine} по умолчанию, Optimized — лучшая найденная конфигурация. "
        "Это production-проверка: обе запущены с нуля и измерены по очереди."
    )
    if ctx.winner is None:
        return (
            f"Baseline — {ctx.engine} по умолчанию в production-проверке. Лучше него ничего не "
            "нашлось, поэтому столбец Optimized пуст."
        )
    if ctx.record.production.handed_in == "default":
        text += " Сдаётся Baseline: превосходство Optimized не подтвердилось."
    return text


def _pair(default: TrialResult | None, best: TrialResult | None) -> str:
    if default is None or best is None:
        return DASH
    return f"{cite(best)} / {cite(default)}"


def _gain(gain: Estimate | None) -> str:
    if gain is None:
        return DASH
    if gain.low <= 1 <= gain.high:
        return f"{ratio(gain)}, разница не доказана"
    return ratio(gain) if gain.low > 1 else f"{ratio(gain)}, хуже"


def _requests(ctx: ReportContext) -> str:
    """How many requests stand behind each column, and the lengths that were really measured."""
    lines = []
    for trial in (ctx.naive, ctx.default, ctx.winner):
        if trial is None or trial.measurement is None:
            continue
        seen = trial.measurement
        text = f"- {cite(trial)}: " + plural(seen.requests, "запрос", "запроса", "запросов")
        text += f" за {number(seen.window_s, 0)}\u00a0с установившегося режима, "
        text += plural(seen.failed_requests, "ошибка", "ошибки", "ошибок")
        text += _lengths(ctx, trial)
        lines += [text + ".", *(f"  - {sentence(warning)}" for warning in seen.warnings)]
        itl = figure(trial, Metric.ITL_P50_MS)
        if itl and not itl.value:
            lines.append(
                "  - Токены приходят по нескольку сразу, поэтому ITL p50 равен нулю; ровно ли идёт "
                "текст, видно по ITL p95."
            )
    return "\n".join(["Что стоит за цифрами:", "", *lines]) if lines else ""


def _lengths(ctx: ReportContext, trial: TrialResult) -> str:
    good = [s for s in ctx.samples(trial.trial_id) if s.ok and s.output_tokens is not None]
    if not good:
        return ""
    asked = sum(s.asked_output_tokens for s in good) / len(good)
    got = sum(s.output_tokens or 0 for s in good) / len(good)
    return f"; выход в среднем {number(got, 1)} токена при заказанных {number(asked, 1)}"


def _slos(ctx: ReportContext) -> str:
    promises = ctx.record.task.slos
    best = ctx.best
    if not promises or best is None:
        return ""
    rows = []
    for slo in promises:
        seen = figure(best, slo.metric)
        verdict = DASH if seen is None else ("да" if slo.met_by(seen.value) else "**нет**")
        rows.append(
            [labels.slo(slo), cell(ctx.default, slo.metric), cell(best, slo.metric), verdict]
        )
    head = [
        "SLO",
        f"Baseline, {cite(ctx.default)}",
        f"{'Сдано' if ctx.handed_in else 'Лучшее'}, {cite(best)}",
        "Выполнено",
    ]
    return "### SLO\n\n" + table(head, rows)


def _stopping(ctx: ReportContext) -> str:
    """How long the comparison in turns went on."""
    test = ctx.record.production
    if test is None or not test.stopping or ctx.winner is None:
        return ""
    return f"Замер по очереди ({_pair(ctx.default, ctx.winner)}): {sentence(test.stopping)}"


def _launches(ctx: ReportContext) -> str:
    """How often both were launched, and what all launches say together."""
    test = ctx.record.production
    if test is None or not test.launches or ctx.winner is None:
        return ""
    first = (test.default_trial_id, test.winner_trial_id)
    cited = "; ".join(
        _pair(ctx.trial(ours), ctx.trial(theirs)) for ours, theirs in (first, *test.again)
    )
    return f"Запуски с нуля ({cited}): {sentence(test.launches)}"


def _agreement(ctx: ReportContext) -> str:
    test = ctx.record.production
    if test is None or ctx.winner is None or ctx.winner.measurement is None:
        return ""
    screened = ctx.trial(test.screening_trial_id)
    metric = ctx.objective
    if screened is not None and screened.spec.candidate != ctx.winner.spec.candidate:
        return _carried_over(ctx, test)
    both = (
        f"во время поиска {cell(screened, metric)} (`{test.screening_trial_id}`), "
        f"после холодного запуска {cell(ctx.winner, metric)} ({cite(ctx.winner)})"
    )
    if test.agrees_with_screening:
        verdict = "Два замера сданной конфигурации согласуются"
        if test.handed_in == "default":
            verdict = "Два замера лучшей найденной конфигурации согласуются"
        return f"### Повторяемость\n\n{verdict}: {both} по {labels.metric(metric)}."
    return (
        f"### Повторяемость\n\n**Замеры расходятся:** {both} по {labels.metric(metric)}. "
        "Верить следует второму: он сделан после холодного запуска, рядом с движком по умолчанию. "
        "Первый мог застать машину в другом состоянии."
    )


def _carried_over(ctx: ReportContext, test: ProductionTest) -> str:
    """Chosen among quick starts, so that only the gains can be compared, not the figures."""
    verdict = ctx.verdict(test.screening_trial_id)
    seen = (
        f" (последнее изменение: {ratio(verdict.speedup)})" if verdict and verdict.speedup else ""
    )
    how = "согласуется с тем, что было видно" if test.agrees_with_screening else "не такой, как был"
    return (
        f"### Повторяемость\n\nСочетание отобрано при быстром запуске движка, "
        f"`{test.screening_trial_id}`{seen}. С полным запуском оно измерено с нуля, по очереди с "
        f"настройками по умолчанию: {ratio(test.speedup)} ({cite(ctx.winner)}). "
        f"Выигрыш {how} при отборе."
    )


_LIMITS = {
    "memory-bandwidth": "Скорость упирается в чтение весов из памяти. Дальше помогут меньшие веса "
    "(квантизация), больший batch на одно чтение или память быстрее.",
    "compute": "Скорость упирается в вычисления. Дальше помогут dtype с более быстрыми ядрами "
    "или более мощный ускоритель.",
    "kv-capacity": "Одновременно помещается мало запросов: кончается место под KV cache. Дальше "
    "помогут больше памяти или KV cache меньшей разрядности.",
    "scheduler": "Ускоритель ждёт планировщик. Дальше помогут другой размер batch и более "
    "плотная нагрузка.",
    "host": "Время тратит процессор вокруг модели: токенизация, HTTP, запуск ядер. Дальше помогут "
    "свободные ядра или вторая реплика.",
}


def _bound(ctx: ReportContext) -> str:
    test = ctx.record.production
    if test is None or (test.speedup.low >= SMALL_GAIN and ctx.winner is not None):
        return ""
    lead = f"Лучше {ctx.engine} по умолчанию ничего не нашлось."
    if ctx.winner is not None and not test.speedup.n:
        lead = "Сравнить победителя с движком по умолчанию не удалось."
    elif ctx.winner is not None:
        lead = f"Нижняя граница выигрыша: ×{number(test.speedup.low, 2)}."
        if test.speedup.low <= 1 <= test.speedup.high:
            lead = f"Интервал {ratio(test.speedup)} включает единицу: выигрыш не доказан."
    profile = ctx.record.profile
    reasons = (
        [] if profile is None else [_LIMITS[profile.bottleneck], *map(sentence, profile.evidence)]
    )
    text = " ".join([lead, *reasons])
    return f"### Чем ограничен выигрыш\n\n{text}"
