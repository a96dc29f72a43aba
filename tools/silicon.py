"""Measurements of others: silicon_sample.csv of aiconfigurator-core (NVIDIA, Apache-2.0)."""

import csv
import json
import math
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from knowledge.devices import find_device
from knowledge.errors import AdvisorError, BadInput
from knowledge.model_facts import facts_from_config
from knowledge.prediction.features import model_key
from knowledge.prediction.types import Layout, Observation
from knowledge.types import Frozen, ModelFacts

PACKAGE = "aiconfigurator_core"
VERSION = "0.12.0"
_SYSTEMS = {
    "h100_sxm": "h100-sxm", "h200_sxm": "h200", "b200_sxm": "b200", "b300_sxm": "b300",
    "gb200": "gb200", "gb300": "gb300",
}  # fmt: skip
# Names under which a row's model has no configuration in the package.
_SAME_CONFIG = {
    "meta-llama/Llama-3.1-70B": "meta-llama/Meta-Llama-3.1-70B",
    "meta-llama/Llama-3.1-8B-Instruct": "meta-llama/Meta-Llama-3.1-8B",
    "nvidia/Llama-3.1-8B-Instruct-FP8": "meta-llama/Meta-Llama-3.1-8B",
    "zhipuai/GLM-5": "zai-org/GLM-5",
    "nvidia/DeepSeek-R1-NVFP4": "deepseek-ai/DeepSeek-R1",
    "nvidia/Qwen3-32B-NVFP4": "Qwen/Qwen3-32B",
}
_DTYPES = {"": "bfloat16", "bf16": "bfloat16", "fp8": "fp8", "fp4": "fp4", "int4": "int4"}
_HARNESS = re.compile(r"db-dump|source_file=2026-\d\d-\d\d\.csv")
_CONCURRENCY = re.compile(r"silicon_concurrency=(\d+)")
_MEASURED = re.compile(r"measured=(\d{4}-\d\d-\d\d)")


class SiliconRow(Frozen):
    """One aggregated-serving row, with what the predictor needs besides the observation."""

    observation: Observation
    harness: str
    """inferencex: closed loop of random tokens, 10 prompts a stream; gap-analysis: NVIDIA's."""
    version: str
    named_group: str
    """The row's group by the file's own columns, before aliases are put together."""


def available() -> bool:
    """Whether the optional extra is installed."""
    return _folder() is not None


def rows(
    *, model_keys: frozenset[str] | None = None, device: str | None = None
) -> tuple[SiliconRow, ...]:
    """Aggregated rows, of some models (see features.model_key) or of one device where asked.

    Empty without the extra. Raises AdvisorError for a changed file.
    """
    folder = _folder()
    if folder is None:
        return ()
    path = folder / "systems" / "silicon_sample.csv"
    with path.open(encoding="utf-8", newline="") as opened:
        try:
            return tuple(_rows(csv.DictReader(opened), folder, model_keys, device))
        except (KeyError, ValueError) as error:
            raise AdvisorError(
                f"{path.name}: не тот формат ({error!r})",
                f"Нужен {PACKAGE} {VERSION}: pip install 'inference-advisor[predict]'",
            ) from error


def device_names() -> dict[str, str]:
    """The catalog's names of the file's systems."""
    return {system: _device_name(system) for system in _SYSTEMS}


def config_name(model: str) -> str:
    """The name under which the package keeps a row's model."""
    return _SAME_CONFIG.get(model, model)


def _rows(
    table: Iterable[dict[str, str]],
    folder: Path,
    model_keys: frozenset[str] | None,
    device: str | None,
) -> Iterator[SiliconRow]:
    for row in table:
        if row["mode"] != "agg" or row["system"] not in _SYSTEMS:
            continue
        if (
            model_keys is not None
            and model_key(_facts(row["model_path"], folder)) not in model_keys
        ):
            continue
        if device is not None and _device_name(row["system"]) != device:
            continue
        yield _row(row, folder)


def _row(row: dict[str, str], folder: Path) -> SiliconRow:
    source = row["silicon_data_source"]
    given = _CONCURRENCY.search(source)
    ranks = max(1.0, float(row["attention_dp_size"] or 1))
    measured = _MEASURED.search(source)
    columns = ("backend", "model_path", "system", "precision", "tp_size", "pp_size",
               "attention_dp_size", "moe_tp_size", "moe_ep_size")  # fmt: skip
    observation = Observation(
        model=row["model_path"],
        engine=row["backend"],
        device=_device_name(row["system"]),
        weight_dtype=_DTYPES[row["precision"]],
        layout=layout_of(row),
        input_tokens=float(row["isl"]),
        output_tokens=float(row["osl"]),
        concurrency=float(given[1]) if given else float(row["batch_size"]) * ranks,
        ttft_ms=float(row["silicon_ttft_ms"]),
        tpot_ms=float(row["silicon_tpot_ms"]),
        source="elsewhere",
        reference=f"silicon_sample.csv, {PACKAGE.replace('_', '-')} {VERSION}, id {row['id']}",
        measured_on=measured[1] if measured else "",
        facts=_facts(row["model_path"], folder),
    )
    return SiliconRow(
        observation=observation,
        harness="inferencex" if _HARNESS.search(source) else "gap-analysis",
        version=row["backend_version"],
        named_group="|".join(row[name] for name in columns),
    )


def layout_of(row: dict[str, str]) -> Layout:
    """The layout a row means.

    Some exports multiplied the degrees: eight GPUs with TP 8 and EP 8 stand as tp_size 64 with
    moe_tp 8 and moe_ep 8, and TP 4 with data-parallel attention and EP 4 as 4, 4 and 16. The same
    measurements also stand under the plain names, which is how the aliases were recognized.
    """
    tp, dp = _degree(row["tp_size"]), _degree(row["attention_dp_size"])
    moe_tp, ep = _degree(row["moe_tp_size"]), _degree(row["moe_ep_size"])
    side = math.isqrt(moe_tp * ep)
    if ep > 1 and side * side == moe_tp * ep == tp * dp and (moe_tp == ep or tp == dp):
        return Layout(tp=1, dp=side, ep=side) if dp > 1 else Layout(tp=side, ep=side)
    return Layout(tp=tp, dp=dp, ep=ep)


def _degree(text: str) -> int:
    return max(1, int(float(text or 1)))


@lru_cache(maxsize=16)
def _device_name(system: str) -> str:
    return find_device(_SYSTEMS[system]).name


@lru_cache(maxsize=64)
def _facts(model: str, folder: Path) -> ModelFacts:
    name = config_name(model).replace("/", "--")
    path = folder / "model_configs" / f"{name}_config.json"
    if not path.is_file():
        raise BadInput(f"в {PACKAGE} нет конфигурации {model}", f"Нужна версия {VERSION}")
    return facts_from_config(json.loads(path.read_text(encoding="utf-8")))


def _folder() -> Path | None:
    spec = find_spec(PACKAGE)
    where = list(spec.submodule_search_locations or ()) if spec else []
    return Path(where[0]) if where else None
