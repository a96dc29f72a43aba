"""Start, follow, cancel and resume a session. What is lost by a kill is the trial in flight."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl
from langgraph.types import Command

from advisor import approval, launch_noise
from advisor.context import Context, OnEvent
from advisor.graph import build
from advisor.pace import pace_of
from advisor.policy.advice import Adviser
from advisor.state import State
from knowledge.errors import AdvisorError, BadInput, NoRoom
from knowledge.quantities import format_bytes
from knowledge.types import Task
from tools import engines, envs
from tools.executors import LOCAL
from tools.executors.base import Executor
from tools.executors.local import Local
from tools.hardware import free_device_memory_bytes
from tools.home import Home
from tools.preparing import World, catalog_of
from tools.process import sweep
from tools.served_by import left_out
from tools.store import SessionRecord, Status, Store

_MOST_STEPS = 1000


@dataclass(frozen=True)
class Options:
    """What a session is run with beside its task. Stored, so that a resume runs the same."""

    naive: bool = True
    reports: Path = Path("reports")
    model: str = ""
    """What the user typed, for the command that repeats the session."""
    approval_wait_s: float | None = None
    """How long a risky step waits for a person's word; None: nobody is asked."""
    executor: str = LOCAL
    """Name of what runs the trials."""
    parallel: int | None = None
    """Hypotheses measured at the same time; None: as many as the executor has room for."""


def new_session_id(task: Task, at: datetime) -> str:
    """Sorts by time; the tail tells two tasks of one second apart."""
    return f"{at:%Y%m%d-%H%M%S}-{task.content_id(4)}"


async def start(  # noqa: PLR0913 - a session, and the world it runs in
    task: Task,
    options: Options,
    store: Store,
    home: Home,
    on_event: OnEvent,
    on_line: Callable[[str], None] = lambda _: None,
    adviser: Adviser | None = None,
    *,
    executor: Executor | None = None,
) -> SessionRecord:
    """Run a new session to its end. Raises AdvisorError; cancellation leaves it resumable."""
    if task.flags:
        await check_flags(task, home, on_line, executor)
    session = create(task, options, store, datetime.now(UTC))
    return await resume(session, store, home, on_event, adviser=adviser, executor=executor)


def create(task: Task, options: Options, store: Store, at: datetime) -> str:
    """Write a new session down without running it; its id. `resume` runs it."""
    session = new_session_id(task, at)
    simulated = engines.load(task.engine).capabilities(task.hardware).simulated
    kept: dict[str, object] = {"naive": options.naive, "reports": str(options.reports.absolute())}
    kept |= {"model": options.model or task.model.path}
    if task.engines:
        kept["engines_left_out"] = left_out(task.model, task.hardware, task.engines)
    if options.executor != LOCAL:
        kept |= {"executor": options.executor, "parallel": options.parallel}
    if options.approval_wait_s is not None:
        kept["approval_wait_s"] = options.approval_wait_s
    store.create_session(session, task, kept | {"simulated": simulated})
    return session


async def resume(  # noqa: PLR0913 - each is what the caller may have of its own
    session: str,
    store: Store,
    home: Home,
    on_event: OnEvent,
    control: RunControl | None = None,
    *,
    adviser: Adviser | None = None,
    saver: BaseCheckpointSaver[str] | None = None,
    executor: Executor | None = None,
) -> SessionRecord:
    """Run a session from its last checkpoint. A finished one is returned as it is.

    A drain asked for through `control` ends it after the step in flight, as a cancellation.
    Checkpoints are a SQLite file of the session, unless a `saver` is given.
    Raises BadInput when the executor is another than the session was begun with.
    """
    record = store.record(session)
    if record.row.status in (Status.DONE, Status.INFEASIBLE):
        return record
    executor = executor or Local()
    if (begun := executor_of(record)) != executor.name:
        raise BadInput(
            f"сессия {session} начата с --executor {begun}, а продолжает её {executor.name}: "
            "замеры на разных машинах сравнивать нельзя",
            "Остановите advisor serve и выполните advisor resume там, где есть кластер",
        )
    sweep()
    context = await _context(record, store, home, on_event, executor)
    context.adviser = adviser
    store.set_status(session, Status.RUNNING)
    pace = context.pace
    context.emit(
        "session_started",
        session=session, launch_cv=pace.launch_cv, launch_repeats=pace.launch_repeats,
    )  # fmt: skip
    try:
        async with _checkpoints(saver, home.session_dir(session)) as checkpoints:
            await _run(context, checkpoints, control)
    except (asyncio.CancelledError, GraphDrained) as end:
        store.set_status(session, Status.CANCELLED)
        context.emit("cancelled")
        raise asyncio.CancelledError from end
    except AdvisorError as error:
        store.set_status(session, Status.FAILED)
        context.emit("failed", message=str(error))
        raise
    return store.record(session)


def executor_of(record: SessionRecord) -> str:
    """The name of the executor that a session was begun with."""
    return str(record.options.get("executor", LOCAL))


@asynccontextmanager
async def _checkpoints(
    saver: BaseCheckpointSaver[str] | None, folder: Path
) -> AsyncIterator[BaseCheckpointSaver[str]]:
    if saver:
        yield saver
        return
    folder.mkdir(parents=True, exist_ok=True)
    async with AsyncSqliteSaver.from_conn_string(str(folder / "graph.sqlite")) as own:
        yield own


async def _run(
    context: Context, saver: BaseCheckpointSaver[str], control: RunControl | None
) -> None:
    config: RunnableConfig = {
        "configurable": {"thread_id": context.session},
        "recursion_limit": _MOST_STEPS,
    }
    begun = await saver.aget_tuple(config)
    graph = build(saver)
    given: State | Command[Any] | None = None if begun else {"session": context.session}
    while True:
        state = await graph.ainvoke(
            given, config, context=context, durability="sync", control=control
        )
        if not (asked := (state or {}).get("__interrupt__")):
            return
        question = approval.Question.model_validate(asked[0].value)
        given = Command(resume=await approval.wait(context, question, control))


async def _context(
    record: SessionRecord, store: Store, home: Home, on_event: OnEvent, executor: Executor
) -> Context:
    session, task, options = record.row.session, record.task, record.options
    world = World(
        home=home,
        hardware=task.hardware,
        logs=home.session_dir(session) / "logs",
        progress=_told_as_events(store, session, on_event),
    )
    wait_s, parallel = options.get("approval_wait_s"), options.get("parallel")
    pace = pace_of(task, simulated=bool(options.get("simulated")))
    if not options.get("simulated"):
        seen = launch_noise.of_machine(store, task, pace.launch_cv, but=session)
        pace = replace(pace, launch_cv=seen.cv, launch_repeats=seen.repeats)
    return Context(
        session=session,
        task=task,
        store=store,
        world=world,
        pace=pace,
        on_event=on_event,
        executor=executor,
        parallel=int(str(parallel)) if parallel is not None else None,
        catalog=await executor.call(catalog_of, task.engine, world=world),
        catalogs={
            name: await executor.call(catalog_of, name, world=world)
            for name in _installed(task, home)
        },
        naive=bool(options.get("naive", True)),
        reports=Path(str(options.get("reports", "reports"))),
        approval_wait_s=float(str(wait_s)) if wait_s is not None else None,
    )


def _installed(task: Task, home: Home) -> list[str]:
    """Of the engines that the session may move to: the others are installed when it does."""
    needs = {name: engines.load(name).env_spec(task.hardware) for name in task.engines}
    return [name for name, spec in needs.items() if spec is None or envs.find(spec, home)]


async def check_flags(
    task: Task, home: Home, on_line: Callable[[str], None], executor: Executor | None = None
) -> None:
    """Raises UnknownFlag or BadInput before a session is made of a task that can't run."""
    world = World(home=home, hardware=task.hardware, logs=home.sessions, progress=on_line)
    catalog = await (executor or Local()).call(catalog_of, task.engine, world=world)
    engines.load(task.engine).validate(task.default.config, catalog)


def _told_as_events(store: Store, session: str, on_event: OnEvent) -> Callable[[str], None]:
    def progress(line: str) -> None:
        on_event(store.append(session, "progress", {"text": line}))

    return progress


def least_budget_s(task: Task, naive: bool) -> float:
    """Seconds below which not even the default could be measured twice."""
    engine = engines.load(task.engine)
    simulated = engine.capabilities(task.hardware).simulated
    pace = pace_of(task, simulated=simulated)
    start_s = 1.0 if simulated else 30.0
    plan = pace.load
    once = start_s + plan.warmup_s + plan.rounds * plan.round_s
    again = start_s + pace.production.warmup_s + pace.production.rounds * pace.production.round_s
    first = start_s / 2 + pace.naive.warmup_s + pace.naive.rounds * pace.naive.round_s
    return once + again + (first if naive else 0.0)


def require_room(task: Task) -> None:
    """Raises NoRoom when not even the engine's default fits into the free memory."""
    engine = engines.load(task.engine)
    needed = engine.memory_needed_bytes(task.default.config, task.model, task.hardware)
    free = free_device_memory_bytes(task.hardware)
    if needed > free:
        raise NoRoom(
            f"{task.model.name} на {engine.title}: нужно {format_bytes(needed)} памяти, "
            f"свободно {format_bytes(free)}",
            "Освободите память или возьмите модель меньше",
        )


async def require_room_there(task: Task, world: World) -> None:
    """The same for an executor to call: on the machine that trials run on."""
    require_room(task)


def require_budget(task: Task, naive: bool) -> None:
    """Raises BadInput when the budget can't hold the baseline."""
    least = least_budget_s(task, naive)
    if task.budget.seconds < least:
        raise BadInput(
            f"бюджет {task.budget.seconds:.0f} с мал: одни базовые замеры займут от {least:.0f} с",
            f"Дайте --budget {least / 60 + 1:.0f}m или больше",
        )
