"""What to aim for where the user says nothing: knowledge/defaults/objectives.yaml."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from knowledge.files import read_folder
from knowledge.provenance import Provenance
from knowledge.types import Frozen, Interval, Metric, ModelFacts, Objective, Slo

_FOLDER = Path(__file__).parent / "defaults"


class TpotBand(Frozen):
    """TPOT that is usual for models up to a size."""

    up_to_parameters: float | None
    """Active parameters; None: any more."""
    tpot_ms: Interval
    """What to promise: the upper end is the SLO."""
    today_tpot_ms: Interval
    """What today's hardware gives when the batch is moderate."""
    hardware: str
    """Which hardware that is."""


class Objectives(Frozen):
    """Defaults for one model."""

    objective: Objective
    slos: tuple[Slo, ...]
    band: TpotBand
    gpu_utilization_at_least: float
    memory_use_at_least: float
    provenance: tuple[Provenance, ...]


class _Defaults(Frozen):
    objective: Objective
    ttft_p95_ms: float
    gpu_utilization_at_least: float
    memory_use_at_least: float
    bands: tuple[TpotBand, ...]
    provenance: tuple[Provenance, ...]


def default_objectives(facts: ModelFacts | None = None) -> Objectives:
    """Latency first, TTFT under 200 ms, TPOT by the model's size; 7B where it is unknown."""
    defaults = _defaults()
    size = facts.active_parameters if facts else 7e9
    band = next(
        band
        for band in defaults.bands
        if band.up_to_parameters is None or size <= band.up_to_parameters
    )
    return Objectives(
        objective=defaults.objective,
        slos=(
            Slo(metric=Metric.TTFT_P95_MS, limit=defaults.ttft_p95_ms),
            Slo(metric=Metric.TPOT_P95_MS, limit=band.tpot_ms.high),
        ),
        band=band,
        gpu_utilization_at_least=defaults.gpu_utilization_at_least,
        memory_use_at_least=defaults.memory_use_at_least,
        provenance=defaults.provenance,
    )


@lru_cache(maxsize=1)
def _defaults() -> _Defaults:
    return _Defaults.model_validate(read_folder(_FOLDER)["objectives"])


def bounded(slos: Sequence[Slo]) -> frozenset[str]:
    """What the SLOs bound, whichever percentile: "ttft", "tpot", "e2e" …"""
    return frozenset(slo.metric.value.split("_")[0] for slo in slos)
