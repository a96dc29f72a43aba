"""Which engines were compared as they come, which one won, and why the others did not."""

from advisor.report import labels
from advisor.report.context import ReportContext, cell, cite, figure, sentence, table
from advisor.report.numbers import DASH, number, ratio
from knowledge.types import Decision, Hypothesis, TrialResult, Verdict

ORDER = 15

Compared = tuple[TrialResult, Hypothesis, Verdict | None]


def render(ctx: ReportContext) -> str:
    """Empty where the user named the engine."""
    if not ctx.record.task.engines:
        return ""
    tried = [one for one in ctx.tested if one[1].change.engine]
    parts = ["## Сравнение движков", _how(ctx), _table(ctx, tried), _won(ctx, tried), _rest(ctx)]
    return "\n\n".join(part for part in parts if part)


def _how(ctx: ReportContext) -> str:
    return (
        f"Каждый движок измерен с настройками по умолчанию под одной нагрузкой: те же запросы, "
        f"длины сосчитаны токенизатором самой модели и сверены с тем, что насчитал сервер, "
        f"качество оценено на одном и том же тексте. Точка отсчёта — {ctx.engine}."
    )


def _table(ctx: ReportContext, tried: list[Compared]) -> str:
    head = [
        "Движок",
        "Испытание",
        labels.metric(ctx.objective),
        f"Ускорение к {ctx.engine}",
        "Потеря, нат/токен",
    ]
    default = next((t for t in ctx.record.trials if t.spec.purpose == "baseline"), None)
    rows = []
    if default is not None:
        rows.append([_name(default), cite(default), cell(default, ctx.objective), DASH, DASH])
    for trial, _, verdict in tried:
        gained = ctx.improvement(default, trial, ctx.objective) if default else None
        gain = ratio(gained) if gained else DASH
        shown = cell(trial, ctx.objective) if figure(trial, ctx.objective) else DASH
        rows.append([_name(trial), cite(trial), shown, gain, _loss(verdict)])
    return table([*head, "Итог"], [[*row, _outcome(tried, row[1])] for row in rows])


def _outcome(tried: list[Compared], cited: str) -> str:
    verdict = next((v for t, _, v in tried if cite(t) == cited), None)
    return labels.DECISIONS[verdict.decision] if verdict else "точка отсчёта"


def _loss(verdict: Verdict | None) -> str:
    if verdict is None or verdict.quality is None:
        return DASH
    loss = verdict.quality.loss_nats_per_token
    return f"{number(loss.value, 4)} [{number(loss.low, 4)}; {number(loss.high, 4)}]"


def _won(ctx: ReportContext, tried: list[Compared]) -> str:
    kept = [v for _, _, v in tried if v and v.decision is Decision.KEPT]
    chosen = ctx.trial(kept[-1].trial_id) if kept else None
    name = _engine(chosen) if chosen else ctx.engine
    lines = [f"Дальше настраивался **{name}**. Почему:", ""]
    for trial, _, verdict in tried:
        if verdict is not None:
            against = cite(ctx.trial(verdict.reference_trial_id))
            lines.append(
                f"- {_name(trial)} ({cite(trial)}) против {against}: {sentence(verdict.reason)}"
            )
    if not tried:
        return "Другие движки сравнить не успели: бюджет истрачен."
    final = ctx.handed_in
    if final is not None and _engine(final) != name:
        lines += ["", f"После production-проверки сдан {_name(final)}."]
    return "\n".join(lines)


def _rest(ctx: ReportContext) -> str:
    seen = {t.spec.candidate.config.engine for t in ctx.record.trials}
    skipped = [labels.engine(name) for name in ctx.record.task.engines if name not in seen]
    refused = ctx.record.options.get("engines_left_out")
    lines = [f"- {name}: не хватило бюджета." for name in skipped]
    if isinstance(refused, dict):
        lines += [f"- {name}: {sentence(str(reason))}" for name, reason in refused.items()]
    return "\n".join(["Не участвовали:", "", *lines]) if lines else ""


def _name(trial: TrialResult) -> str:
    """The engine, and the artifact where it serves one."""
    artifact = trial.spec.candidate.artifact
    return _engine(trial) + (f", {artifact.scheme}" if artifact else "")


def _engine(trial: TrialResult) -> str:
    name = labels.engine(trial.spec.candidate.config.engine)
    version = trial.launch.engine_version if trial.launch else ""
    return f"{name} {version}".strip()
