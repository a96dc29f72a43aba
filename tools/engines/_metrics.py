"""vLLM's Prometheus metrics by short names."""

import re
from collections import defaultdict

from tools.load.http import fetch

_SAMPLE = re.compile(r"^vllm:(\w+?)(?:_total)?(?:\{[^}]*\})? (\S+)$", re.MULTILINE)
_TIMEOUT_S = 10.0
_NAMES = {
    "num_requests_running": "requests_running",
    "num_requests_waiting": "requests_waiting",
    "num_preemptions": "num_preemptions",
    "prompt_tokens": "prompt_tokens",
    "generation_tokens": "generation_tokens",
    "prefix_cache_queries": "prefix_cache_queries",
    "prefix_cache_hits": "prefix_cache_hits",
    "spec_decode_num_draft_tokens": "spec_decode_draft_tokens",
    "spec_decode_num_accepted_tokens": "spec_decode_accepted_tokens",
}
"""Summed over data-parallel engines. Tokens are counters since the start of the server."""


async def scrape(base_url: str) -> dict[str, float]:
    """GET /metrics in short(); empty where there are none, or nobody answers any more."""
    try:
        response = await fetch(base_url, "/metrics", timeout_s=_TIMEOUT_S)
    except (OSError, TimeoutError):
        return {}
    return short(response.content.decode(errors="replace")) if response.status == 200 else {}


def short(exposition: str) -> dict[str, float]:
    """Short names of what a vLLM-like server exposes; rates only where their divisor is not 0."""
    samples: defaultdict[str, list[float]] = defaultdict(list)
    for name, value in _SAMPLE.findall(exposition):
        samples[name].append(float(value))
    values = {short: sum(samples[name]) for name, short in _NAMES.items() if name in samples}
    if usage := samples.get("kv_cache_usage_perc"):
        values["kv_cache_usage_perc"] = max(usage)
    if queries := values.get("prefix_cache_queries"):
        values["prefix_cache_hit_rate"] = values.get("prefix_cache_hits", 0.0) / queries
    if drafts := values.get("spec_decode_draft_tokens"):
        accepted = values.get("spec_decode_accepted_tokens", 0.0)
        values["spec_decode_acceptance_rate"] = accepted / drafts
    return values
