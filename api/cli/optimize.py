"""`advisor optimize`: the whole job, watched as it goes."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from advisor import policies
from api.settings import Settings

if TYPE_CHECKING:
    from api.client import Client
    from api.tasks import Request
    from tools.executors.base import Executor


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("optimize", help="Найти и доказать лучшую конфигурацию; написать отчёт.")(optimize)


def optimize(  # noqa: PLR0913 - the options of the command
    model: str = typer.Argument(help="Папка с моделью, файл .gguf, id с хаба или demo."),
    engine: str = typer.Option("vllm", help="Движок: vllm, llamacpp… или auto: сравнить все."),
    flag: list[str] = typer.Option(
        [], help="Свой флаг движка, не меняется: max-model-len=4096; можно несколько."
    ),
    workload: str | None = typer.Option(
        None, help="chat, rag, code, batch, agent… или ФАЙЛ.jsonl; без него chat (у demo — demo)."
    ),
    concurrency: int | None = typer.Option(None, help="Сколько потоков запросов."),
    rate: float | None = typer.Option(None, help="Запросов в секунду (Poisson)."),
    input_tokens: int | None = typer.Option(None, help="Токенов в запросе, не больше."),
    output_tokens: int | None = typer.Option(None, help="Токенов в ответе, не больше."),
    objective: str = typer.Option("latency", help="latency, ttft, tpot, throughput, cost."),
    slo: list[str] = typer.Option([], help="Например, ttft_p95=200ms; можно несколько."),
    quality_floor: float | None = typer.Option(None, help="Допуск потери, нат/токен."),
    tasks: str | None = typer.Option(
        None, help="Свои вопросы с ответами: ФАЙЛ.jsonl или .yaml; точность до и после."
    ),
    budget: str = typer.Option("30m", help="Сколько времени на всё."),
    trials: int | None = typer.Option(None, help="Сколько гипотез, не больше."),
    policy: str = typer.Option("portfolio", help=", ".join(policies.names()) + "."),
    executor: str = typer.Option("local", help="Где мерить: local или ray (кластер Ray)."),
    parallel: int | None = typer.Option(
        None, help="Сколько гипотез мерить сразу на ray; без него — сколько влезет, до 8."
    ),
    seed: int = typer.Option(0, help="Зерно случайных чисел."),
    naive: bool | None = typer.Option(None, help="Мерить ли наивный transformers (по бюджету)."),
    dummy_weights: bool = typer.Option(
        False, help="Модель без весов: config.json и токенизатор; качество не проверяется."
    ),
    out: Path = typer.Option(Path("reports"), help="Папка отчётов."),
    json_file: str | None = typer.Option(None, "--json", help="Итог в ФАЙЛ («-»: на stdout)."),
) -> int:
    """Run a session to its report."""
    from api.tasks import Request, usual_workload

    request = Request(
        model=model, engine=engine, flag=flag, concurrency=concurrency,
        workload=workload or usual_workload(model),
        rate=rate, input_tokens=input_tokens, output_tokens=output_tokens, objective=objective,
        slo=slo, quality_floor=quality_floor, tasks=tasks, budget=budget, trials=trials,
        policy=policy, seed=seed, dummy_weights=dummy_weights,
    )  # fmt: skip
    return interruptible(_optimize(request, Ways(naive, executor, parallel), out, json_file))


@dataclass(frozen=True)
class Ways:
    """How the session goes about it."""

    naive: bool | None
    executor: str
    parallel: int | None


async def _optimize(request: "Request", ways: "Ways", out: Path, json_file: str | None) -> int:
    from advisor.runner import Options, require_budget, require_room_there, start
    from api.advice import adviser_of
    from api.cli.watch import Watcher, finish
    from api.client import Client
    from api.tasks import NAIVE_FROM_S, task_of, task_while_installing
    from tools.preparing import World
    from tools.store import Store

    home = Settings().folders()
    if here := Client.local(home):
        async with here as client:
            return await _through_the_service(client, request, ways, out, json_file)
    watcher = Watcher()
    with Store.open(home.store, "advisor optimize") as store:
        async with connected(ways.executor, ways.parallel) as executor:
            if executor.name == "local":
                task = await task_while_installing(request, home, watcher.line)
            else:
                there = await executor.inspect(home, watcher.line)
                task = await task_of(request, home, watcher.line, there)
            naive = ways.naive
            run_naive = naive if naive is not None else task.budget.seconds >= NAIVE_FROM_S
            require_budget(task, run_naive)
            world = World(home, task.hardware, home.sessions, watcher.line)
            await executor.call(require_room_there, task, world=world)
            with watcher:
                record = await start(
                    task,
                    Options(
                        run_naive, out, request.model,
                        executor=executor.name, parallel=ways.parallel,
                    ),
                    store,
                    home,
                    watcher.event,
                    watcher.line,
                    adviser_of(Settings()),
                    executor=executor,
                )  # fmt: skip
        return finish(record, json_file, out)


@asynccontextmanager
async def connected(name: str, parallel: int | None = None) -> "AsyncIterator[Executor]":
    """The executor of that name for as long as a session runs. Raises BadInput."""
    from knowledge.errors import BadInput
    from tools.executors import LOCAL, connect

    if parallel is not None and (parallel < 1 or name == LOCAL):
        raise BadInput(
            f"--parallel {parallel} не подходит: "
            + ("нужно число больше нуля" if parallel < 1 else "на одной машине замеры мешают"),
            "Несколько гипотез сразу мерит --executor ray",
        )
    executor = connect(name, Settings().ray_address)
    try:
        yield executor
    finally:
        await executor.close()


async def _through_the_service(
    client: "Client", request: "Request", ways: "Ways", out: Path, json_file: str | None
) -> int:
    """The same session in the service's queue; Ctrl-C leaves it running there."""
    from dataclasses import asdict

    from api.cli.watch import finish, follow
    from api.tasks import flags_of
    from knowledge.errors import BadInput

    if ways.executor != "local":
        raise BadInput(
            f"--executor {ways.executor}: работающий сервис мерит только на своей машине",
            "Остановите advisor serve и повторите команду",
        )
    body = asdict(request) | {"naive": ways.naive, "flags": flags_of(request.flag)}
    del body["flag"]
    if body.pop("tasks"):
        raise BadInput(
            "--tasks: работающий сервис не принимает файл задач",
            "Остановите advisor serve и повторите команду",
        )
    for name in ("model", "workload"):
        path = Path(body[name]).expanduser()
        if path.exists():
            body[name] = str(path.absolute())
    session = (await client.post("/v1/sessions", body))["id"]
    print(f"Сервис {client.url} ведёт эту сессию: {session}", file=sys.stderr)
    record = await follow(client, session, 0)
    if record.production is not None:
        print(f"Отчёт: {await client.report(session, out)}", file=sys.stderr)
    return finish(record, json_file, out)


def interruptible(coroutine: Coroutine[None, None, int], *, resumable: bool = True) -> int:
    """Run on uvloop; Ctrl-C and SIGTERM cancel, which tears servers down and leaves a resume."""

    async def guarded() -> int:
        task = asyncio.ensure_future(coroutine)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, task.cancel)
        return int(await task)

    try:
        if sys.platform == "win32":
            return asyncio.run(guarded())
        import uvloop

        return uvloop.run(guarded())
    except asyncio.CancelledError:
        again = " Продолжить: advisor resume (номер: advisor sessions)" if resumable else ""
        print(f"Остановлено.{again}", file=sys.stderr)
        return 130
