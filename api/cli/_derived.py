"""What `advisor quantize` and `advisor compress` share: from a recipe to the printed result."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.cli._json_out import give
from api.settings import Settings

if TYPE_CHECKING:
    from advisor.derived import Scored
    from knowledge.types import Artifact, FlagValue
    from tools.artifacts import Manifest


@dataclass(frozen=True)
class Asked:
    """The options both commands have."""

    model: str
    recipe: "Artifact"
    calibration: Path | None
    engine: str | None
    gpu: str | None
    score: bool
    json_file: str | None


async def run(asked: Asked) -> int:
    """Check everything cheap first, make, score, print."""
    from advisor import derived
    from knowledge.devices import require_gpu
    from tools import artifacts, makers
    from tools.hardware import inspect
    from tools.models import resolve

    home = Settings().folders()
    hardware = inspect(home)
    device = require_gpu(asked.gpu) if asked.gpu else derived.on_catalog(hardware)
    server, answer = derived.choose_server(asked.recipe, device, asked.engine)
    model = await resolve(asked.model, home, say)
    recipe = _with_text(asked, home)
    makers.load(recipe.quantizer).validate(recipe, model)
    known = artifacts.find(recipe, model, home) is not None
    if not known:
        artifacts.check_room(recipe, model, home)
    if short := derived.check_text(recipe, model, home):
        say(f"Внимание: {short}")
    if answer.level == "unknown":
        say(f"Внимание: {answer.why}; пробуем")
    folder = await artifacts.ensure(recipe, model, hardware, home, say)
    made = artifacts.find(recipe, model, home)
    assert made is not None
    scored: Scored | str = "проверка не запрошена"
    if asked.gpu:
        scored = f"сделано для {device.name}: служить и оценивать — там"
    elif asked.score:
        scored = await derived.score(recipe, server, model, hardware, home, say)
    _show(asked, folder, made, known, scored)
    return 0


def _with_text(asked: Asked, home: Any) -> "Artifact":
    """The user's text goes into the recipe by its hash."""
    from knowledge.errors import BadInput
    from tools import calibration, makers

    if asked.calibration is None:
        return asked.recipe
    if not makers.load(asked.recipe.quantizer).calibrated(asked.recipe):
        raise BadInput(
            f"{asked.recipe.scheme} не смотрит на текст", "Уберите --calibration: он ни на что"
        )
    digest = calibration.keep(asked.calibration, home)
    return asked.recipe.replace(options=asked.recipe.options | {calibration.OPTION: digest})


def options_of(
    quantizer: str, given: "Mapping[str, FlagValue | None]", more: list[str]
) -> "dict[str, FlagValue]":
    """Options that were typed, less those that are the default: one recipe has one key."""
    from api.tasks import flags_of
    from tools import makers

    typed = {name: value for name, value in given.items() if value is not None}
    typed |= flags_of(more)
    known = makers.load(quantizer).options
    return {n: v for n, v in typed.items() if n not in known or known[n].default != v}


def _show(
    asked: Asked, folder: Path, made: "Manifest", known: bool, scored: "Scored | str"
) -> None:
    if asked.json_file:
        from pydantic_core import to_json

        text = to_json(_as_json(folder, made, known, scored), indent=2).decode()
        if give(text, asked.json_file):
            return
    for line in lines(folder, made, known, scored):
        print(line)


def _as_json(
    folder: Path, made: "Manifest", known: bool, scored: "Scored | str"
) -> dict[str, object]:
    report = made.report
    shown: dict[str, object] = {
        "recipe": made.artifact,
        "model": made.model,
        "folder": str(folder),
        "was_there": known,
        "bytes_before": report.bytes_before,
        "bytes_after": report.bytes_after,
        "size_ratio": report.bytes_before / report.bytes_after,
        "seconds": report.seconds,
        "details": report.details,
        "versions": made.versions,
    }
    if isinstance(scored, str):
        return shown | {"quality": None, "quality_skipped": scored}
    measured = scored.candidate.measurement
    return shown | {
        "engine": scored.engine,
        "reference_engine": scored.reference_engine,
        "quality": scored.verdict,
        "quality_skipped": scored.why_not,
        "metrics": measured.metrics if measured else {},
    }


def lines(folder: Path, made: "Manifest", known: bool, scored: "Scored | str") -> list[str]:
    """What a person reads."""
    from knowledge.quantities import format_bytes, format_number

    report = made.report
    ratio = format_number(report.bytes_before / report.bytes_after, 2)
    shown = [
        f"{made.model} → {made.artifact.scheme} ({made.artifact.quantizer}): {folder}",
        f"Веса: {format_bytes(report.bytes_before)} → {format_bytes(report.bytes_after)}, "
        f"в {ratio} раза меньше",
        f"Время: {format_number(report.seconds, 0)} с{' (было готово)' if known else ''}",
    ]
    shown += [f"{name}: {value}" for name, value in report.details.items() if _short(value)]
    if isinstance(scored, str):
        return [*shown, f"Качество: {scored}"]
    return [*shown, _quality(scored)]


def _quality(scored: "Scored") -> str:
    from knowledge.quantities import format_number

    if scored.verdict is None:
        return f"Качество не проверено: {scored.why_not}"
    loss = scored.verdict.loss_nats_per_token
    low, mid, high = (format_number(x, 4) for x in (loss.low, loss.value, loss.high))
    held = "в пределах" if scored.verdict.non_inferior else "хуже"
    where = scored.engine
    if scored.reference_engine != where:
        where += f", оригинал — {scored.reference_engine}"
    return (
        f"Log-вероятность хуже оригинала на {mid} ({low}…{high}) нат/токен ({where}): "
        f"{held} допуска {format_number(scored.verdict.margin, 3)}"
    )


def _short(value: object) -> bool:
    return len(str(value)) <= 120


def say(line: str) -> None:
    """Progress is not the result: it goes to stderr."""
    print(line, file=sys.stderr, flush=True)
