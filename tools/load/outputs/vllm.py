"""The JSON of `vllm bench serve --save-result --save-detailed`: times in seconds, in lists.

Field by field after vLLM 0.32 (benchmarks/serve.py). Of a sweep the last point is written.
"""

import json
import statistics

from knowledge.measure.requests import e2e_ms, gaps_ms, tpot_ms
from knowledge.types import Gamma, Metric, RequestSample
from tools.load.outputs.base import Point, Run, deviation, spread


class Vllm:
    """Definitions agree, but for the first token: an empty chunk is none here."""

    name = "vllm"
    title = "vllm bench serve"

    def render(self, run: Run) -> str:
        return json.dumps(_object(run, run.points[-1]), ensure_ascii=False) + "\n"


def _object(run: Run, point: Point) -> dict[str, object]:
    served = [s for s in point.samples if s.ok]
    inputs = [_input(s) for s in point.samples]
    outputs = [s.output_tokens or 0 if s.ok else 0 for s in point.samples]
    duration = max((s.end_s for s in point.samples), default=point.duration_s)
    total_in, total_out = sum(_input(s) for s in served), sum(outputs)
    arrival = point.workload.arrival
    goodput = point.measurement.metrics.get(Metric.GOODPUT_PER_S)
    found: dict[str, object] = {
        "date": run.started_at.strftime("%Y%m%d-%H%M%S"),
        "endpoint_type": "openai-chat" if run.endpoint == "chat" else "openai",
        "backend": "openai-chat" if run.endpoint == "chat" else "openai",
        "label": None,
        "model_id": run.model,
        "tokenizer_id": run.model,
        "num_prompts": len(point.samples),
        "request_rate": point.rate_per_s or "inf",
        "burstiness": arrival.burstiness if isinstance(arrival, Gamma) else 1.0,
        "max_concurrency": point.streams or getattr(arrival, "max_in_flight", None),
        "duration": duration,
        "completed": len(served),
        "failed": len(point.samples) - len(served),
        "total_input_tokens": total_in,
        "total_output_tokens": total_out,
        "request_throughput": len(served) / duration,
        "request_goodput": goodput.value if goodput else None,
        "output_throughput": total_out / duration,
        "total_token_throughput": (total_in + total_out) / duration,
        "input_lens": inputs,
        "output_lens": outputs,
        "ttfts": [(s.first_token_s - s.intended_s) if s.first_token_s else 0
                  for s in point.samples],
        "itls": [[gap / 1000 for gap in gaps_ms(s).tolist()] for s in point.samples],
        "latencies": [(s.last_token_s - s.intended_s) if s.last_token_s else 0
                      for s in point.samples],
        "start_times": [s.sent_s for s in point.samples],
        "queue_times": [s.sent_s - s.intended_s for s in point.samples],
        "errors": [s.error or "" for s in point.samples],
    }  # fmt: skip
    for stem, values in _series(served).items():
        found |= _statistics(stem, values)
    return found


def _input(sample: RequestSample) -> int:
    return sample.input_tokens or sample.asked_input_tokens


def _series(served: list[RequestSample]) -> dict[str, list[float]]:
    firsts = [1000 * (s.first_token_s - s.intended_s) for s in served if s.first_token_s]
    return {
        "ttft": firsts,
        "tpot": [value for s in served if (value := tpot_ms(s)) is not None],
        "itl": [float(gap) for s in served for gap in gaps_ms(s)],
        "e2el": [value for s in served if (value := e2e_ms(s)) is not None],
    }


def _statistics(stem: str, values: list[float]) -> dict[str, float]:
    median, p95, p99 = spread(values, (0.5, 0.95, 0.99))
    return {
        f"mean_{stem}_ms": statistics.fmean(values) if values else 0.0,
        f"median_{stem}_ms": median,
        f"std_{stem}_ms": deviation(values),
        f"p95_{stem}_ms": p95,
        f"p99_{stem}_ms": p99,
    }


OUTPUT = Vllm()
