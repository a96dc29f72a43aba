"""Simulated spaces. None is built from the cards' expected effects.

`physics`: a server with continuous batching at the roofline of a real model on a real GPU, whose
efficiencies, interactions and crash corners are drawn anew for every seed. `random`: effects of
every level and of pairs drawn from a normal distribution; cards know nothing of them. `misled`: as
`random`, but 7 in 10 settings that a card recommends do harm, and the other way round.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.random import Generator

from advisor.policy.prior import Offer, offers
from advisor.policy.space import Knob, Space
from advisor.profiling import profile_of
from bench.search.surface import Array, Surface, all_rows, single_changes
from knowledge.cards import load_cards
from knowledge.devices import require_gpu
from knowledge.dtypes import bytes_per_element
from knowledge.known_models import require_architecture
from knowledge.roofline import peak_flops
from knowledge.types import (
    Budget,
    ClosedLoop,
    Hardware,
    Lengths,
    Metric,
    ModelSpec,
    Objective,
    Slo,
    Task,
    Workload,
)
from tools.engines.base import Flag, FlagCatalog

_ENGINE = "vllm"
_NGRAM = next(
    str(variant.flags["speculative-config"])
    for card in load_cards()
    if card.name == "speculation-ngram"
    for variant in card.changes
    if variant.engine == _ENGINE
)
_KNOBS = (
    Knob(flag="max-num-seqs", choices=(None, 16, 64, 128), recompiles=False),
    Knob(flag="max-num-batched-tokens", choices=(None, 1024, 4096, 16384), recompiles=False),
    Knob(flag="enable-prefix-caching", choices=(None, False), recompiles=False),
    Knob(flag="kv-cache-dtype", choices=(None, "fp8")),
    Knob(flag="quantization", choices=(None, "fp8")),
    Knob(flag="attention-backend", choices=(None, "FLASHINFER")),
    Knob(flag="stream-interval", choices=(None, 4), recompiles=False),
    Knob(flag="gpu-memory-utilization", choices=(None, 0.95), recompiles=False),
    Knob(flag="speculative-config", choices=(None, _NGRAM)),
    Knob(
        flag="compilation-config",
        choices=(
            None,
            json.dumps({"mode": 0, "cudagraph_mode": "FULL"}),
            json.dumps({"cudagraph_mode": "FULL_DECODE_ONLY"}),
        ),
    ),
)
_CATALOG = FlagCatalog(
    engine=_ENGINE,
    version="simulated",
    flags={knob.flag: Flag(name=knob.flag, kind="str") for knob in _KNOBS},
)
_SPACE = Space(_KNOBS, closed=True)
_SEQS = np.array([256, 16, 64, 128])
_TOKENS = np.array([8192, 1024, 4096, 16384])
_PAIRS = 8


@dataclass(frozen=True)
class Family:
    """One kind of space; `draw` makes one of it for every seed."""

    name: str
    kind: str
    gpu: str
    model: str
    streams: int
    input_tokens: int
    output_tokens: int
    objective: Objective
    prefix_tokens: int = 0
    ttft_slo: float | None = None
    """SLO on TTFT p95, as a multiple of the default's."""


FAMILIES = (
    Family("chat H100", "physics", "h100", "llama-3.1-8b", 32, 1024, 256, Objective.THROUGHPUT),
    Family("rag L4", "physics", "l4", "llama-3.1-8b", 16, 4096, 128, Objective.LATENCY, 3072),
    Family("stream H100", "physics", "h100", "qwen2.5-32b", 1, 1024, 512, Objective.TPOT),
    Family("batch A100 + SLO", "physics", "a100", "qwen2.5-14b", 128, 512, 256,
           Objective.THROUGHPUT, 0, 0.9),
    Family("random", "random", "h100", "llama-3.1-8b", 32, 1024, 256, Objective.THROUGHPUT),
    Family("misled", "misled", "h100", "llama-3.1-8b", 32, 1024, 256, Objective.THROUGHPUT),
)  # fmt: skip


def draw(family: Family, seed: int) -> Surface:
    """The space of one seed."""
    rng = np.random.default_rng([seed, *family.name.encode()])
    task, levels = _task(family, seed), _levels()[0]
    made = _physics if family.kind == "physics" else _drawn
    metrics = made(family, task, levels, rng)
    _interactions(metrics, levels, rng)
    crashes = _corners(levels, rng) | (metrics[Metric.OUTPUT_TOKENS_PER_S] <= 0)
    crashes[_levels()[1][task.default]] = False
    surface = Surface(
        f"{family.name} {seed}", task, _SPACE, _CATALOG, profile_of(task),
        {m: np.maximum(v, 1e-9) for m, v in metrics.items()}, crashes, _levels()[1],
    )  # fmt: skip
    if family.ttft_slo:
        ttft = surface.metrics[Metric.TTFT_P95_MS][surface.rows[task.default]]
        slo = Slo(metric=Metric.TTFT_P95_MS, limit=float(family.ttft_slo * ttft))
        surface.task = task.replace(slos=(slo,))
    surface.cards_agree = _agreement(surface)
    return surface


@lru_cache(maxsize=1)
def _levels():  # type: ignore[no-untyped-def]
    return all_rows(_SPACE, _ENGINE)


@lru_cache(maxsize=16)
def hardware(gpu: str) -> Hardware:
    return Hardware(
        device=require_gpu(gpu).device, cpu_name="simulated", cores=16, host_memory_bytes=2**38
    )


def _task(family: Family, seed: int) -> Task:
    facts = require_architecture(family.model).facts
    return Task(
        model=ModelSpec(name=family.model, path="/nowhere", fingerprint="simulated",
                        weights_bytes=2 * facts.parameters, facts=facts),
        hardware=hardware(family.gpu),
        workload=Workload(
            name=family.name, arrival=ClosedLoop(concurrency=family.streams),
            input_tokens=Lengths(low=family.input_tokens, high=family.input_tokens),
            output_tokens=Lengths(low=family.output_tokens, high=family.output_tokens),
            shared_prefix_tokens=family.prefix_tokens,
        ),
        engine=_ENGINE, objective=family.objective, budget=Budget(seconds=3600), seed=seed,
    )  # fmt: skip


def _physics(
    family: Family, task: Task, levels: Mapping[str, Array], rng: Generator
) -> dict[Metric, Array]:
    """Seconds of GPU per request, by Little's law; see the comments for the drawn factors."""
    facts, device = task.model.facts, task.hardware.device
    on = {flag: level.astype(int) for flag, level in levels.items()}
    seqs, tokens = _SEQS[on["max-num-seqs"]], _TOKENS[on["max-num-batched-tokens"]]
    fp8, kv8 = on["quantization"], on["kv-cache-dtype"]
    flash, spec = on["attention-backend"], on["speculative-config"]
    mode, cached = on["compilation-config"], 1 - on["enable-prefix-caching"]
    # How near the kernels come to the ceilings, and what FP8 is worth here.
    bandwidth = device.bandwidth_bytes_per_s * rng.uniform(0.55, 0.85)
    flops = peak_flops(device, "bfloat16") * rng.uniform(0.35, 0.65)
    weights = facts.parameters * np.where(fp8, rng.uniform(1.0, 1.25), 2.0)
    flops = flops * np.where(fp8, rng.uniform(0.8, 1.8), 1.0)
    kv_token = facts.kv_elements_per_token * np.where(kv8, 1.0, bytes_per_element("bfloat16"))
    # Attention kernels: backend and cache dtype do not go together equally well.
    attention = np.exp(
        flash * rng.normal(0, 0.12)
        + kv8 * np.where(flash, rng.uniform(-0.15, 0.2), rng.uniform(-0.1, 0.6))
    )
    share = np.where(on["gpu-memory-utilization"], 0.95, 0.9)
    scratch = 1.5e9 + tokens * facts.hidden_size * rng.uniform(8, 40)
    room = share * device.memory_bytes - weights - scratch
    length = family.input_tokens + family.output_tokens
    batch = np.minimum(np.minimum(family.streams, seqs), np.floor(room / (kv_token * length)))
    alive = batch >= 1
    batch = np.maximum(batch, 1)
    hits = family.prefix_tokens / family.input_tokens * rng.uniform(0.6, 1.0) * cached
    prompt = family.input_tokens * (1 - hits)
    chunk = rng.uniform(100, 800)  # tokens at which a step is half as efficient
    fill = 2 * facts.active_parameters / flops * prompt * (1 + chunk / tokens)
    fill = fill + family.input_tokens**2 * attention * rng.uniform(0.5, 2) * 1e-12
    host = (
        rng.uniform(5e-4, 4e-3)
        * np.array([1, 1 + rng.uniform(0, 0.8), rng.uniform(0.75, 1.1)])[mode]
    )
    host = (
        host
        * (1 + cached * rng.uniform(0, 0.06))
        * (1 - on["stream-interval"] * rng.uniform(0, 0.3))
    )
    context = family.input_tokens + family.output_tokens / 2
    step = np.maximum(weights / bandwidth, 2 * facts.active_parameters * batch / flops)
    step = step + batch * context * kv_token * attention / bandwidth + host
    accept, verify = rng.uniform(0.02, 0.6), rng.uniform(0.03, 0.3)
    held = np.where(spec, 1 + accept + accept**2 + accept**3, 1.0)
    step = step * np.where(spec, 1 + verify * (1 + batch / 32), 1.0)
    busy = fill + family.output_tokens * step / held / batch
    wave = busy * batch
    ttft = (
        fill * (1 + 0.5 * batch * np.minimum(1, prompt / tokens))
        + np.maximum(0, family.streams - batch) * busy
        + step
    )
    tpot = (wave - fill) / family.output_tokens
    rate = np.where(alive, family.output_tokens / busy, 0.0)
    return {
        Metric.OUTPUT_TOKENS_PER_S: rate,
        Metric.E2E_P50_MS: 1e3 * family.streams * busy,
        Metric.TPOT_P50_MS: 1e3 * tpot,
        Metric.TTFT_P95_MS: 1e3 * ttft * rng.uniform(1.2, 2.0),
    }  # fmt: skip


def _drawn(
    family: Family, task: Task, levels: Mapping[str, Array], rng: Generator
) -> dict[Metric, Array]:
    """Main effects from a normal distribution; in `misled` mostly against the cards."""
    expected = _expected(task)
    total = np.zeros(len(next(iter(levels.values()))))
    for knob in _KNOBS:
        effects = np.array([0.0, *rng.normal(0, 0.12, len(knob.choices) - 1)])
        for k, value in enumerate(knob.choices):
            card = expected.get((knob.flag, value), 0.0)
            if family.kind == "misled" and card and rng.uniform() < 0.7:
                effects[k] = -math.copysign(abs(effects[k]), card)
        total += effects[levels[knob.flag].astype(int)]
    rate = 1000 * np.exp(total)
    return {Metric.OUTPUT_TOKENS_PER_S: rate}


def _interactions(
    metrics: dict[Metric, Array], levels: Mapping[str, Array], rng: Generator
) -> None:
    """Some pairs of settings do more or less together than their parts."""
    names = [(knob.flag, k) for knob in _KNOBS for k in range(1, len(knob.choices))]
    pairs = [p for p in combinations(names, 2) if p[0][0] != p[1][0]]
    for at in rng.choice(len(pairs), _PAIRS, replace=False):
        (one, i), (other, j) = pairs[at]
        both = (levels[one] == i) & (levels[other] == j)
        factor = np.where(both, np.exp(rng.normal(0, 0.05)), 1.0)
        for metric, values in metrics.items():
            metrics[metric] = values * (factor if metric.higher_is_better else 1 / factor)


def _corners(levels: Mapping[str, Array], rng: Generator) -> np.ndarray:
    """Settings that do not start together: one pair, and some threes."""
    dead = np.zeros(len(next(iter(levels.values()))), dtype=bool)
    for size in (2, 3, 3):
        flags = rng.choice(len(_KNOBS), size, replace=False)
        chosen = [_KNOBS[at] for at in flags]
        inside = [levels[k.flag] == rng.integers(1, len(k.choices)) for k in chosen]
        dead |= np.all(inside, axis=0)
    return dead


def _expected(task: Task) -> dict[tuple[str, object], float]:
    """What the cards that set one thing expect of it, on the log scale."""
    return {
        next(iter(offer.settings.items())): offer.log_gain
        for offer in _offers(task)
        if len(offer.settings) == 1
    }


def _offers(task: Task) -> list[Offer]:
    from bench.search.replay import session

    return offers(session(task, _CATALOG, _SPACE, profile_of(task)))


def _agreement(surface: Surface) -> float | None:
    """Spearman's rank correlation over the single settings that cards speak of."""
    expected = _expected(surface.task)
    real = single_changes(surface)
    both = [(expected[key], real[key]) for key in expected if key in real]
    if len(both) < 3:
        return None
    ranks = np.argsort(np.argsort(np.array(both), axis=0), axis=0)
    return float(np.corrcoef(ranks.T)[0, 1])
