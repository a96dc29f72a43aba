"""Prometheus metrics of engines by short names: the same for every engine that has them."""

import re
from collections import defaultdict
from dataclasses import dataclass, field

from tools.load.http import fetch

_SAMPLE = re.compile(r"^([a-zA-Z_][\w:]*?)(?:_total)?(?:\{[^}]*\})? (\S+)$", re.MULTILINE)
_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Names:
    """What one engine calls things. Sums are over its data-parallel parts, `highest` are not."""

    prefix: str
    sums: dict[str, str]
    highest: dict[str, str] = field(default_factory=dict)
    cached_apart: bool = False
    """Prompt tokens from the cache are counted beside the others, not among them."""


VLLM = Names(
    prefix="vllm:",
    sums={
        "num_requests_running": "requests_running",
        "num_requests_waiting": "requests_waiting",
        "num_preemptions": "num_preemptions",
        "prompt_tokens": "prompt_tokens",
        "generation_tokens": "generation_tokens",
        "prefix_cache_queries": "prefix_cache_queries",
        "prefix_cache_hits": "prefix_cache_hits",
        "spec_decode_num_draft_tokens": "spec_decode_draft_tokens",
        "spec_decode_num_accepted_tokens": "spec_decode_accepted_tokens",
    },
    highest={"kv_cache_usage_perc": "kv_cache_usage_perc"},
)
LLAMACPP = Names(
    prefix="llamacpp:",
    sums={
        "requests_processing": "requests_running",
        "requests_deferred": "requests_waiting",
        "prompt_tokens": "prompt_tokens",
        "tokens_predicted": "generation_tokens",
        "prompt_tokens_cached": "prefix_cache_hits",
        "spec_decode_num_draft_tokens": "spec_decode_draft_tokens",
        "spec_decode_num_accepted_tokens": "spec_decode_accepted_tokens",
    },
    cached_apart=True,
)
SGLANG = Names(
    prefix="sglang:",
    sums={
        "num_running_reqs": "requests_running",
        "num_queue_reqs": "requests_waiting",
        "prompt_tokens": "prompt_tokens",
        "generation_tokens": "generation_tokens",
        "num_retracted_requests": "num_preemptions",
    },
    highest={
        "token_usage": "kv_cache_usage_perc",
        "cache_hit_rate": "prefix_cache_hit_rate",
        "spec_accept_rate": "spec_decode_acceptance_rate",
        "spec_accept_length": "spec_decode_accept_length",
    },
)
ONNXRUNTIME = Names(
    prefix="ortgenai:",
    sums={
        "requests_running": "requests_running",
        "requests_waiting": "requests_waiting",
        "prompt_tokens": "prompt_tokens",
        "generation_tokens": "generation_tokens",
    },
)
"""Of our own server."""
TGI = Names(
    prefix="tgi_",
    sums={
        "batch_current_size": "requests_running",
        "queue_size": "requests_waiting",
        "request_input_length_sum": "prompt_tokens",
        "request_generated_tokens_sum": "generation_tokens",
    },
)
"""Tokens are sums of histograms over requests: generated ones are counted when a request ends."""
KNOWN = (VLLM, LLAMACPP, SGLANG, ONNXRUNTIME, TGI)


async def scrape(base_url: str) -> dict[str, float]:
    """GET /metrics in short(); empty where there are none, or nobody answers any more."""
    try:
        response = await fetch(base_url, "/metrics", timeout_s=_TIMEOUT_S)
    except (OSError, TimeoutError):
        return {}
    return short(response.content.decode(errors="replace")) if response.status == 200 else {}


def short(exposition: str) -> dict[str, float]:
    """Short names of what a server exposes; rates only where their divisor is not 0.

    Tokens are counters since the start of the server.
    """
    samples: defaultdict[str, list[float]] = defaultdict(list)
    for name, value in _SAMPLE.findall(exposition):
        samples[name].append(float(value))
    for names in KNOWN:
        if any(name.startswith(names.prefix) for name in samples):
            return _with_rates(_named(samples, names), names)
    return {}


def _named(samples: dict[str, list[float]], names: Names) -> dict[str, float]:
    own = {name.removeprefix(names.prefix): value for name, value in samples.items()}
    values = {ours: sum(own[theirs]) for theirs, ours in names.sums.items() if theirs in own}
    return values | {
        ours: max(own[theirs]) for theirs, ours in names.highest.items() if theirs in own
    }


def _with_rates(values: dict[str, float], names: Names) -> dict[str, float]:
    if names.cached_apart and "prefix_cache_hits" in values:
        computed = values.get("prompt_tokens", 0.0)
        values["prefix_cache_queries"] = computed + values["prefix_cache_hits"]
    if queries := values.get("prefix_cache_queries"):
        values["prefix_cache_hit_rate"] = values.get("prefix_cache_hits", 0.0) / queries
    if drafts := values.get("spec_decode_draft_tokens"):
        accepted = values.get("spec_decode_accepted_tokens", 0.0)
        values["spec_decode_acceptance_rate"] = accepted / drafts
    return values
