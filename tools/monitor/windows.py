"""One window: what an endpoint did between two looks at it."""

from datetime import datetime

from knowledge.types import Frozen
from tools.monitor.dialect import Counted, Dialect
from tools.monitor.exposition import Scrape, Spread, grown, spread


class Window(Frozen):
    """Figures of one window; None is what was not seen in it."""

    at: datetime
    """Its end."""
    seconds: float
    up: bool = True
    requests: float | None = None
    requests_per_s: float | None = None
    error_rate: float | None = None
    ttft_mean_ms: float | None = None
    ttft_p95_ms: float | None = None
    tpot_mean_ms: float | None = None
    tpot_p95_ms: float | None = None
    e2e_mean_ms: float | None = None
    input_tokens_mean: float | None = None
    output_tokens_mean: float | None = None
    output_tokens_per_s: float | None = None
    requests_running: float | None = None
    requests_waiting: float | None = None
    kv_usage: float | None = None
    preemptions_per_s: float | None = None
    rss_bytes: float | None = None
    gpu_memory_bytes: float | None = None
    gpu_util_percent: float | None = None
    gpu_power_w: float | None = None
    canary_ok: bool | None = None
    canary_ttft_ms: float | None = None
    canary_tpot_ms: float | None = None
    cost_per_request_usd: float | None = None

    def figures(self) -> dict[str, float]:
        """What was seen, by name; truth values as 0 and 1."""
        shown = self.model_dump(exclude={"at", "seconds"}, exclude_none=True)
        return {name: float(value) for name, value in shown.items()}


def served(
    before: Scrape, after: Scrape, dialect: Dialect, seconds: float, usd_per_hour: float | None
) -> dict[str, float | None]:
    """The figures of a Window that the engine's own metrics give."""
    ttft, tpot, e2e = (_spread(before, after, n) for n in (dialect.ttft, dialect.tpot, dialect.e2e))
    inputs = _spread(before, after, dialect.input_tokens)
    outputs = _spread(before, after, dialect.output_tokens)
    finished = _grown(before, after, dialect.finished)
    failed = _grown(before, after, dialect.failed)
    generated = grown(before, after, dialect.generated) if dialect.generated else None
    if generated is None and outputs:
        generated = outputs.count * outputs.mean
    evicted = grown(before, after, dialect.preemptions) if dialect.preemptions else None
    served_well = finished - (failed or 0.0) if finished else None
    return {
        "requests": finished,
        "requests_per_s": _per(finished, seconds),
        "error_rate": failed / finished if finished and failed is not None else None,
        **_times("ttft", ttft),
        **_times("tpot", tpot),
        "e2e_mean_ms": e2e.mean * 1000 if e2e else None,
        "input_tokens_mean": inputs.mean if inputs else None,
        "output_tokens_mean": outputs.mean if outputs else None,
        "output_tokens_per_s": _per(generated, seconds),
        "requests_running": after.total(dialect.running) if dialect.running else None,
        "requests_waiting": after.total(dialect.waiting) if dialect.waiting else None,
        "kv_usage": after.highest(dialect.kv_usage) if dialect.kv_usage else None,
        "preemptions_per_s": _per(evicted, seconds),
        "rss_bytes": after.total("process_resident_memory_bytes"),
        "cost_per_request_usd": usd_per_hour / 3600 * seconds / served_well
        if usd_per_hour is not None and served_well
        else None,
    }


def _spread(before: Scrape, after: Scrape, name: str | None) -> Spread | None:
    return spread(before, after, name) if name else None


def _grown(before: Scrape, after: Scrape, counted: Counted | None) -> float | None:
    if counted is None:
        return None
    return grown(before, after, counted.name, counted.label, counted.values)


def _times(name: str, seen: Spread | None) -> dict[str, float | None]:
    return {
        f"{name}_mean_ms": seen.mean * 1000 if seen else None,
        f"{name}_p95_ms": seen.quantile(0.95) * 1000 if seen else None,
    }


def _per(amount: float | None, seconds: float) -> float | None:
    return amount / seconds if amount is not None else None
