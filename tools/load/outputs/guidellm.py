"""GuideLLM's benchmarks.json (report schema 2, version 0.8): what its readers look at.

Metrics have its names and meanings: its time_per_output_token_ms counts TTFT in, its
inter_token_latency_ms does not. What only GuideLLM's own machinery knows (its scheduler's delays,
images, audio) is left out.
"""

import json
import platform
import statistics
from collections.abc import Sequence

from knowledge.measure.requests import unfinished
from knowledge.types import Metric, RequestSample
from tools.load.outputs.base import Point, Run, spread

_PERCENTILES = {
    "p001": 0.001, "p01": 0.01, "p05": 0.05, "p10": 0.1, "p25": 0.25, "p50": 0.5,
    "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999,
}  # fmt: skip


class GuideLlm:
    """One benchmark for every point of a sweep."""

    name = "guidellm"
    title = "GuideLLM benchmarks.json"

    def render(self, run: Run) -> str:
        report = {
            "metadata": {
                "version": 2,
                "guidellm_version": None,
                "python_version": platform.python_version(),
                "platform": platform.platform(),
                "written_by": "inference-advisor",
            },
            "config": {"backend": {"target": run.url, "model": run.model}, "seed": run.seed},
            "benchmarks": [_benchmark(run, point) for point in run.points],
            "conclusions": [],
        }
        return json.dumps(report, ensure_ascii=False) + "\n"


def _benchmark(run: Run, point: Point) -> dict[str, object]:
    start = run.started_at.timestamp()
    duration = max((s.end_s for s in point.samples), default=point.duration_s)
    streams = point.streams
    strategy: dict[str, object] = (
        {"type_": "concurrent", "streams": streams}
        if streams is not None
        else {"type_": point.workload.arrival.kind, "rate": point.rate_per_s}
    )
    groups = _groups(point.samples)
    return {
        "type_": "generative_benchmark",
        "config": {"strategy": strategy},
        "metrics": _metrics(point, groups, duration),
        "requests": {name: [_request(s, start) for s in group] for name, group in groups.items()},
        "start_time": start,
        "end_time": start + duration,
        "duration": duration,
        "warmup_duration": 0.0,
        "cooldown_duration": 0.0,
        "warnings": [{"message": text} for text in point.client.problems],
    }


def _groups(samples: Sequence[RequestSample]) -> dict[str, list[RequestSample]]:
    return {
        "successful": [s for s in samples if s.ok],
        "incomplete": [s for s in samples if unfinished(s)],
        "errored": [s for s in samples if not s.ok and not unfinished(s)],
    }


def _metrics(
    point: Point, groups: dict[str, list[RequestSample]], duration: float
) -> dict[str, object]:
    totals = {name: len(group) for name, group in groups.items()}
    found: dict[str, object] = {"request_totals": totals | {"total": sum(totals.values())}}
    for name, reading in _READINGS.items():
        found[name] = _by_status(groups, reading)
    tokens = sum(s.output_tokens or 0 for s in groups["successful"])
    inputs = sum(s.input_tokens or s.asked_input_tokens for s in groups["successful"])
    rates = {
        "requests_per_second": totals["successful"] / duration,
        "output_tokens_per_second": tokens / duration,
        "prompt_tokens_per_second": inputs / duration,
        "tokens_per_second": (tokens + inputs) / duration,
    }
    for name, rate in rates.items():
        found[name] = {"successful": _summary([rate]), "total": _summary([rate])}
    goodput = point.measurement.metrics.get(Metric.GOODPUT_PER_S)
    found["request_goodput"] = {"successful": _summary([goodput.value])} if goodput else None
    return found


def _by_status(groups: dict[str, list[RequestSample]], reading) -> dict[str, object]:  # type: ignore[no-untyped-def]
    values = {name: [v for s in group if (v := reading(s)) is not None]
              for name, group in groups.items()}  # fmt: skip
    every = [v for group in values.values() for v in group]
    found: dict[str, object] = {name: _summary(group) for name, group in values.items()}
    return found | {"total": _summary(every)}


def _summary(values: Sequence[float]) -> dict[str, object]:
    if not values:
        values_, count = [0.0], 0
    else:
        values_, count = list(values), len(values)
    middle = statistics.median(values_)
    return {
        "mean": statistics.fmean(values_),
        "median": middle,
        "mode": statistics.mode(values_),
        "variance": statistics.pvariance(values_),
        "std_dev": statistics.pstdev(values_),
        "min": min(values_),
        "max": max(values_),
        "count": count,
        "total_sum": sum(values),
        "percentiles": dict(
            zip(_PERCENTILES, spread(values_, tuple(_PERCENTILES.values())), strict=True)
        ),
    }


def _ttft_ms(sample: RequestSample) -> float | None:
    return None if sample.first_token_s is None else 1000 * (sample.first_token_s - sample.sent_s)


def _latency_s(sample: RequestSample) -> float | None:
    return None if sample.last_token_s is None else sample.last_token_s - sample.sent_s


def _tpot_ms(sample: RequestSample) -> float | None:
    latency = _latency_s(sample)
    return 1000 * latency / sample.output_tokens if latency and sample.output_tokens else None


def _itl_ms(sample: RequestSample) -> float | None:
    if sample.first_token_s is None or sample.last_token_s is None:
        return None
    gaps = (sample.output_tokens or 0) - 1
    return 1000 * (sample.last_token_s - sample.first_token_s) / gaps if gaps > 0 else None


_READINGS = {
    "request_latency": _latency_s,
    "prompt_token_count": lambda s: s.input_tokens or s.asked_input_tokens,
    "output_token_count": lambda s: s.output_tokens,
    "time_to_first_token_ms": _ttft_ms,
    "time_per_output_token_ms": _tpot_ms,
    "inter_token_latency_ms": _itl_ms,
}


def _request(sample: RequestSample, start: float) -> dict[str, object]:
    return {
        "request_id": str(sample.index),
        "request_start_time": start + sample.sent_s,
        "request_end_time": start + sample.end_s,
        "prompt_tokens": sample.input_tokens or sample.asked_input_tokens,
        "output_tokens": sample.output_tokens,
        "request_latency": _latency_s(sample),
        "time_to_first_token_ms": _ttft_ms(sample),
        "time_per_output_token_ms": _tpot_ms(sample),
        "inter_token_latency_ms": _itl_ms(sample),
        "error": sample.error,
    }


OUTPUT = GuideLlm()
