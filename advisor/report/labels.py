"""Russian names and units of what the report speaks of. Field terms stay in the original."""

from advisor.report.numbers import NBSP, number, plain, plural, with_unit
from knowledge.types import ClosedLoop, Decision, Lengths, Metric, Objective, Slo, Workload

TABLE_METRICS = tuple(metric for metric in Metric if "_mean_" not in metric.value)
"""Rows of the big tables: percentiles say more than means."""

_RATES = {
    Metric.OUTPUT_TOKENS_PER_S: ("Output throughput", "ток/с"),
    Metric.REQUESTS_PER_S: ("Request throughput", "запр./с"),
    Metric.GOODPUT_PER_S: ("Goodput", "запр./с"),
    Metric.ERROR_RATE: ("Доля ошибок", ""),
}

OBJECTIVES = {
    Objective.LATENCY: "полное время ответа",
    Objective.TTFT: "время до первого токена",
    Objective.TPOT: "время на токен",
    Objective.THROUGHPUT: "пропускная способность",
    Objective.COST: "цена токена",
}

DECISIONS = {
    Decision.KEPT: "оставлена",
    Decision.DROPPED: "отброшена",
    Decision.INCONCLUSIVE: "разница не доказана",
    Decision.CRASHED: "не запустилась",
}

BOTTLENECKS = {
    "compute": "вычисления",
    "memory-bandwidth": "пропускная способность памяти",
    "kv-capacity": "место под KV cache",
    "scheduler": "планировщик движка",
    "host": "процессор, который обслуживает движок",
}

ENGINES = {
    "vllm": "vLLM",
    "transformers": "transformers",
    "sglang": "SGLang",
    "llamacpp": "llama.cpp",
    "onnxruntime": "ONNX Runtime",
    "tgi": "TGI",
    "tensorrt_llm": "TensorRT-LLM",
    "triton": "Triton Inference Server",
}


def engine(name: str) -> str:
    """The engine as its makers write it."""
    return ENGINES.get(name, name)


def metric(of: Metric) -> str:
    """«TTFT p95», «Output throughput»."""
    if of in _RATES:
        return _RATES[of][0]
    stem, statistic, _ = of.value.split("_")
    return f"{stem.upper()} {'среднее' if statistic == 'mean' else statistic}"


def unit(of: Metric) -> str:
    """Unit of a metric's values; empty for a share."""
    return _RATES[of][1] if of in _RATES else "мс"


def value(of: Metric, figure: float) -> str:
    """A value of the metric with its unit."""
    return with_unit(figure, unit(of))


def slo(promise: Slo) -> str:
    """«TTFT p95 ≤ 200 мс»."""
    sign = "≥" if promise.metric.higher_is_better else "≤"
    limit = f"{plain(promise.limit)}{NBSP}{unit(promise.metric)}".strip()
    return f"{metric(promise.metric)} {sign} {limit}"


def lengths(of: Lengths) -> str:
    """«от 102 до 154 токенов», or one number where all are equal."""
    if of.low == of.high:
        return plural(of.low, "токен", "токена", "токенов")
    return f"от {number(of.low, 0)} до {number(of.high, 0)}{NBSP}токенов"


_ARRIVALS = {
    "poisson": "Poisson",
    "constant": "равные паузы",
    "gamma": "гамма-распределённые паузы",
    "steps": "ступени",
    "diurnal": "суточный ход",
    "phased": "фазы",
}


def arrival(of: Workload) -> str:
    """«8 потоков без пауз», «в среднем 4 запроса в секунду (Poisson)»."""
    if isinstance(of.arrival, ClosedLoop):
        streams = plural(of.arrival.concurrency, "поток", "потока", "потоков")
        return f"{streams}, каждый шлёт следующий запрос сразу после ответа"
    cap = of.arrival.max_in_flight
    limit = f", одновременно не больше {cap}" if cap else ""
    kind = _ARRIVALS[of.arrival.kind]
    return f"{kind}, в среднем {number(of.arrival.rate_per_s)}{NBSP}запр./с{limit}"
