"""TTFT, TPOT, throughput and memory of a deployment under a load."""

import math
from collections.abc import Sequence

from knowledge.memory import EngineMemory, engine_memory
from knowledge.prediction.neighbours import nearest
from knowledge.prediction.physics import Point
from knowledge.prediction.speed import Speed, speeds
from knowledge.prediction.trained import Trained, load
from knowledge.prediction.types import Figure, Observation, Prediction, Provenance, Query

_MEMORY_ERROR = 0.05
_KNOWN_ENGINES = ("vllm", "sglang", "trtllm")
_TRAINED_CAPABILITIES = (9.0, 11.0)
_GRID = tuple(2.0**power for power in range(13))


def predict(query: Query, observations: Sequence[Observation] = ()) -> Prediction:
    """Figures with 90 % intervals; `observations` of our own calibrate them, all are quoted."""
    return predict_many([query], observations)[0]


def predict_many(
    queries: Sequence[Query], observations: Sequence[Observation] = ()
) -> list[Prediction]:
    """As predict, with one conditioning for all: what a comparison of many layouts needs."""
    if not queries:
        return []
    trained = load()
    streams = _streams(trained, queries, observations)
    points = [point_of(query, count) for query, count in zip(queries, streams, strict=True)]
    found = speeds(trained, points, observations)
    return [
        _prediction(query, count, speed, observations)
        for query, count, speed in zip(queries, streams, found, strict=True)
    ]


def point_of(query: Query, concurrency: float) -> Point:
    """The deployment as the features see it."""
    return Point(
        facts=query.facts,
        device=query.device,
        layout=query.layout,
        engine=query.engine if query.engine in _KNOWN_ENGINES else "vllm",
        weight_dtype=query.weight_dtype,
        kv_dtype=query.kv_dtype,
        input_tokens=query.load.input_tokens,
        output_tokens=query.load.output_tokens,
        concurrency=concurrency,
        utilization=query.memory_utilization,
    )


def memory_of(query: Query) -> EngineMemory:
    """One GPU's memory for requests of the asked length."""
    load_, layout = query.load, query.layout
    return engine_memory(
        query.facts,
        memory_bytes=query.device.memory_bytes,
        weight_dtype=query.weight_dtype,
        kv_dtype=query.kv_dtype,
        context_tokens=math.ceil(load_.input_tokens + load_.output_tokens),
        tensor_parallel=layout.tp,
        pipeline_parallel=layout.pp,
        devices=layout.devices if layout.ep > 1 or layout.dp == 1 else layout.tp * layout.pp,
        utilization=query.memory_utilization,
        graphs=query.device.kind == "cuda",
    )


def _streams(
    trained: Trained, queries: Sequence[Query], observations: Sequence[Observation]
) -> list[float]:
    return [
        query.load.concurrency or _by_littles_law(trained, query, observations) for query in queries
    ]


def _by_littles_law(trained: Trained, query: Query, observations: Sequence[Observation]) -> float:
    """Requests in flight L = rate · E2E(L): the first crossing on a grid of powers of two."""
    rate = query.load.rate_per_s
    assert rate is not None
    found = speeds(trained, [point_of(query, count) for count in _GRID], observations)
    excess = [
        math.log(rate * _e2e_ms(query, speed) / 1e3 / count)
        for count, speed in zip(_GRID, found, strict=True)
    ]
    if excess[0] <= 0:
        return 1.0
    for k in range(1, len(_GRID)):
        if excess[k] <= 0:
            share = excess[k - 1] / (excess[k - 1] - excess[k])
            return float(_GRID[k - 1] * 2**share)
    return _GRID[-1]


def _e2e_ms(query: Query, speed: Speed) -> float:
    return speed.ttft.value + speed.tpot.value * (query.load.output_tokens - 1)


def _prediction(
    query: Query, streams: float, speed: Speed, observations: Sequence[Observation]
) -> Prediction:
    memory = memory_of(query)
    replicas = query.layout.dp
    most = memory.max_concurrency * replicas
    running = min(streams, most) if most else streams
    used = memory.used_bytes(running / replicas)
    device = query.device.name
    seen = [one for one in observations if one.source == "here" and one.device == device]
    return Prediction(
        ttft_ms=speed.ttft.figure,
        tpot_ms=speed.tpot.figure,
        output_tokens_per_s=_throughput(query, running, speed),
        concurrency=streams,
        memory_bytes=_around(used),
        max_concurrency=_capacity(memory, replicas),
        fits=memory.fits,
        saturated=streams > most or (query.load.rate_per_s is not None and streams >= _GRID[-1]),
        speed_provenance=speed.provenance,
        memory_provenance=Provenance.COMPUTED,
        neighbours=nearest(query, streams, observations),
        notes=tuple(_notes(query, memory, streams, calibrated=bool(seen))),
    )


def _throughput(query: Query, running: float, speed: Speed) -> Figure:
    """Closed loop: streams · output tokens / E2E. The two times are taken as independent."""
    tokens = query.load.output_tokens
    ttft, decode = speed.ttft.value, speed.tpot.value * (tokens - 1)
    value = running * tokens / (ttft + decode) * 1e3
    share = ttft / (ttft + decode)
    spread = math.hypot(share * speed.ttft.deviation, (1 - share) * speed.tpot.deviation)
    width = math.exp(1.6449 * spread)
    return Figure(value=value, low=value / width, high=value * width)


def _capacity(memory: EngineMemory, replicas: int) -> Figure:
    """Whole requests; the interval is the 5 % of the memory account, on both sides of the KV."""
    doubt = _MEMORY_ERROR * (memory.weights_bytes + memory.activations_bytes)
    per = max(1, memory.kv_bytes_per_sequence)
    low = max(0.0, memory.kv_budget_bytes - doubt) // per
    high = (memory.kv_budget_bytes + doubt) // per if memory.max_concurrency else 0
    value = memory.max_concurrency
    low, high = min(low, value), max(high, value)
    return Figure(value=value * replicas, low=low * replicas, high=high * replicas)


def _around(value: float) -> Figure:
    return Figure(value=value, low=value * (1 - _MEMORY_ERROR), high=value * (1 + _MEMORY_ERROR))


def _notes(query: Query, memory: EngineMemory, streams: float, *, calibrated: bool) -> list[str]:
    notes = []
    capability = query.device.compute_capability
    if query.engine not in _KNOWN_ENGINES:
        notes.append(f"для {query.engine} замеров нет: прогноз сделан как для vLLM")
    inside = capability and _TRAINED_CAPABILITIES[0] <= float(capability) < _TRAINED_CAPABILITIES[1]
    if not inside and not calibrated:
        notes.append(
            f"замеров на {query.device.name} в обучении нет (есть Hopper и Blackwell): "
            "это экстраполяция по roofline, интервал широкий"
        )
    if query.layout.pp > 1:
        notes.append("в обучении нет pipeline parallelism: «пузыри» конвейера не учтены")
    if memory.fits and streams > memory.max_concurrency * query.layout.dp:
        notes.append(
            f"в KV cache помещается {memory.max_concurrency * query.layout.dp} запросов "
            f"из {streams:.0f}: остальные ждут в очереди, TTFT растёт"
        )
    return notes
