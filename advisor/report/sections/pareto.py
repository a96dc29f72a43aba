"""The Pareto front within the trade-offs: what the objective takes, and what each SLO costs."""

from advisor import pareto
from advisor.report import labels
from advisor.report.context import ReportContext, cite, figure, table
from advisor.report.numbers import DASH, number
from knowledge.types import TrialResult

ORDER = 75
_HEADS = {
    pareto.THROUGHPUT: ("Throughput, ток/с", 1),
    pareto.LATENCY: ("E2E p50, мс", 0),
    pareto.COST: ("$ за 1 млн токенов", 2),
    pareto.QUALITY: ("Потеря качества, nats/token", 4),
    pareto.ENERGY: ("Энергия, мДж/токен", 1),
}


def render(ctx: ReportContext) -> str:
    """A table of the front; nothing where only one configuration was measured."""
    found = pareto.points(ctx.record)
    if len(found) < 2:
        return ""
    best = pareto.front(found)
    axes = [axis for axis in pareto.AXES if any(axis in point.values for point in best)]
    chosen = pareto.pick(found, ctx.record.task)
    rows = [
        [
            cite(point.trial) + (" ← цель" if point is chosen else ""),
            *(_shown(axis, point.values.get(axis)) for axis in axes),
        ]
        for point in best
    ]
    head = ["Испытание", *(_HEADS[axis][0] for axis in axes)]
    missing = [_HEADS[axis][0].split(",")[0] for axis in pareto.AXES if axis not in axes]
    lines = [
        "### Граница Парето",
        f"Лучшие по совокупности показателей: {len(best)} из {len(found)} пригодных к сдаче "
        "конфигураций, по замерам поиска." + _by_objective(ctx, chosen),
        table(head, rows),
        f"Не измерено: {', '.join(missing)}." if missing else "",
        *_prices(ctx, found),
    ]
    return "\n\n".join(line for line in lines if line)


def _shown(axis: str, value: float | None) -> str:
    return DASH if value is None else number(value, _HEADS[axis][1])


def _by_objective(ctx: ReportContext, chosen: pareto.Point | None) -> str:
    if chosen is None:
        return " Ни одна не выполняет всех SLO."
    return f" Цель сессии ({labels.metric(ctx.objective)}) выбирает {cite(chosen.trial)}."


def _prices(ctx: ReportContext, found: list[pareto.Point]) -> list[str]:
    """One line for each SLO."""
    lines = []
    for price in pareto.slo_prices(found, ctx.record.task):
        name = (
            f"{labels.metric(price.slo.metric)} {labels.value(price.slo.metric, price.slo.limit)}"
        )
        lines.append(f"- {name}: {_price(ctx, price)}")
    return ["**Сколько стоит каждый SLO** (если отказаться только от него):\n\n" + "\n".join(lines)
            ] if lines else []  # fmt: skip


def _price(ctx: ReportContext, price: pareto.SloPrice) -> str:
    objective = f"{labels.metric(ctx.objective)} {_value(ctx, price.without)}"
    if price.with_it is None or price.ratio is None:
        return f"без него подошла бы {cite(price.without)}: {objective}."
    if price.with_it is price.without:
        return "ничего: лучшая конфигурация выполняет его и так."
    return (
        f"в {number(price.ratio, 2)} раза: без него {cite(price.without)} даёт {objective}, "
        f"с ним {cite(price.with_it)} — {_value(ctx, price.with_it)}."
    )


def _value(ctx: ReportContext, trial: TrialResult) -> str:
    seen = figure(trial, ctx.objective)
    return labels.value(ctx.objective, seen.value) if seen else DASH
