"""Predicted against measured, for every hypothesis."""

from advisor.report import labels
from advisor.report.context import ReportContext, cite, table
from advisor.report.figures import embed
from advisor.report.numbers import DASH, number, ratio, ratio_interval
from knowledge.types import Hypothesis, Verdict

ORDER = 90

_NOTE = (
    "Различимо — наименьший выигрыш, который такое испытание замечает в 80 случаях из 100: сначала "
    "по ожидаемому шуму, до замера, затем по увиденному."
)
_HITS = {True: "да", False: "нет", None: DASH}


def render(ctx: ReportContext) -> str:
    """How often the advisor was right, the table, the picture."""
    if not ctx.tested:
        return ""
    judged = [v.prediction_hit for _, _, v in ctx.tested if v and v.prediction_hit is not None]
    text = "Прогнозы записаны до замеров и после них не менялись."
    if judged:
        text += f" Удалось проверить: {len(judged)}, сбылось: {sum(judged)}."
    rows = [
        [
            cite(trial),
            hypothesis.title,
            f"`{hypothesis.policy}`",
            labels.metric(hypothesis.metric),
            ratio_interval(hypothesis.predicted_speedup),
            ratio(verdict.speedup) if verdict and verdict.speedup else DASH,
            _HITS[verdict.prediction_hit if verdict else None],
            _detectable(hypothesis, verdict),
        ]
        for trial, hypothesis, verdict in ctx.tested
    ]
    head = ["Испытание", "Гипотеза", "Политика", "Метрика", "Прогноз (90 %)", "Измерено", "Сбылся",
            "Различимо"]  # fmt: skip
    parts = ["## Прогноз и измерение", text, table(head, rows), embed(ctx, "predictions")]
    if any(row[-1] != DASH for row in rows):
        parts.insert(3, _NOTE)
    return "\n\n".join(part for part in parts if part)


def _detectable(hypothesis: Hypothesis, verdict: Verdict | None) -> str:
    """The least gain that the trial could tell: expected before it, and by its own noise."""
    before, after = (
        f"×{number(least, 2)}" if least else DASH
        for least in (hypothesis.detectable_speedup, verdict and verdict.detectable_speedup)
    )
    return DASH if before == after == DASH else f"{before} → {after}"
