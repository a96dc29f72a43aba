"""Every quantization and compression that this machine can serve, on one model, as one table.

    python -m bench.compression [--json FILE] [--only w8a8 --only layers] [--model demo]

A run that was cut off goes on: what the file has of this model and machine is not measured again,
and artifacts come from the cache. Time to make is that of the first making.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from advisor import derived
from knowledge.errors import AdvisorError
from knowledge.quantities import format_estimate, format_number
from knowledge.types import Artifact, Frozen, Hardware, Metric, ModelSpec, QualityPlan, TrialResult
from tools import artifacts, engines, makers
from tools._making import weights_bytes
from tools.hardware import inspect
from tools.home import Home
from tools.models import resolve

_TEXT = {"samples": 16, "tokens": 256}
_HEAD = (
    *("Способ", "Движок", "МиБ", "Меньше в", "Токенов/с"),
    *("Потеря, нат/токен", "В допуске", "Делали, с"),
)
_QUALITY = QualityPlan(chunks=12)
_HEALED = {"samples": 24, "tokens": 128, "batch": 2, "steps": 20}


def _recipe(maker: str, scheme: str, **options: str | float | bool) -> Artifact:
    return Artifact(quantizer=maker, scheme=scheme, options=options)


RECIPES = (
    _recipe("dtype", "bf16"),
    _recipe("llmcompressor", "w8a8", method="rtn"),
    _recipe("llmcompressor", "w8a8", **_TEXT),
    _recipe("llmcompressor", "w8a8", method="smoothquant", **_TEXT),
    _recipe("llmcompressor", "w4a16", method="rtn"),
    _recipe("llmcompressor", "w4a16", **_TEXT),
    _recipe("llmcompressor", "w4a16", method="awq", **_TEXT),
    _recipe("torchao", "int8-weight-only"),
    _recipe("torchao", "int8-dynamic"),
    _recipe("bitsandbytes", "nf4"),
    _recipe("bitsandbytes", "llm-int8"),
    *(_recipe("gguf", scheme) for scheme in ("q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0")),
    _recipe("gguf", "q4_0", imatrix=True, **_TEXT),
    _recipe("onnxruntime", "onnx-int8"),
    _recipe("onnxruntime", "onnx-int4"),
    _recipe("magnitude", "unstructured", sparsity=0.3),
    _recipe("wanda", "unstructured", sparsity=0.3, **_TEXT),
    _recipe("sparsegpt", "unstructured", sparsity=0.3, **_TEXT),
    _recipe("sparsegpt", "2-4", **_TEXT),
    _recipe("layers", "dense", **_HEALED),
    _recipe("neurons", "dense", **_HEALED),
    _recipe("heads", "dense", **_HEALED),
    _recipe("iterative", "dense", sparsity=0.3, **_HEALED),
    _recipe("distill", "dense", **_HEALED),
    _recipe("svd", "dense", **_TEXT),
    _recipe("tucker", "dense"),
    _recipe("cp", "dense"),
)


class Row(Frozen):
    """One line of the table. None: not measured, and `note` says why."""

    name: str
    engine: str
    bytes: int
    ratio: float
    """Weights of the original over these."""
    make_s: float
    tokens_per_s: str | None = None
    loss: str | None = None
    """Log-probability lost per token, nats, with its interval."""
    held: bool | None = None
    note: str = ""


class Bench:
    """One model on one machine."""

    def __init__(self, model: ModelSpec, hardware: Hardware, home: Home) -> None:
        self.model, self.hardware, self.home = model, hardware, home
        self.originals: dict[str, TrialResult] = {}

    async def original(self, engine: str) -> TrialResult:
        """The model as it is, measured once for each engine that loads it."""
        if engine not in self.originals:
            self.originals[engine] = await derived.measure(
                None, engine, self.model, self.hardware, self.home, _say, quality=_QUALITY
            )
        return self.originals[engine]

    async def row(self, recipe: Artifact) -> Row:
        """Make it unless it is there, serve it, compare it."""
        device = derived.on_catalog(self.hardware)
        server, _ = derived.choose_server(recipe, device, None)
        folder = await artifacts.ensure(recipe, self.model, self.hardware, self.home, _say)
        made = artifacts.find(recipe, self.model, self.home)
        assert made is not None
        size = weights_bytes(folder)
        row = Row(
            name=_name(recipe),
            engine=server.engine,
            bytes=size,
            ratio=made.report.bytes_before / size,
            make_s=made.report.seconds,
        )
        if server.engine not in engines.names():
            return row.replace(note=f"движка {server.engine} в этой установке нет")
        plain = ("vllm", "transformers")
        reference = await self.original(server.engine if server.engine in plain else plain[1])
        result = await derived.measure(
            recipe, server.engine, self.model, self.hardware, self.home, _say, quality=_QUALITY
        )
        return _filled(row, result, reference)


def _filled(row: Row, result: TrialResult, reference: TrialResult) -> Row:
    if result.failure:
        return row.replace(note=f"{result.failure.cause.value}: {result.failure.message}"[:90])
    verdict = derived.compare(reference.quality, result.quality)
    shown = row.replace(tokens_per_s=_speed(result), note=result.quality_skipped or "")
    if verdict is None:
        return shown
    loss = format_estimate(verdict.loss_nats_per_token, 4)
    return shown.replace(loss=loss, held=verdict.non_inferior)


def _speed(result: TrialResult) -> str | None:
    if result.measurement is None:
        return None
    found = result.measurement.metrics.get(Metric.OUTPUT_TOKENS_PER_S)
    return format_estimate(found, 0) if found else None


def _name(recipe: Artifact) -> str:
    told = [f"{n}={v}" for n, v in recipe.options.items() if n not in (*_TEXT, *_HEALED)]
    return " ".join([recipe.quantizer, recipe.scheme, *told])


async def run(model_name: str, only: list[str], json_file: Path | None) -> int:
    """Row by row; each is printed as it comes, and the file is written anew after each."""
    home = Home.default(os.environ)
    hardware = inspect(home)
    bench = Bench(await resolve(model_name, home, _say), hardware, home)
    print(f"{bench.model.name}, {hardware.cpu_name}, {hardware.cores} ядра\n")
    print(f"| {' | '.join(_HEAD)} |\n|{'---|' * len(_HEAD)}")
    rows: list[Row] = []
    begun = time.monotonic()
    told = _told(json_file, bench)
    known = {row.name: row for row in map(Row.model_validate, told["rows"]) if row.tokens_per_s}
    for recipe in RECIPES:
        asked = not only or bool({recipe.quantizer, recipe.scheme} & set(only))
        old = known.get(_name(recipe))
        if old:
            rows.append(old)
            print(_line(old), flush=True)
        if old or not asked:
            continue
        try:
            row = await bench.row(recipe)
        except AdvisorError as error:
            row = Row(name=_name(recipe), engine="-", bytes=0, ratio=0, make_s=0, note=str(error))
        rows.append(row)
        print(_line(row), flush=True)
        if json_file:
            later = [row for name, row in known.items() if name not in {r.name for r in rows}]
            seconds = told["seconds"] + time.monotonic() - begun
            _write(json_file, bench, [*rows, *later], seconds, told["originals"])
    for engine, result in bench.originals.items():
        print(f"\nОригинал, {engine}: {_speed(result)} токенов/с")
    return 0 if any(row.tokens_per_s for row in rows) else 3


def _told(file: Path | None, bench: Bench) -> dict[str, Any]:
    """What was measured before, on the same model and machine."""
    told = json.loads(file.read_bytes()) if file and file.exists() else {}
    same = told.get("fingerprint") == bench.model.fingerprint
    if same and told["hardware"]["device"]["name"] == bench.hardware.device.name:
        return told
    return {"rows": [], "seconds": 0.0, "originals": {}}


def _line(row: Row) -> str:
    held = {None: "—", True: "да", False: "нет"}[row.held]
    cells = [
        *(row.name, row.engine, format_number(row.bytes / 2**20, 0), format_number(row.ratio, 2)),
        *(row.tokens_per_s or "—", row.loss or row.note or "—", held, format_number(row.make_s, 0)),
    ]
    return f"| {' | '.join(cells)} |"


def _write(
    file: Path, bench: Bench, rows: list[Row], seconds: float, earlier: dict[str, Any]
) -> None:
    from pydantic_core import to_json

    told = {
        "model": bench.model.name,
        "fingerprint": bench.model.fingerprint,
        "hardware": bench.hardware,
        "seconds": seconds,
        "rows": rows,
        "originals": earlier | {n: r.measurement for n, r in bench.originals.items()},
    }
    half = file.with_suffix(".half")
    half.write_bytes(to_json(told, indent=1))
    half.replace(file)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--only", action="append", default=[], help="makers or schemes")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    for name in options.only:
        if name not in {word for r in RECIPES for word in (r.quantizer, r.scheme)}:
            makers.load(name)  # raises with the nearest name
    sys.exit(asyncio.run(run(options.model, options.only, options.json)))


if __name__ == "__main__":
    main()
