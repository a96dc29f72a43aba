"""The environment, how it was measured, and how to do it again."""

import shlex

from advisor.policy.advice import spent_of
from advisor.report.context import ReportContext, cite, table
from advisor.report.labels import DECISIONS
from advisor.report.numbers import DASH, duration, gib, number, percent, plural
from knowledge.types import ClosedLoop, LoadPlan, Slo, TrialResult

ORDER = 100


def render(ctx: ReportContext) -> str:
    """Machine, method, all trials, commands."""
    parts = [
        "## Окружение и воспроизведение",
        _machine(ctx),
        _method(ctx),
        _trials(ctx),
        _advice(ctx),
        "Повторить всю сессию:\n\n```bash\n" + reproduce(ctx) + "\n```",
    ]
    return "\n\n".join(part for part in parts if part)


def _machine(ctx: ReportContext) -> str:
    hardware, model = ctx.record.task.hardware, ctx.record.task.model
    device = hardware.device
    how = "измерено" if device.measured else f"по данным: {device.source}"
    isa = ", ".join(hardware.isa)
    count = f" × {hardware.device_count}" if hardware.device_count > 1 else ""
    software = ", ".join(f"{name} {version}" for name, version in sorted(hardware.software.items()))
    weights = "случайные, вместо " if model.dummy_weights else "веса "
    rows = [
        ["Устройство", f"{device.name}{count}, {gib(device.memory_bytes)}"],
        ["Полоса памяти", f"{number(device.bandwidth_bytes_per_s / 1e9, 1)} ГБ/с ({how})"],
        ["CPU", f"{hardware.cpu_name}, {plural(hardware.cores, 'ядро', 'ядра', 'ядер')}, "
         f"узлов NUMA: {hardware.numa_nodes}" + (f"; {isa}" if isa else "")],
        ["Память машины", gib(hardware.host_memory_bytes)],
        ["ПО", software or DASH],
        ["Модель", f"{model.name}, отпечаток `{model.fingerprint[:16]}`, {weights}"
         f"{gib(model.weights_bytes)}"],
        ["advisor", ctx.record.row.advisor_version],
        *_executor(ctx),
    ]  # fmt: skip
    return table(["Что", "Значение"], rows)


def _executor(ctx: ReportContext) -> list[list[str]]:
    """Where trials ran, if not simply on this machine."""
    options = ctx.record.options
    if not (name := options.get("executor")):
        return []
    parallel = options.get("parallel") or "сколько влезает"
    own = "на своих GPU" if ctx.record.task.hardware.device.kind == "cuda" else "на своём узле"
    return [["Исполнитель", f"{name}; гипотез сразу: {parallel}, каждая {own}"]]


def _method(ctx: ReportContext) -> str:
    best = ctx.best
    if best is None:
        return ""
    load, workload = best.spec.load, ctx.record.task.workload
    unique = "Prompt не повторяются, поэтому кэш ответить за модель не может"
    if workload.shared_prefix_tokens:
        unique = f"У всех prompt общее начало в {workload.shared_prefix_tokens} токенов"
    text = {"natural": "естественный текст", "random": "случайные токены"}[workload.text]
    source = "запросы пользователя из файла" if workload.trace_path else text
    sentence = (
        f"Каждый замер ({cite(best)} и остальные): {_load(load)}. Раунд "
        "длится дольше, но не более чем втрое, если на прогреве запрос едва в него умещался. "
        f"Разгон в начале раунда отрезается. Вход: {source}. {unique}. "
        "TTFT — от отправки запроса до первого токена; "
        "TPOT = (E2E − TTFT) / (выходных токенов − 1); ITL — пауза между соседними токенами; "
        "E2E — от отправки до последнего токена. Перцентили считаются по запросам. Интервалы: у "
        "перцентилей по Вудраффу (у p95 и p99 не уже, чем у throughput), у средних бутстрепом, "
        "у throughput и запросов в секунду по "
        "медленной части шума с квантилями Стьюдента: волны, которыми идут токены, ошибкой "
        "среднего не служат."
    )
    if any(t.measurement and t.measurement.ended_early_s for t in ctx.record.trials):
        sentence += (
            " Раунд гипотезы, которая обогнать эталон уже не могла, кончался раньше, но не раньше "
            "своей середины."
        )
    if ctx.record.production and ctx.record.production.stopping:
        sentence += (
            " Production-проверка идёт по очереди и кончается, как только ответ ясен; её интервал "
            "верен при остановке в любой момент."
        )
    if ctx.record.production and ctx.record.production.launches:
        sentence += (
            " Пока выигрыш тонет в разбросе между запусками и хватает бюджета, обе конфигурации "
            "запускаются с нуля ещё раз, до трёх пар; интервал — по всем парам вместе и верен при "
            "остановке в любой момент."
        )
    if ctx.launch_cv:
        sentence += (
            " Разброс от запуска к запуску одной и той же конфигурации "
            f"({percent(ctx.launch_cv)}{_told_by(ctx.launch_repeats)}) учтён в интервалах."
        )
    return sentence


def _told_by(repeats: int) -> str:
    if not repeats:
        return ""
    launches = plural(repeats, "повторному запуску", "повторным запускам", "повторным запускам")
    return f", по {launches} на этой машине"


def _load(load: LoadPlan) -> str:
    rounds = plural(load.rounds, "раунд", "раунда", "раундов")
    return f"прогрев {number(load.warmup_s, 0)} с, затем {rounds} по {number(load.round_s, 0)} с"


def _trials(ctx: ReportContext) -> str:
    purposes = {
        "naive": "наивная реализация",
        "baseline": "движок по умолчанию",
        "hypothesis": "гипотеза",
        "repeat": "повтор перед сдачей",
        "production": "production-проверка",
    }
    rows = [
        [cite(t), purposes[t.spec.purpose], t.started_at.strftime("%H:%M:%S"),
         duration(t.seconds), _result(ctx, t)]
        for t in ctx.record.trials
    ]  # fmt: skip
    head = ["Испытание", "Назначение", "Начало, UTC", "Длилось", "Итог"]
    return "### Все испытания\n\n" + table(head, rows) if rows else ""


def _advice(ctx: ReportContext) -> str:
    """What the LLM's advice took, where one was asked."""
    spent = spent_of(ctx.record.events)
    if not spent.questions:
        return ""
    asked = plural(spent.questions, "вопрос", "вопроса", "вопросов")
    return (
        f"Советы LLM: {asked}, без пригодного ответа {spent.failures}; "
        f"{number(spent.tokens, 0)} токенов, ${number(spent.usd, 4)}."
    )


def _result(ctx: ReportContext, trial: TrialResult) -> str:
    verdict = ctx.verdict(trial.trial_id)
    if verdict is not None:
        return DECISIONS[verdict.decision]
    return "не измерено" if trial.measurement is None else "измерено"


def reproduce(ctx: ReportContext) -> str:
    """The command line that starts the same session again."""
    task = ctx.record.task
    model = ctx.record.options.get("model")
    words = [
        "advisor", "optimize", model if isinstance(model, str) else task.model.name,
        "--engine", "auto" if task.engines else task.engine,
        "--workload", task.workload.trace_path or task.workload.name,
    ]  # fmt: skip
    if isinstance(task.workload.arrival, ClosedLoop):
        words += ["--concurrency", str(task.workload.arrival.concurrency)]
    else:
        words += ["--rate", f"{task.workload.arrival.rate_per_s:g}"]
    for name, value in task.flags.items():
        words += ["--flag", name if value is True else f"{name}={value}"]
    words += ["--objective", task.objective.value]
    for slo in task.slos:
        words += ["--slo", _slo(slo)]
    if task.model.dummy_weights:
        words.append("--dummy-weights")
    words += ["--quality-floor", f"{task.quality_floor.margin_nats_per_token:g}"]
    if task.tasks:
        words += ["--tasks", task.tasks.path]
    words += ["--budget", f"{task.budget.seconds:g}s"]
    if task.budget.trials:
        words += ["--trials", str(task.budget.trials)]
    if isinstance(executor := ctx.record.options.get("executor"), str):
        words += ["--executor", executor]
    if isinstance(parallel := ctx.record.options.get("parallel"), int):
        words += ["--parallel", str(parallel)]
    return shlex.join(words)


def _slo(slo: Slo) -> str:
    if slo.metric.value.endswith("_ms"):
        return f"{slo.metric.value.removesuffix('_ms')}={slo.limit:g}ms"
    return f"{slo.metric.value}={slo.limit:g}"
