"""The title, the outcome in a few sentences, and what was asked for."""

from advisor.report import labels
from advisor.report.context import ReportContext, cite, figure, sentence
from advisor.report.numbers import duration, gib, plural, ratio
from knowledge.types import TrialResult
from tools.store import Status

ORDER = 0

_UNFINISHED = {
    Status.CANCELLED: "Сессия остановлена до production-проверки. Ниже то, что успели измерить.",
    Status.FAILED: "Сессия прервалась из-за ошибки. Ниже то, что успели измерить.",
    Status.INFEASIBLE: "Заданные SLO не выполняет ни одна из проверенных конфигураций.",
}


def render(ctx: ReportContext) -> str:
    """Outcome first, then the task."""
    parts = [f"# Оптимизация LLM Inference: {ctx.record.task.model.name}"]
    if ctx.simulated:
        parts.append(
            "**Все цифры этого отчёта выдал симулятор, а не настоящий движок: "
            "о скорости модели они ничего не говорят.**"
        )
    return "\n\n".join([*parts, _outcome(ctx), _task(ctx)])


def _outcome(ctx: ReportContext) -> str:
    test = ctx.record.production
    if test is None:
        status = ctx.record.row.status
        return _UNFINISHED.get(status, "Сессия ещё идёт: production-проверки пока не было.")
    if test.handed_in == "default" or ctx.winner is None:
        lead = f"**Сдана конфигурация {ctx.engine} по умолчанию.** {sentence(test.reason)}"
    else:
        name = labels.metric(ctx.objective)
        lead = (
            f"**Сдана новая конфигурация. {name} против {ctx.engine} по умолчанию: "
            f"{ratio(test.speedup)}{_over_naive(ctx, ctx.winner)}.** "
            f"Это {cite(ctx.winner)} против {cite(ctx.default)}: оба сервера запущены с нуля "
            f"и измерены по очереди под одной нагрузкой. {sentence(test.reason)}"
        )
    return f"{lead}\n\n{_slo_line(ctx)}".strip()


def _over_naive(ctx: ReportContext, best: TrialResult) -> str:
    gain = ctx.improvement(ctx.naive, best, ctx.objective) if ctx.naive else None
    return f", против наивной реализации ({cite(ctx.naive)}): {ratio(gain)}" if gain else ""


def _slo_line(ctx: ReportContext) -> str:
    test = ctx.record.production
    if test is None or not ctx.record.task.slos:
        return ""
    promises = ", ".join(labels.slo(slo) for slo in ctx.record.task.slos)
    if test.slos_met:
        return f"SLO выполнены: {promises}."
    missed = [
        f"{labels.metric(slo.metric)} {labels.value(slo.metric, seen.value)}"
        for slo in ctx.record.task.slos
        if (seen := figure(ctx.best, slo.metric)) and not slo.met_by(seen.value)
    ]
    nearest = f" Ближе всего к ним {cite(ctx.best)}: {', '.join(missed)}." if missed else ""
    return f"**SLO не выполнены: {promises}.**{nearest}"


def _task(ctx: ReportContext) -> str:
    task, hardware = ctx.record.task, ctx.record.task.hardware
    budget = duration(task.budget.seconds)
    if task.budget.trials:
        budget += f", до {plural(task.budget.trials, 'испытания', 'испытаний', 'испытаний')}"
    workload = task.workload
    lines = [
        f"- **Модель:** {task.model.name}, {_billions(task.model.facts.parameters)} параметров, "
        f"исходный dtype {task.model.facts.dtype}.",
        f"- **Машина:** {hardware.device.name}"
        + (f" × {hardware.device_count}" if hardware.device_count > 1 else "")
        + f", {plural(hardware.cores, 'ядро', 'ядра', 'ядер')} CPU, "
        f"{gib(hardware.host_memory_bytes)} памяти.",
        f"- **Движок:** {_engine(ctx)}.",
        f"- **Нагрузка:** {workload.name}: {labels.arrival(workload)}; вход "
        f"{labels.lengths(workload.input_tokens)}, выход {labels.lengths(workload.output_tokens)}.",
        f"- **Цель:** {labels.OBJECTIVES[task.objective]}; решает {labels.metric(ctx.objective)}.",
        "- **SLO:** " + (", ".join(labels.slo(slo) for slo in task.slos) or "не заданы") + ".",
        f"- **Бюджет поиска:** {budget}. Сессия `{ctx.record.row.session}`.",
    ]
    return "\n".join(lines) + (
        "\n\nВ квадратных скобках везде 95 % доверительный интервал. ×1,50 означает «в полтора "
        "раза лучше»: для задержек это отношение «было / стало», для скоростей «стало / было». "
        "Рядом с цифрами стоит номер испытания, в котором их измерили."
    )


def _engine(ctx: ReportContext) -> str:
    """The one that is handed in, with its version; it need not be the one that was begun with."""
    best = ctx.best
    if best is None or best.launch is None:
        return ctx.engine
    served = labels.engine(best.spec.candidate.config.engine)
    return f"{served} {best.launch.engine_version}".strip()


def _billions(parameters: int) -> str:
    from advisor.report.numbers import NBSP, number

    if parameters >= 1e9:
        return f"{number(parameters / 1e9)}{NBSP}млрд"
    return f"{number(parameters / 1e6, 0)}{NBSP}млн"
