"""`advisor profile TARGET`: where the time of an engine's steps goes, and what that means."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from api.cli._json_out import give
from api.cli.optimize import interruptible
from api.settings import Settings

if TYPE_CHECKING:
    from api.tasks import Request
    from knowledge.types import EngineConfig, FlagValue, StepProfile, Task
    from knowledge.verdicts import PhaseVerdict


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("profile", help="Куда уходит время шага: ядра, ожидание host, узкое место.")(
        profile
    )


def profile(  # noqa: PLR0913 - the options of the command
    target: str = typer.Argument(help="Модель, URL сервера vLLM или файл трассы."),
    model: str | None = typer.Option(None, help="Модель для URL и трассы: папка или demo."),
    engine: str = typer.Option("vllm", help="Какой движок запустить."),
    flag: list[str] = typer.Option([], help="Флаг движка: enforce-eager или dtype=float16."),
    workload: str = typer.Option("demo", help="chat, rag, code… или ФАЙЛ.jsonl."),
    concurrency: int | None = typer.Option(None, help="Сколько потоков запросов."),
    input_tokens: int | None = typer.Option(None, help="Токенов в запросе, не больше."),
    output_tokens: int | None = typer.Option(None, help="Токенов в ответе, не больше."),
    seconds: str | None = typer.Option(None, help="Сколько писать трассу: 2s; на CPU 4s."),
    trace_dir: Path | None = typer.Option(None, help="Куда пишет трассы сервер из URL."),
    dummy_weights: bool = typer.Option(False, help="Модель без весов: одна форма."),
    roofline: bool = typer.Option(False, help="Вместо трассы счётчики ядер: Nsight Compute."),
    picture: Path | None = typer.Option(None, help="Сохранить картинку PNG."),
    json_file: str | None = typer.Option(None, "--json", help="Итог в ФАЙЛ («-»: на stdout)."),
) -> int:
    """A model is launched, loaded, traced and stopped; a server is only loaded and traced."""
    from api.tasks import Request

    is_trace = Path(target).is_file() and not target.endswith(".gguf")
    away = is_trace or target.startswith(("http://", "https://"))
    request = Request(
        model=(model or "demo") if away else target, engine=engine, workload=workload,
        concurrency=concurrency, input_tokens=input_tokens, output_tokens=output_tokens,
        dummy_weights=dummy_weights,
    )  # fmt: skip
    options = _Options(target, is_trace, away, flag, seconds, trace_dir)
    if roofline:
        from api.cli.roofline import roofline as counters

        work = counters(request, options.flags, None if away else target, picture, json_file)
    else:
        work = _profile(request, options, picture, json_file)
    return interruptible(work, resumable=False)


class _Options:
    """What the command was given beside the task."""

    def __init__(
        self,
        target: str,
        is_trace: bool,
        away: bool,
        flags: list[str],
        seconds: str | None,
        trace_dir: Path | None,
    ) -> None:
        from knowledge.quantities import parse_duration

        self.target = target
        self.is_trace = is_trace
        self.is_server = away and not is_trace
        self.flags = _flags(flags)
        self.trace_dir = trace_dir
        self.seconds = parse_duration(seconds) if seconds else None


async def _profile(
    request: "Request", options: _Options, picture: Path | None, json_file: str | None
) -> int:
    from advisor.profiling import judge_steps
    from api.tasks import task_of
    from knowledge.types import EngineConfig
    from tools.profilers.torch_profiler import reduce_file

    home = Settings().folders()
    task = await task_of(request, home, _say)
    config = EngineConfig(engine=request.engine, flags=options.flags)
    if options.is_trace:
        found = reduce_file(Path(options.target))
    elif options.is_server:
        found = await _of_server(task, options)
    else:
        found = await _of_launched(task, config, options)
    verdicts = judge_steps(found, task, config)
    if picture:
        from advisor.report.figures.steps import draw_steps

        draw_steps(found, picture)
    if json_file:
        from pydantic_core import to_json

        told = {"task": task, "config": config, "profile": found, "verdicts": verdicts}
        if give(to_json(told, indent=2).decode(), json_file):
            return 0
    _print(found, verdicts)
    return 0


async def _of_launched(task: "Task", config: "EngineConfig", options: _Options) -> "StepProfile":
    """One trial of one short round, and a trace after it."""
    from knowledge.errors import NothingMeasured
    from knowledge.quantities import format_estimate
    from knowledge.types import Candidate, LoadPlan, TrialSpec
    from tools.preparing import World
    from tools.trial import run_trial

    home = Settings().folders()
    length = options.seconds or (4.0 if task.hardware.device.kind == "cpu" else 2.0)
    spec = TrialSpec(
        session="profile",
        ordinal=0,
        purpose="baseline",
        candidate=Candidate(config=config),
        model=task.model,
        workload=task.workload,
        load=LoadPlan(warmup_s=3.0, round_s=6.0, rounds=1, profile_s=length),
        deadline_s=600.0,
    )
    world = World(home, task.hardware, home.data / "profiles" / "logs", _say)
    _say(f"{task.model.name}: запускаем {config.engine}, журнал {world.logs / spec.trial_id}.log")
    result = (await run_trial(spec, world)).result
    if result.failure:
        tail = "\n".join(result.failure.log_tail[-5:])
        raise NothingMeasured(f"{result.failure.cause.value}: {result.failure.message}\n{tail}", "")
    if result.profile is None:
        raise NothingMeasured("профиль не снят", "Смотрите строки выше и журнал движка")
    if result.measurement:
        for metric, estimate in result.measurement.metrics.items():
            _say(f"  {metric.value:22} {format_estimate(estimate)}")
    return result.profile


async def _of_server(task: "Task", options: _Options) -> "StepProfile":
    from knowledge.errors import BadInput
    from tools.load import PromptSource, Target, Tokenizer, models
    from tools.profilers import torch_profiler

    if options.trace_dir is None or not options.trace_dir.is_dir():
        raise BadInput(
            "не указано, куда сервер пишет трассы",
            "Добавьте --trace-dir с папкой из его --profiler-config (torch_profiler_dir)",
        )
    served = await models(options.target)
    target = Target(base_url=options.target, model=(served or ("",))[0])
    prompts = PromptSource(task.workload, Tokenizer.from_folder(task.model.path), 0)
    return await torch_profiler.profile(
        target,
        task.workload,
        prompts,
        options.trace_dir,
        lead_s=3.0,
        seconds=options.seconds or 2.0,
        keep=True,
        progress=_say,
    )


def _flags(texts: list[str]) -> "dict[str, FlagValue]":
    """NAME, NAME=VALUE, no-NAME."""
    from knowledge.errors import BadInput

    flags: dict[str, FlagValue] = {}
    for text in texts:
        name, given, value = text.removeprefix("--").partition("=")
        if not name:
            raise BadInput(f"--flag {text!r}: нет имени", "Например: --flag enforce-eager")
        flags[name.removeprefix("no-") if not given else name] = (
            _value(value) if given else not name.startswith("no-")
        )
    return flags


def _value(text: str) -> "FlagValue":
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, int | float | bool) else text


def _print(found: "StepProfile", verdicts: "tuple[PhaseVerdict, ...]") -> None:
    from knowledge.quantities import format_number
    from knowledge.verdicts import BOTTLENECK_NAMES, PART_NAMES, PHASE_NAMES, trust

    for verdict in verdicts:
        name = PHASE_NAMES[verdict.phase.phase]
        print(f"\n{name}: узкое место — {BOTTLENECK_NAMES[verdict.bottleneck]}")
        for line in verdict.evidence:
            print(f"  {line}")
        for kernel in verdict.phase.top:
            each = format_number(kernel.total_ms / verdict.phase.steps, 3)
            print(f"    {each:>9} мс/шаг  {PART_NAMES[kernel.part]:12} {kernel.name}")
    print()
    for line in trust(found):
        print(line)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
