"""Where the session started: the naive reference, the default, and what holds them back."""

from advisor import outcome
from advisor.report import figures, labels
from advisor.report.context import ReportContext, cell, cite, figure, sentence, table
from knowledge.types import TrialResult

ORDER = 10

_REGIMES = {"prefill": "чтение prompt (prefill)", "decode": "генерацию токенов (decode)"}


def render(ctx: ReportContext) -> str:
    """The two starting points and the profile."""
    parts = ["## Исходные метрики (Baseline)", _figures(ctx), _profile(ctx)]
    return "\n\n".join(part for part in parts if part)


def _figures(ctx: ReportContext) -> str:
    naive, default = ctx.naive, outcome.screened_default(ctx.record)
    columns = [
        (name, trial)
        for name, trial in (
            ("Наивная реализация", naive),
            (f"{ctx.engine} по умолчанию", default),
        )
        if trial is not None
    ]
    if not columns:
        return "Исходную конфигурацию измерить не удалось."
    text = []
    if naive is not None:
        text.append(
            f"Наивная реализация — {labels.engine(naive.spec.candidate.config.engine)} без "
            "батчинга: запросы обслуживаются по одному, остальные ждут в очереди. Так модель "
            "работает, если её просто загрузить и вызвать."
        )
    if default is not None:
        text.append(
            f"{ctx.engine} по умолчанию — тот же сервер без единого изменённого флага. С него "
            "начинается поиск."
        )
    return " ".join(text) + "\n\n" + _table(columns)


def _table(columns: list[tuple[str, TrialResult]]) -> str:
    head = ["Метрика", *(f"{name}, {cite(trial)}" for name, trial in columns)]
    rows = [
        [labels.metric(metric), *(cell(trial, metric) for _, trial in columns)]
        for metric in labels.TABLE_METRICS
        if any(figure(trial, metric) for _, trial in columns)
    ]
    rows.append(["Запросов измерено", *(_requests(trial) for _, trial in columns)])
    return table(head, rows)


def _requests(trial: TrialResult) -> str:
    return str(trial.measurement.requests) if trial.measurement else "0"


def _profile(ctx: ReportContext) -> str:
    profile = ctx.record.profile
    if profile is None:
        return ""
    lines = [
        "### Что ограничивает скорость",
        "",
        f"Основное время уходит на {_REGIMES[profile.regime]}; узкое место — "
        f"{labels.BOTTLENECKS[profile.bottleneck]}.",
        "",
        *(f"- {sentence(text)}" for text in profile.evidence),
    ]
    if picture := figures.embed(ctx, "steps"):
        lines += ["", picture]
    return "\n".join(lines)
