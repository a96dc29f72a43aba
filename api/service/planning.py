"""POST /v1/plan: a task to what is known of it before anything runs."""

from advisor.dry_run import plan_of
from advisor.profiling import concurrency_of
from api.schemas import PlannedStep, PlanView
from api.tasks import NAIVE_FROM_S
from knowledge.memory import fit
from knowledge.types import Task
from tools import engines, envs
from tools.engines.base import FlagCatalog
from tools.home import Home

_OVERHEAD_BYTES = 3 * 2**30
_UNKNOWN_START_S = 60.0


async def plan(task: Task, home: Home, naive: bool | None) -> PlanView:
    """Reads flags from the installed engine; without one there is nothing to rank."""
    engine = engines.load(task.engine)
    capabilities = engine.capabilities(task.hardware)
    needs = engine.env_spec(task.hardware)
    found = envs.find(needs, home) if needs else None
    notes = ["Ничего не запускалось: все числа здесь расчётные."]
    if needs and found is None:
        notes.append(f"Движок {engine.title} не установлен: advisor setup {task.engine}. "
                     "Без него неизвестно, какие гипотезы применимы.")  # fmt: skip
        catalog = FlagCatalog(engine=task.engine, version="", flags={})
    else:
        catalog = await engine.catalog(found, home, lambda _line: None)
    start_s = 1.0 if capabilities.simulated else _UNKNOWN_START_S
    if not capabilities.simulated:
        notes.append(f"Время запуска движка принято за {start_s:.0f} с.")
    with_naive = naive if naive is not None else task.budget.seconds >= NAIVE_FROM_S
    drawn = plan_of(task, catalog, start_s=start_s, naive=with_naive)
    budget = task.budget
    fitting = drawn.within(budget.seconds, budget.trials)
    room = _room(task)
    spent = drawn.fixed_s + sum(h.cost_s for h in drawn.hypotheses[:fitting])
    return PlanView(
        model=task.model.name,
        engine=task.engine,
        metric=task.objective.metric.value,
        profile=drawn.profile,
        fits=bool(room["fits"]),
        memory=room,
        steps=[
            PlannedStep(
                title=hypothesis.title,
                technique=hypothesis.technique,
                rationale=hypothesis.rationale,
                predicted_speedup=hypothesis.predicted_speedup,
                cost_s=hypothesis.cost_s,
                quality_risk=hypothesis.quality_risk,
                evidence=list(hypothesis.evidence),
                within_budget=number < fitting,
            )
            for number, hypothesis in enumerate(drawn.hypotheses)
        ],
        accelerator_s=spent * task.hardware.device_count,
        at_most_s=budget.seconds,
        notes=notes,
    )


def _room(task: Task) -> dict[str, float | int | bool | None]:
    longest = task.workload.input_tokens.high + task.workload.output_tokens.high
    found = fit(
        task.model.facts,
        memory_bytes=task.hardware.device.memory_bytes,
        weight_dtype="bfloat16",
        kv_dtype="bfloat16",
        context_tokens=int(longest),
        concurrency=concurrency_of(task),
        overhead_bytes=_OVERHEAD_BYTES,
    )
    return dict(found.model_dump())
