"""AIConfigurator's own prediction on the same rows: its operator model, its latest tables."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from tools import silicon
from tools.silicon import SiliconRow

_SYSTEMS = {name: key for key, name in silicon.device_names().items()}
_GEMM = {"fp8": "fp8", "fp4": "nvfp4", "int4": "int4_wo", "bfloat16": None}


def compare(rows: Sequence[SiliconRow], count: int) -> dict[str, Any]:
    """Errors on rows drawn at random; rows that it can't do are counted, not dropped quietly."""
    order = np.random.default_rng(20261123).permutation(len(rows))[:count]
    errors: dict[str, list[float]] = {"tpot": [], "ttft": []}
    failed: dict[str, int] = {}
    for k in order:
        seen = rows[int(k)].observation
        try:
            ttft, tpot = estimate(rows[int(k)])
        except Exception as error:  # noqa: BLE001 - whatever a foreign package raises is an answer
            failed[type(error).__name__] = failed.get(type(error).__name__, 0) + 1
            continue
        assert seen.ttft_ms
        assert seen.tpot_ms
        errors["ttft"].append(ttft / seen.ttft_ms - 1)
        errors["tpot"].append(tpot / seen.tpot_ms - 1)
    found: dict[str, Any] = {"aiconfigurator_asked": count, "aiconfigurator_failed": str(failed)}
    for name, values in errors.items():
        size = np.abs(values)
        found[f"aic_{name}"] = {
            "n": len(size),
            "mape_percent": round(float(size.mean()) * 100, 1),
            "median_ape_percent": round(float(np.median(size)) * 100, 1),
        }
    return found


def estimate(row: SiliconRow) -> tuple[float, float]:
    """TTFT and TPOT in ms of one row, by its aggregated-serving model."""
    from aiconfigurator_core.sdk.backends.factory import get_backend
    from aiconfigurator_core.sdk.config import RuntimeConfig

    seen, layout = row.observation, row.observation.layout
    batch = max(1, round(seen.concurrency / layout.dp))
    runtime = RuntimeConfig(
        batch_size=batch, isl=int(seen.input_tokens), osl=int(seen.output_tokens)
    )
    summary = get_backend(seen.engine).run_agg(
        _model(seen.model, seen.engine, seen.weight_dtype, layout.tp, layout.dp, layout.ep),
        _database(_SYSTEMS[seen.device], seen.engine),
        runtime,
        ctx_tokens=max(8192, int(seen.input_tokens)),
    )
    frame = summary.get_summary_df()
    return float(frame["ttft"].iloc[0]), float(frame["tpot"].iloc[0])


@lru_cache(maxsize=512)
def _model(name: str, engine: str, dtype: str, tp: int, dp: int, ep: int) -> Any:
    from aiconfigurator_core.sdk.config_builders import build_model_config
    from aiconfigurator_core.sdk.models import get_model

    gemm = _GEMM[dtype]
    known = silicon.config_name(name)
    config = build_model_config(
        tp, 1, dp, max(1, tp * dp // ep), ep, gemm_quant_mode=gemm, moe_quant_mode=gemm
    )
    return get_model(known, config, engine)


@lru_cache(maxsize=32)
def _database(system: str, engine: str) -> Any:
    from aiconfigurator_core.sdk import perf_database

    version = perf_database.get_latest_database_version(system, engine)
    database = perf_database.get_database(system, engine, version)
    database.set_default_database_mode(perf_database.common.DatabaseMode.HYBRID)
    return database
