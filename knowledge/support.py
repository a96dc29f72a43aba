"""Which engine runs which scheme on which hardware: knowledge/engines/*.yaml, one engine each."""

from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from knowledge.devices import CatalogDevice
from knowledge.errors import BadInput
from knowledge.files import first_problem, read_folder
from knowledge.names import Match, Names
from knowledge.provenance import Provenance
from knowledge.types import Frozen

_FOLDER = Path(__file__).parent / "engines"

Level = Literal["native", "converted", "no", "unknown"]
"""native: runs in that arithmetic. converted: loads and saves memory, computes in a wider dtype."""


class SchemeSupport(Frozen):
    """One scheme of one engine."""

    name: str
    """fp16, bf16, fp8, w8a8-int8, w8a16, w4a16-gptq, w4a16-awq, nvfp4, mxfp4, gguf, bnb-int8, …"""
    native_from: str | None = None
    """The CUDA compute capability from which it runs in its own arithmetic; None: never."""
    converted_from: str | None = None
    """From which it loads, though it computes in a wider dtype."""
    others: dict[Literal["cpu", "rocm", "xpu", "tpu", "metal"], Level] = {}
    """Hardware that has no compute capability."""
    cpu_isa: str | None = None
    """An instruction set without which a CPU has no kernel for it, as /proc/cpuinfo names it."""
    flag: str = ""
    """How it is asked for, e.g. "--quantization fp8"; empty: seen from the checkpoint."""
    note: str = ""


class FeatureSupport(Frozen):
    """One technique of one engine that is no number format."""

    name: str
    """tensor-parallel, prefix-caching, speculation-eagle, multi-lora, kv-fp8, …"""
    level: Literal["yes", "partly", "no", "unknown"]
    flag: str = ""
    note: str = ""


class EngineRecord(Frozen):
    """What one engine can do, as one file describes it."""

    stem: str
    title: str
    version: str
    """Of the documentation that was read."""
    licence: str
    state: Literal["active", "maintenance", "archived"] = "active"
    note: str = ""
    hardware: tuple[Literal["cuda", "cpu", "rocm", "xpu", "tpu", "metal"], ...]
    lowest_capability: str | None = None
    """Of CUDA devices."""
    schemes: tuple[SchemeSupport, ...] = Field(min_length=1)
    features: tuple[FeatureSupport, ...] = ()
    provenance: tuple[Provenance, ...]
    aliases: tuple[str, ...] = ()
    weight: int = 0

    def feature(self, name: str) -> FeatureSupport | None:
        """A feature by name; None when the file says nothing of it."""
        return next((feature for feature in self.features if feature.name == name), None)


class Support(Frozen):
    """The answer of the matrix."""

    level: Level
    why: str
    """One Russian sentence."""
    flag: str = ""
    source: str = ""
    read_on: date | None = None

    @property
    def runs(self) -> bool:
        return self.level in ("native", "converted")


def known_engines() -> dict[str, EngineRecord]:
    """All by file name. Raises BadInput for a broken file."""
    return _catalog()


def find_engine(text: str) -> Match[EngineRecord]:
    """An engine by any of its names: «vLLM», «tensorrt», «лама цпп»."""
    return _names().find(text)


def supports(engine: str, scheme: str, device: CatalogDevice) -> Support:
    """Whether an engine runs a scheme on a device. Raises BadInput for an unknown engine."""
    record = find_engine(engine).found
    if record is None:
        raise BadInput(f"неизвестный движок «{engine}»", f"Есть: {', '.join(_catalog())}")
    source = record.provenance[0]
    kept: dict[str, Any] = {"source": source.describe(), "read_on": source.date}
    if device.device.kind not in record.hardware:
        why = f"{record.title} не работает на {device.name}"
        return Support(level="no", why=why, **kept)
    found = _scheme(record, scheme)
    if found is None:
        return Support(level="unknown", why=f"о {scheme} в {record.title} данных нет", **kept)
    level, why = _level(record, found, device)
    return Support(level=level, why=why, flag=found.flag, **kept)


def schemes_for(engine: str, device: CatalogDevice) -> Sequence[tuple[SchemeSupport, Support]]:
    """Every scheme that an engine runs on a device."""
    record = find_engine(engine).found
    if record is None:
        return ()
    answers = [(scheme, supports(engine, scheme.name, device)) for scheme in record.schemes]
    return [(scheme, answer) for scheme, answer in answers if answer.runs]


def _level(record: EngineRecord, scheme: SchemeSupport, device: CatalogDevice) -> tuple[Level, str]:
    where = f"{scheme.name} в {record.title} на {device.name}"
    kind, capability = device.device.kind, device.device.compute_capability
    if kind == "cpu" and scheme.cpu_isa and device.isa and scheme.cpu_isa not in device.isa:
        return "no", f"{where}: ядра написаны под {scheme.cpu_isa}, у этого процессора его нет"
    if kind != "cuda":
        level = scheme.others.get(kind, "unknown")
        return level, f"{where}: {_WORDS[level]}. {scheme.note}".strip()
    if capability is None:
        return "unknown", f"{where}: compute capability неизвестна"
    if record.lowest_capability and _version(capability) < _version(record.lowest_capability):
        return "no", f"{record.title} требует compute capability от {record.lowest_capability}"
    return _on_cuda(scheme, capability, where)


def _on_cuda(scheme: SchemeSupport, capability: str, where: str) -> tuple[Level, str]:
    have = _version(capability)
    if scheme.native_from and have >= _version(scheme.native_from):
        return "native", f"{where}: {_WORDS['native']}. {scheme.note}".strip()
    if scheme.converted_from and have >= _version(scheme.converted_from):
        return "converted", f"{where}: {_WORDS['converted']}. {scheme.note}".strip()
    lowest = scheme.converted_from or scheme.native_from
    needs = f"нужна compute capability от {lowest}, здесь {capability}" if lowest else "нет ядер"
    return "no", f"{where}: {needs}"


_WORDS: dict[Level, str] = {
    "native": "считает в этом формате",
    "converted": "загружается, но считает в более широком формате",
    "no": "не поддерживается",
    "unknown": "данных нет",
}
_SCHEME_ALIASES = {
    "fp16": "float16", "half": "float16", "bf16": "bfloat16", "fp32": "float32",
    "int8": "w8a8-int8", "w8a8": "w8a8-int8", "fp8-w8a8": "fp8", "w8a8-fp8": "fp8",
    "int4": "w4a16-awq", "w4a16": "w4a16-awq", "awq": "w4a16-awq", "gptq": "w4a16-gptq",
    "fp4": "nvfp4", "bnb": "bnb-nf4", "nf4": "bnb-nf4", "bitsandbytes": "bnb-nf4",
}  # fmt: skip


def _scheme(record: EngineRecord, scheme: str) -> SchemeSupport | None:
    wanted = scheme.strip().lower()
    wanted = _SCHEME_ALIASES.get(wanted, wanted)
    return next((known for known in record.schemes if known.name == wanted), None)


def _version(capability: str) -> tuple[int, ...]:
    return tuple(int(part) for part in capability.split("."))


@lru_cache(maxsize=1)
def _catalog() -> dict[str, EngineRecord]:
    return {stem: _entry(stem, fields) for stem, fields in read_folder(_FOLDER).items()}


@lru_cache(maxsize=1)
def _names() -> Names[EngineRecord]:
    entries = _catalog().values()
    return Names((e.stem, (e.title, *e.aliases), e.weight, e) for e in entries)


def _entry(stem: str, fields: dict[str, Any]) -> EngineRecord:
    try:
        return EngineRecord(stem=stem, **fields)
    except (ValidationError, TypeError) as error:
        raise BadInput(
            f"engines/{stem}.yaml: {first_problem(error)}",
            "Схема — EngineRecord в knowledge/support.py",
        ) from error
