"""A derived checkpoint on its way: who can serve it, is there text enough, what did it cost.

What `advisor quantize` and `advisor compress` do beside the making; the loop has its own trials.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from knowledge.cards import QUICK_START, expand, load_cards
from knowledge.devices import CatalogDevice
from knowledge.errors import BadInput
from knowledge.presets import preset
from knowledge.statistics.noninferiority import non_inferior
from knowledge.support import Support, supports
from knowledge.types import (
    Artifact,
    Candidate,
    EngineConfig,
    FlagValue,
    Hardware,
    LoadPlan,
    ModelSpec,
    QualityFloor,
    QualityPlan,
    QualityResult,
    QualityVerdict,
    TrialResult,
    TrialSpec,
)
from tools import calibration, engines, envs, makers
from tools.home import Home
from tools.preparing import World
from tools.quantizers.base import Progress, ServedBy
from tools.trial import run_trial

_COMMON = (QUICK_START, "native-dtype")
"""Topics of the techniques that the original and its derivatives are served with."""
LOAD = LoadPlan(warmup_s=2.0, round_s=8.0, rounds=1)
QUALITY = QualityPlan()
_DEADLINE_S = 900.0
_SEED = 0


def on_catalog(hardware: Hardware) -> CatalogDevice:
    """This machine's device as the support matrix wants it."""
    return CatalogDevice(
        stem="here", device=hardware.device, vendor="intel", generation="", memory_type="", link="",
        link_bytes_per_s=0.0, isa=hardware.isa, provenance=(),
    )  # fmt: skip


def choose_server(
    artifact: Artifact, device: CatalogDevice, engine: str | None
) -> tuple[ServedBy, Support]:
    """The first engine that runs the format there; `engine`: that one or none.

    What nothing is known of passes, and says so. Raises BadInput naming what would do.
    """
    served = makers.load(artifact.quantizer).served_by(artifact)
    if engine is not None:
        if engine not in engines.names():
            engines.load(engine)  # raises with the nearest name
        asked = [server for server in served if server.engine == engine]
        if not asked:
            names = ", ".join(server.engine for server in served)
            raise BadInput(
                f"{engine} не загружает {artifact.scheme} от {artifact.quantizer}",
                f"Загружает {names}; для {engine} есть: {_listed(_schemes_of(engine, device))}",
            )
        served = tuple(asked)
    answers = [(server, supports(server.engine, server.scheme, device)) for server in served]
    for server, answer in answers:
        if answer.level != "no":
            return server, answer
    raise BadInput(
        f"{artifact.scheme} здесь никто не запустит: {answers[0][1].why}",
        f"Здесь работают: {_listed(_schemes_of(engine, device))}; "
        "для другой машины — --gpu ИМЯ, тогда проверка на месте пропускается",
    )


def _schemes_of(engine: str | None, device: CatalogDevice) -> Sequence[str]:
    """Schemes of all makers that an engine, or any, runs there."""
    found = []
    for name in makers.quantizers.names():
        for scheme in makers.load(name).schemes:
            for server in makers.load(name).served_by(Artifact(quantizer=name, scheme=scheme)):
                fits = engine in (None, server.engine)
                if fits and supports(server.engine, server.scheme, device).runs:
                    found.append(scheme)
                    break
    return found


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "ничего"


def check_text(artifact: Artifact, model: ModelSpec, home: Home) -> str | None:
    """What is to be said of the calibration text before the work; None when there is enough.

    Raises BadInput when not even one piece fits.
    """
    maker = makers.load(artifact.quantizer)
    if not maker.calibrated(artifact):
        return None
    asked = {n: artifact.options.get(n, maker.options[n].default) for n in ("samples", "tokens")}
    samples, tokens = int(asked["samples"] or 0), int(asked["tokens"] or 0)
    text = calibration.of(artifact.options, home)
    there = calibration.samples_in(text, Path(model.path), tokens)
    if not there:
        raise BadInput(
            f"калибровочный текст ({text.source}) короче одного отрывка в {tokens} токенов",
            "Дайте больше текста или уменьшите --tokens",
        )
    if there < samples:
        return (
            f"калибровочного текста ({text.source}) хватит на {there} из {samples} отрывков "
            f"по {tokens} токенов: работаем с тем, что есть"
        )
    return None


@dataclass(frozen=True)
class Scored:
    """The artifact served, beside the original."""

    engine: str
    reference_engine: str
    reference: TrialResult
    candidate: TrialResult
    verdict: QualityVerdict | None
    why_not: str | None = None
    """Why there is no verdict, Russian."""


async def score(
    artifact: Artifact,
    server: ServedBy,
    model: ModelSpec,
    hardware: Hardware,
    home: Home,
    progress: Progress,
) -> Scored | str:
    """Serve both and compare log-probabilities of the held-out text; or why it can't be done."""
    if server.engine not in engines.names():
        return f"движка {server.engine} в этой установке нет: качество не проверено"
    if not engines.load(server.engine).capabilities(hardware).prompt_logprobs:
        return f"{server.engine} не отдаёт log-вероятности: качество не проверено"
    plain = [one.engine for one in makers.load("dtype").served_by(_PLAIN)]
    other = server.engine if server.engine in plain else plain[-1]
    progress(f"оригинал: {other} оценивает отложенный текст")
    reference = await reference_of(other, model, hardware, home, progress)
    if reference.quality is None:
        return f"оригинал не оценён ({_why(reference)}): сравнить не с чем"
    progress(f"{artifact.scheme}: {server.engine} оценивает тот же текст")
    candidate = await measure(artifact, server.engine, model, hardware, home, progress)
    verdict = compare(reference.quality, candidate.quality)
    why_not = None if verdict else (_why(candidate) or "оценены разные тексты")
    return Scored(server.engine, other, reference, candidate, verdict, why_not)


_PLAIN = Artifact(quantizer="dtype", scheme="bf16")


def compare(
    reference: QualityResult | None, candidate: QualityResult | None
) -> QualityVerdict | None:
    """Non-inferiority on the same tokens; None when either was not scored or they differ."""
    if reference is None or candidate is None:
        return None
    if reference.text_sha256 != candidate.text_sha256:
        return None
    margin = QualityFloor().margin_nats_per_token
    return non_inferior(reference.chunk_logprobs, candidate.chunk_logprobs, margin, _SEED)


def _why(result: TrialResult) -> str | None:
    if result.failure:
        return f"{result.failure.cause.value}: {result.failure.message}"
    return result.quality_skipped


async def measure(
    artifact: Artifact | None,
    engine: str,
    model: ModelSpec,
    hardware: Hardware,
    home: Home,
    progress: Progress,
    *,
    quality: QualityPlan = QUALITY,
) -> TrialResult:
    """One short trial: speed and log-probabilities, with the engine's quick start."""
    world = World(home, hardware, home.data / "derived" / "logs", progress)
    flags = await common_flags(engine, model, hardware, home, progress)
    spec = TrialSpec(
        session="derived",
        ordinal=0,
        purpose="hypothesis" if artifact else "baseline",
        candidate=Candidate(config=EngineConfig(engine=engine, flags=flags), artifact=artifact),
        model=model,
        workload=preset("demo"),
        load=LOAD,
        quality=quality,
        deadline_s=_DEADLINE_S,
    )
    return (await run_trial(spec, world)).result


async def reference_of(
    engine: str, model: ModelSpec, hardware: Hardware, home: Home, progress: Progress
) -> TrialResult:
    """The original, scored once for each engine and model; a failure is not kept."""
    key = Artifact(
        quantizer=engine,
        scheme=model.fingerprint,
        options={"plan": QUALITY.content_id(), "device": hardware.device.name},
    )
    file = home.cache / "references" / f"{key.content_id(16)}.json"
    if file.exists():
        return TrialResult.model_validate_json(file.read_bytes())
    result = await measure(None, engine, model, hardware, home, progress)
    if result.quality is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        half = file.with_suffix(".half")
        half.write_text(result.model_dump_json(), encoding="utf-8")
        half.replace(file)
    return result


async def common_flags(
    engine: str, model: ModelSpec, hardware: Hardware, home: Home, progress: Progress
) -> dict[str, FlagValue]:
    """What the original and everything made of it are served with: the techniques that make this
    engine start fast and count in a type that this processor has."""
    adapter = engines.load(engine)
    needs = adapter.env_spec(hardware)
    environment = await envs.ensure(needs, home, progress) if needs else None
    catalog = await adapter.catalog(environment, home, progress)
    facts: dict[str, object] = {
        "engine": engine,
        "engine_flags": frozenset(catalog.flags),
        "flags": {name.replace("-", "_"): None for name in catalog.flags},
        "device": hardware.device.model_dump(mode="json"),
        "isa": hardware.isa,
        "model": {"quantization": model.facts.quantization},
    }
    found: dict[str, FlagValue] = {}
    for topic in _COMMON:
        offered = [c for card in load_cards() if topic in card.topics for c in expand(card, facts)]
        for _, change in offered[:1]:
            found |= {name: value for name, value in change.flags.items() if value is not None}
    return found
