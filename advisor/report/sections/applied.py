"""The changes that were kept: what, why, what was expected, what was measured."""

from advisor.report import labels
from advisor.report.context import ReportContext, cell, cite, sentence
from advisor.report.numbers import ratio, ratio_interval
from knowledge.types import Decision, Hypothesis, TrialResult, Verdict

ORDER = 20

_RISKS = {
    "none": "риска для качества нет",
    "low": "риск для качества низкий",
    "medium": "риск для качества средний",
    "high": "риск для качества высокий",
}


def render(ctx: ReportContext) -> str:
    """One subsection per change kept, in the order they were found."""
    kept = [
        (trial, hypothesis, verdict)
        for trial, hypothesis, verdict in ctx.tested
        if verdict is not None and verdict.decision == Decision.KEPT
    ]
    parts = ["## Применённые оптимизации"]
    if not kept:
        parts.append(
            "Ни одно изменение не дало доказанного выигрыша. Что проверяли и почему отбросили, "
            "сказано ниже."
        )
    for count, (trial, hypothesis, verdict) in enumerate(kept, start=1):
        parts.append(_change(ctx, count, trial, hypothesis, verdict))
    return "\n\n".join(parts)


def _change(
    ctx: ReportContext, count: int, trial: TrialResult, hypothesis: Hypothesis, verdict: Verdict
) -> str:
    reference = ctx.trial(verdict.reference_trial_id)
    metric = hypothesis.metric
    measured = f"{ratio(verdict.speedup)} " if verdict.speedup else ""
    return "\n".join(
        [
            f"### {count}. {hypothesis.title}",
            "",
            f"- **Описание:** {sentence(hypothesis.rationale)}",
            f"- **Конфигурация:** `{ctx.setting(trial)}`",
            f"- **Ожидание до замера:** {ratio_interval(hypothesis.predicted_speedup)} по "
            f"{labels.metric(metric)}; {_RISKS[hypothesis.quality_risk]}. "
            f"Предложила политика `{hypothesis.policy}`, техника `{hypothesis.technique}`.",
            *(f"  - {sentence(text)}" for text in dict.fromkeys(hypothesis.evidence)),
            f"- **Измерено:** {measured}по {labels.metric(metric)}: {cell(trial, metric)} "
            f"({cite(trial)}) против {cell(reference, metric)} ({cite(reference)})."
            f"{_prediction(verdict)}",
            f"- **Решение:** {sentence(verdict.reason)}",
        ]
    )


def _prediction(verdict: Verdict) -> str:
    if verdict.prediction_hit is None:
        return ""
    return " Прогноз сбылся." if verdict.prediction_hit else " Прогноз не сбылся."
