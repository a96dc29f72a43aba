"""From what the user typed to a Task: every mistake is one clear line before anything starts."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from knowledge.cards import engines_to_move_to
from knowledge.errors import BadInput, BadModel, BadWorkload
from knowledge.presets import PRESETS, preset
from knowledge.quantities import parse_duration, parse_slo
from knowledge.types import (
    Arrival,
    Budget,
    ClosedLoop,
    FlagValue,
    Hardware,
    Lengths,
    ModelSpec,
    Objective,
    Poisson,
    QualityFloor,
    Task,
    TaskFile,
    Workload,
)
from tools import demo_model, engines, envs
from tools.engines.base import OwnFormat
from tools.hardware import inspect
from tools.home import Home
from tools.load import TraceRow, load_trace, trace_sha256
from tools.models import resolve
from tools.quality.tasks import load_tasks, tasks_sha256
from tools.served_by import servers

AUTO = "auto"
"""As an engine's name: vLLM's default is what all others are compared with."""
_AUTO_FIRST = ("vllm", "sglang", "llamacpp", "transformers")

NAIVE_FROM_S = 900.0
"""From this budget on the naive reference is measured too, unless the user says otherwise."""


@dataclass(frozen=True)
class Request:
    """The options of `optimize` and `plan`, as typed."""

    model: str
    engine: str = "vllm"
    flag: Sequence[str] = ()
    workload: str = "chat"
    concurrency: int | None = None
    rate: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    objective: str = "latency"
    slo: Sequence[str] = ()
    quality_floor: float | None = None
    tasks: str | None = None
    budget: str = "30m"
    trials: int | None = None
    policy: str = "portfolio"
    seed: int = 0
    dummy_weights: bool = False


def usual_workload(model: str) -> str:
    """What is measured where nobody said: the demo model's is one that a processor answers too."""
    return "demo" if model == "demo" else "chat"


async def task_of(
    request: Request,
    home: Home,
    progress: Callable[[str], None],
    hardware: Hardware | None = None,
) -> Task:
    """Check everything cheap first, then look at the model. Raises BadInput.

    `hardware`: the machine, where it was looked at before.
    """
    _known_engine(request)
    objective = objective_of(request.objective)
    slos = tuple(parse_slo(text) for text in request.slo)
    budget = _budget(request)
    workload = workload_of(request)
    floor = QualityFloor()
    if request.quality_floor is not None:
        if request.quality_floor <= 0:
            raise BadInput("--quality-floor должен быть больше нуля", "Например, 0.02 нат/токен")
        floor = QualityFloor(margin_nats_per_token=request.quality_floor)
    hardware = hardware or inspect(home)
    model = await resolve(request.model, home, progress, dummy_weights=request.dummy_weights)
    _fits_context(workload, model.facts.max_position)
    engine, others = _engines(request.engine, model, hardware)
    return Task(
        model=model,
        hardware=hardware,
        workload=workload,
        engine=engine,
        engines=others,
        flags=flags_of(request.flag),
        objective=objective,
        slos=slos,
        budget=budget,
        quality_floor=floor,
        tasks=_tasks(request.tasks),
        policy=_policy(request.policy),
        seed=request.seed,
    )


async def task_while_installing(
    request: Request, home: Home, progress: Callable[[str], None]
) -> Task:
    """`task_of` on a fresh machine: what converts the model and what serves it are installed side
    by side. Raises BadInput before anything is, and SetupFailed."""
    made = asyncio.ensure_future(task_of(request, home, progress))
    await asyncio.sleep(0)  # the cheap checks are over, unless it waits for nothing else
    converted = request.model == demo_model.NAME or request.model.endswith(".gguf")
    needs = None
    if not made.done() and converted and request.engine != AUTO:
        needs = engines.load(request.engine).env_spec(inspect(home))
    if needs is None:
        return await made
    installed = asyncio.ensure_future(envs.ensure(needs, home, progress))
    try:
        _, task = await asyncio.gather(installed, made)
    finally:
        for one in (installed, made):
            one.cancel()
        await asyncio.gather(installed, made, return_exceptions=True)
    return task


def _tasks(name: str | None) -> TaskFile | None:
    """The user's own questions: read and checked now, not after the first hour."""
    if name is None:
        return None
    path = Path(name).expanduser().absolute()
    load_tasks(path)
    return TaskFile(path=str(path), sha256=tasks_sha256(path))


def _known_engine(request: Request) -> None:
    flags = flags_of(request.flag)
    if request.engine != AUTO:
        engines.load(request.engine)
    elif flags:
        raise BadInput(
            "--flag относится к одному движку, а --engine auto сравнивает несколько",
            "Назовите движок, например --engine vllm",
        )


def _engines(name: str, model: ModelSpec, hardware: Hardware) -> tuple[str, tuple[str, ...]]:
    """The default's engine, and those that hypotheses may move to."""
    if name != AUTO:
        if refused := _own_format_lacks(name, model):
            raise BadModel(refused, "Дайте файл .gguf или возьмите --engine vllm")
        return name, ()
    found = servers(model, hardware)
    if not found:
        raise BadInput(
            "ни один движок не может служить эту модель здесь", "Что не так: advisor doctor"
        )
    first = next((one for one in _AUTO_FIRST if one in found), found[0])
    offered = engines_to_move_to()
    return first, tuple(one for one in found if one != first and one in offered)


def _own_format_lacks(name: str, model: ModelSpec) -> str:
    engine = engines.load(name)
    return engine.lacks(model) if isinstance(engine, OwnFormat) else ""


def workload_of(request: Request) -> Workload:
    """A preset or a file of requests, with lengths and arrivals replaced where they were given."""
    workload = _named_or_file(request.workload)
    if request.concurrency is not None and request.rate is not None:
        raise BadInput(
            "--concurrency и --rate заданы вместе", "Оставьте один: потоки или поток в секунду"
        )
    if request.concurrency is not None:
        _positive("--concurrency", request.concurrency)
        workload = workload.replace(arrival=ClosedLoop(concurrency=request.concurrency))
    if request.rate is not None:
        _positive("--rate", request.rate)
        workload = workload.replace(arrival=Poisson(rate_per_s=request.rate))
    for option, name in (("input_tokens", "--input-tokens"), ("output_tokens", "--output-tokens")):
        asked = getattr(request, option)
        if asked is not None:
            _positive(name, asked)
            lengths = Lengths(low=max(1, round(0.8 * asked)), high=asked)
            workload = workload.replace(**{option: lengths})
    return workload


def _named_or_file(name: str) -> Workload:
    path = Path(name).expanduser()
    if name in PRESETS:
        return preset(name)
    if path.suffix in (".jsonl", ".json", ".csv"):
        if not path.is_file():
            raise BadWorkload(f"нет файла нагрузки {name}", "Проверьте путь")
        rows = load_trace(path)
        asked = [row.output_tokens or 128 for row in rows]
        inputs = [row.input_tokens or max(1, len(row.text) // 4) for row in rows]
        return preset("chat").replace(
            name=path.stem,
            arrival=_recorded(rows),
            shared_prefix_tokens=0,
            input_tokens=Lengths(low=min(inputs), high=max(inputs)),
            output_tokens=Lengths(low=min(asked), high=max(asked)),
            trace_path=str(path.absolute()),
            trace_sha256=trace_sha256(path),
        )
    near = get_close_matches(name, list(PRESETS), n=1)
    raise BadWorkload(
        f"неизвестная нагрузка {name!r}",
        (f"Может быть, {near[0]}? " if near else "")
        + f"Есть: {', '.join(PRESETS)} или файл .jsonl, .json, .csv",
    )


def flags_of(given: Sequence[str]) -> dict[str, FlagValue]:
    """`name=value`, or `name` alone for what is switched on; leading dashes may stay."""
    flags: dict[str, FlagValue] = {}
    for text in given:
        name, sign, value = text.lstrip("-").partition("=")
        if not name or (sign and not value):
            raise BadInput(f"--flag {text!r} не понять", "Пишите --flag max-model-len=4096")
        flags[name] = _flag_value(value) if sign else True
    return flags


def _flag_value(text: str) -> FlagValue:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _recorded(rows: Sequence[TraceRow]) -> Arrival:
    """A file with arrival times is replayed at them; its mean rate is for the reader."""
    first, last = rows[0].arrival_s, rows[-1].arrival_s
    if first is None or last is None or last <= first:
        return preset("chat").arrival
    return Poisson(rate_per_s=(len(rows) - 1) / (last - first))


def objective_of(name: str) -> Objective:
    """An objective by name. Raises BadInput with the nearest."""
    known = [one.value for one in Objective]
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"Может быть, {near[0]}? " if near else ""
        raise BadInput(f"неизвестная цель {name!r}", f"{hint}Есть: {', '.join(known)}")
    return Objective(name)


def _policy(name: str) -> str:
    from advisor.policies import require

    require(name)
    return name


def _budget(request: Request) -> Budget:
    seconds = parse_duration(request.budget)
    _positive("--budget", seconds)
    if request.trials is not None:
        _positive("--trials", request.trials)
    return Budget(seconds=seconds, trials=request.trials)


def _positive(name: str, value: float) -> None:
    if value <= 0:
        raise BadInput(f"{name}: {value} не подходит", "Нужно число больше нуля")


def _fits_context(workload: Workload, max_position: int) -> None:
    longest = workload.input_tokens.high + workload.output_tokens.high
    if longest > max_position:
        raise BadInput(
            f"нагрузка {workload.name}: до {longest} токенов на запрос, "
            f"контекст модели {max_position}",
            "Уменьшите --input-tokens или --output-tokens",
        )
