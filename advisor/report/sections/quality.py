"""Whether the answers stayed as good, and whether the server did the work it was asked for."""

import math
from statistics import fmean

from advisor.human import HumanSummary, summarize
from advisor.report.context import ReportContext, cite, table
from advisor.report.numbers import DASH, estimate, number, percent, plural
from knowledge.statistics.fidelity import paired_tokens
from knowledge.types import QualityResult, TrialResult, Verdict

ORDER = 50


def render(ctx: ReportContext) -> str:
    """How it was measured, the table, the integrity checks."""
    parts = [
        "## Quality Assessment",
        *(_method(ctx), _table(ctx), _distances(ctx), _tasks(ctx), _integrity(ctx), _people(ctx)),
    ]
    return "\n\n".join(part for part in parts if part)


def _scored(ctx: ReportContext) -> list[TrialResult]:
    return [trial for trial in ctx.record.trials if trial.quality is not None]


def _method(ctx: ReportContext) -> str:
    if ctx.record.task.model.dummy_weights:
        return (
            "**Качество не проверено и не могло быть проверено**: у модели нет весов, движок "
            "заполнил их случайными числами (dummy weights). Найденная конфигурация быстрее, но "
            "не одобрена: до внедрения повторите сессию на настоящих весах."
        )
    scored = _scored(ctx)
    if not scored or scored[0].quality is None:
        return (
            "Качество не измеряли: движок не отдаёт вероятности токенов заданного текста "
            "(prompt_logprobs). Перед выкладкой проверьте ответы на своих задачах."
        )
    seen = scored[0].quality
    margin = ctx.record.task.quality_floor.margin_nats_per_token
    return (
        f"Один и тот же настоящий текст ({plural(seen.tokens, 'токен', 'токена', 'токенов')}, "
        f"sha256 `{seen.text_sha256[:12]}`) прогоняется через каждый измеренный сервер, и "
        "сравниваются логарифмы вероятностей его токенов. Потеря — насколько кандидат в среднем "
        "хуже предсказывает токен, чем движок по умолчанию. Perplexity — на отрывках, которые "
        "оценили оба: по умолчанию → кандидат. "
        f"Допуск {number(margin, 3)} nats/token, то есть рост perplexity примерно на "
        f"{percent(margin, 1)}. Кандидат проходит, если весь 95 % интервал потери ниже допуска."
    )


def _table(ctx: ReportContext) -> str:
    rows = []
    trials = ctx.record.trials
    reference = next((t.quality for t in trials if t.spec.purpose == "baseline"), None)
    for trial in trials:
        verdict = ctx.verdict(trial.trial_id)
        judged = verdict.quality if verdict else None
        if trial.quality is None and judged is None and trial.quality_skipped is None:
            continue
        rows.append(
            [
                cite(trial),
                _what(ctx, trial),
                _perplexity(trial.quality, reference),
                estimate(judged.loss_nats_per_token, decimals=4) if judged else DASH,
                number(judged.margin, 3) if judged else DASH,
                _verdict(trial, verdict),
            ]
        )
    head = ["Испытание", "Что", "Perplexity", "Потеря, nats/token", "Допуск", "Вывод"]
    return table(head, rows) if rows else ""


def _perplexity(seen: QualityResult | None, reference: QualityResult | None) -> str:
    """Of what both scored: on other pieces of the text it would be another number by itself."""
    if seen is None:
        return DASH
    if reference is None or seen == reference:
        return number(seen.perplexity, 2)
    if not (pairs := paired_tokens(seen, reference)):
        return DASH
    ours, theirs = (math.exp(-fmean(values)) for values in zip(*pairs, strict=True))
    return f"{number(theirs, 2)} → {number(ours, 2)}"


def _what(ctx: ReportContext, trial: TrialResult) -> str:
    purposes = {"naive": "наивная реализация", "baseline": "движок по умолчанию"}
    if trial.spec.purpose == "production":
        default = ctx.default is not None and trial.trial_id == ctx.default.trial_id
        part = "движок по умолчанию" if default else "победитель"
        return f"production-проверка, {part}"
    if trial.spec.purpose in purposes:
        return purposes[trial.spec.purpose]
    return next((h.title for t, h, _ in ctx.tested if t.trial_id == trial.trial_id), DASH)


def _verdict(trial: TrialResult, verdict: Verdict | None) -> str:
    if trial.quality is None and trial.spec.quality is None and trial.spec.purpose == "production":
        return "точка отсчёта: конфигурация та же"
    if trial.quality is None:
        return f"не проверялось: {trial.quality_skipped}" if trial.quality_skipped else DASH
    if verdict is None or verdict.quality is None:
        return "точка отсчёта" if trial.spec.purpose == "baseline" else DASH
    judged = verdict.quality
    if judged.outcome == "unknown":
        power = f" (мощность {percent(judged.power, 0)})" if judged.power is not None else ""
        return f"**не решено**: текста не хватило{power}"
    if judged.findings:
        return "**хуже**: " + "; ".join(judged.findings)
    return "не хуже" if judged.non_inferior else "**хуже допуска**"


def _distances(ctx: ReportContext) -> str:
    """How far the distribution moved; only where the engine returns the likeliest tokens."""
    rows = []
    for trial in ctx.record.trials:
        verdict = ctx.verdict(trial.trial_id)
        judged = verdict.quality if verdict else None
        if judged is None or judged.kl_nats is None or judged.flips is None:
            continue
        worst, prefix = judged.worst_chunk_nats, judged.same_prefix
        rows.append(
            [
                cite(trial),
                estimate(judged.kl_nats, decimals=4),
                percent(judged.flips.value, 1),
                number(worst, 3) if worst is not None else DASH,
                percent(prefix, 0) if prefix is not None else DASH,
                percent(judged.power, 0) if judged.power is not None else DASH,
            ]
        )
    if not rows:
        return ""
    head = ["Испытание", "KL, nats", "Другой top-1", "Худший отрывок", "Greedy совпал", "Мощность"]
    return (
        "Средняя потеря не видит всего, поэтому сравниваются и распределения: KL по самым "
        "вероятным токенам, доля мест, где первым стал другой токен, худший отрывок текста и доля "
        "жадного ответа до первого расхождения. Мощность — вероятность, что кандидат без "
        "потерь прошёл бы проверку на этом объёме текста.\n\n" + table(head, rows)
    )


def _tasks(ctx: ReportContext) -> str:
    """Accuracy before and after on the user's own questions and on ours."""
    rows = []
    for trial in ctx.record.trials:
        verdict = ctx.verdict(trial.trial_id)
        for one in verdict.quality.tasks if verdict and verdict.quality else ():
            said = "**хуже**" if one.worse else "не хуже" if one.non_inferior else "не решено"
            gap = one.difference
            low, high = percent(gap.low, 1), percent(gap.high, 1)
            rows.append(
                [
                    cite(trial),
                    one.kind,
                    str(one.questions),
                    percent(one.reference_accuracy, 1),
                    percent(one.candidate_accuracy, 1),
                    f"{percent(gap.value, 1)} [{low}; {high}]",
                    said,
                ]
            )
    if not rows:
        return ""
    head = ["Испытание", "Задачи", "Вопросов", "Baseline", "Optimized", "Разница", "Вывод"]
    return (
        "### Точность на задачах\n\nОдни и те же вопросы заданы движку по умолчанию и кандидату; "
        "ответы сравнены попарно (точный тест МакНемара, 95 % интервал Агрести и Мина).\n\n"
        + table(head, rows)
    )


def _integrity(ctx: ReportContext) -> str:
    trial = ctx.best
    if trial is None or trial.integrity is None:
        return ""
    rows = [
        [check.name, check.asked, check.seen, "да" if check.passed else "**нет**"]
        for check in trial.integrity.checks
    ]
    return (
        f"### Та ли работа сделана\n\nПроверки {cite(trial)}: выигрыш не должен получаться за счёт "
        "пропущенной работы.\n\n" + table(["Проверка", "Заказано", "Получено", "Прошла"], rows)
    )


def _people(ctx: ReportContext) -> str:
    made = ctx.record.human
    if made is None or not made.votes:
        if any(v.quality and v.quality.tasks for v in ctx.record.verdicts):
            return "Людям на оценку ответы не давали."
        return (
            "Ответы на задачах с эталоном не сравнивали и людям на оценку не давали. Если модель "
            "решает конкретную задачу, перед выкладкой проверьте её точность на своих данных."
        )
    seen = summarize(made)
    raters = plural(seen.raters, "человек", "человека", "человек")
    text = (
        f"### Оценка людьми\n\nОтветы `{made.baseline_trial_id}` (Baseline) и "
        f"`{made.candidate_trial_id}` (Optimized) на prompts пользователя ({made.decoding}) "
        f"сравнили вслепую: рядом, в случайном порядке. Оценивали: {raters}, "
        f"оценено {seen.rated} из {plural(seen.pairs, 'пары', 'пар', 'пар')}"
    )
    text += f", из них совпали дословно {seen.identical}." if seen.identical else "."
    head = ["Голосов", "Optimized лучше", "Одинаково", "Baseline лучше"]
    votes = table(head, [[str(n) for n in (seen.votes, seen.wins, seen.ties, seen.losses)]])
    return f"{text}\n\n{votes}\n\n" + " ".join(_said(seen))


def _said(seen: HumanSummary) -> list[str]:
    lines = []
    if rate := seen.win_rate:
        pairs = plural(rate.n, "паре", "парам", "парам")
        lines.append(
            f"Win rate Optimized: {percent(rate.value)} (95 % интервал "
            f"{percent(rate.low)}…{percent(rate.high)} по {pairs}; «одинаково» — половина)."
        )
        verdict = "разницы люди не доказали."
        if rate.low > 0.5:
            verdict = "люди предпочитают Optimized."
        elif rate.high < 0.5:
            verdict = "**люди предпочитают Baseline.**"
        lines.append(f"Вывод: {verdict}")
    if seen.agreement is None:
        lines.append("Согласие не посчитать: ни одну пару не оценили двое.")
    elif seen.alpha is None:
        lines.append("Все оценки одинаковы, поэтому согласие сверх случайного не определено.")
    else:
        lines.append(
            f"Согласие оценщиков: {percent(seen.agreement, 0)} одинаковых оценок, "
            f"альфа Криппендорфа {number(seen.alpha, 2)} (1 — полное, 0 — как наугад)."
        )
    if (left := seen.left_share) and not left.low <= 0.5 <= left.high:
        lines.append(
            f"Место влияло на выбор: левый ответ предпочли в {percent(left.value, 0)} случаев; "
            "случайный порядок это уравнивает."
        )
    return lines
