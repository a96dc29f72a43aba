"""What is watched, which way is bad, and how much of a change is worth a word."""

from dataclasses import dataclass
from typing import Literal

from knowledge.statistics.change import Direction

Kind = Literal["drift", "leak", "workload"]


@dataclass(frozen=True)
class Series:
    """One figure of the windows. A change must be statistically sure and also matter."""

    metric: str
    title: str
    unit: str
    kind: Kind = "drift"
    directions: tuple[Direction, ...] = ("up",)
    least_ratio: float = 1.1
    least_difference: float = 0.0
    scale: float = 1.0
    """Multiplied by it when shown."""
    whiten: bool = True


_BOTH: tuple[Direction, ...] = ("up", "down")
SERIES = (
    Series("ttft_mean_ms", "TTFT, среднее", "мс"),
    Series("ttft_p95_ms", "TTFT p95", "мс", least_ratio=1.2),
    Series("tpot_mean_ms", "TPOT, среднее", "мс"),
    Series("canary_ttft_ms", "TTFT пробного запроса", "мс", least_ratio=1.2),
    Series("canary_tpot_ms", "TPOT пробного запроса", "мс"),
    Series("error_rate", "доля ошибок", "%", least_difference=0.005, scale=100),
    Series("requests_waiting", "очередь", "запросов", least_ratio=1.5, least_difference=1),
    Series("kv_usage", "занятость KV cache", "%", least_difference=0.1, scale=100),
    Series("preemptions_per_s", "вытеснения", "1/с", least_difference=0.01),
    Series("cost_per_request_usd", "цена запроса", "$"),
    Series("rss_bytes", "память процессов", "ГиБ", "leak", least_ratio=1.02, scale=2**-30,
           whiten=False),
    Series("gpu_memory_bytes", "память GPU", "ГиБ", "leak", least_ratio=1.02, scale=2**-30,
           whiten=False),
    Series("input_tokens_mean", "длина prompt", "токенов", "workload", _BOTH, 1.25),
    Series("output_tokens_mean", "длина ответа", "токенов", "workload", _BOTH, 1.25),
    Series("requests_per_s", "поток запросов", "запросов/с", "workload", _BOTH, 1.5),
    Series("requests_running", "одновременных запросов", "", "workload", _BOTH, 1.5, 1),
)  # fmt: skip
"""Workload may go either way: what was tuned for is no longer what comes."""
