"""Predicted against measured, for every hypothesis."""

from advisor.report import labels
from advisor.report.context import ReportContext, cite, table
from advisor.report.figures import embed
from advisor.report.numbers import DASH, plural, ratio, ratio_interval

ORDER = 90

_HITS = {True: "да", False: "нет", None: DASH}


def render(ctx: ReportContext) -> str:
    """How often the advisor was right, the table, the picture."""
    if not ctx.tested:
        return ""
    judged = [v.prediction_hit for _, _, v in ctx.tested if v and v.prediction_hit is not None]
    text = "Прогнозы записаны до замеров и после них не менялись."
    if judged:
        predictions = plural(len(judged), "прогноза", "прогнозов", "прогнозов")
        text += f" Из {predictions}, которые удалось проверить, сбылось {sum(judged)}."
    rows = [
        [
            cite(trial),
            hypothesis.title,
            f"`{hypothesis.policy}`",
            labels.metric(hypothesis.metric),
            ratio_interval(hypothesis.predicted_speedup),
            ratio(verdict.speedup) if verdict and verdict.speedup else DASH,
            _HITS[verdict.prediction_hit if verdict else None],
        ]
        for trial, hypothesis, verdict in ctx.tested
    ]
    head = ["Испытание", "Гипотеза", "Политика", "Метрика", "Прогноз (90 %)", "Измерено", "Сбылся"]
    parts = ["## Прогноз и измерение", text, table(head, rows), embed(ctx, "predictions")]
    return "\n\n".join(part for part in parts if part)
