"""A deployment under load as the learned part sees it: numbers, names, and a first guess."""

from dataclasses import dataclass

from knowledge.dtypes import canonical_dtype
from knowledge.prediction.physics import Point, Terms, log, terms
from knowledge.types import Attention, ModelFacts

NUMBERS = (
    "batch", "streams", "input", "output", "gpus", "active", "parameters", "weight_share",
    "kv_share", "interference", "compute_share", "fullness", "prefill", "ep", "dp", "experts",
    "latent", "capability",
)  # fmt: skip
NAMES = ("engine", "model", "device", "dtype", "group", "harness", "version")

# Milliseconds per roofline millisecond; per layer; per collective. Least squares of log TPOT.
TPOT_TERMS = ("weights", "kv", "compute", "layers", "collectives", "comm", "interference", "rows")
# Of TTFT: the own prompt, prompts of all streams at once, prompts in the way, a step, overheads.
TTFT_TERMS = ("prefill", "wave", "busy", "step", "layers", "constant")


@dataclass(frozen=True)
class Described:
    """Features of a point; the target is the log of the measured time over `basis`."""

    numbers: tuple[float, ...]
    names: tuple[str, ...]
    tpot_terms_ms: tuple[float, ...]
    prefill_ms: float
    batch: float


def describe(point: Point, harness: str, version: str) -> Described:
    """Numbers on a log scale, in the order of NUMBERS; names in the order of NAMES."""
    found = terms(point)
    parts = _tpot_terms(point, found)
    step = sum(parts) or 1e-6
    facts, layout = point.facts, point.layout
    capability = point.device.compute_capability
    prefill = (1.6 * found.prefill_s + found.prefill_comm_s) * 1e3 + 0.15 * facts.layers
    numbers = (
        log(found.batch),
        log(point.concurrency),
        log(point.input_tokens),
        log(point.output_tokens),
        log(layout.devices) / log(2),
        log(facts.active_parameters),
        log(facts.parameters),
        log(found.weights_s * 1e3 / step + 0.02),
        log(found.kv_s * 1e3 / step + 0.02),
        log(found.interference_s * 1e3 / step + 0.02),
        log(found.compute_s * 1e3 / step + 0.02),
        min(3.0, max(-4.0, log(point.concurrency / found.capacity))),
        log(prefill),
        log(layout.ep),
        log(layout.dp),
        float(facts.experts > 0),
        float(facts.attention is Attention.MLA),
        float(capability) if capability else 5.0,
    )
    key, dtype = model_key(facts), canonical_dtype(point.weight_dtype)
    where = f"{layout.tp}.{layout.pp}.{layout.dp}.{layout.ep}"
    group = "|".join((point.engine, key, point.device.name, dtype, where))
    names = (point.engine, key, point.device.name, dtype, group, harness, version)
    return Described(numbers, names, parts, prefill, found.batch)


def model_key(facts: ModelFacts) -> str:
    """One key for every checkpoint of the same shape: DeepSeek-R1 and V3 are one model here."""
    return f"{facts.architecture}-{facts.layers}x{facts.hidden_size}-{facts.experts}e"


def _tpot_terms(point: Point, found: Terms) -> tuple[float, ...]:
    """Milliseconds (or counts of 10 µs) that a decode step is a weighted sum of."""
    layers = point.facts.layers
    return (
        found.weights_s * 1e3,
        found.kv_s * 1e3,
        found.compute_s * 1e3,
        layers * 1e-2,
        2 * layers * 1e-2 if point.layout.devices > 1 else 0.0,
        found.comm_s * 1e3,
        found.interference_s * 1e3,
        found.batch * layers * 1e-3,
    )


def step_ms(described: Described, weights: tuple[float, ...]) -> float:
    """TPOT of physics alone with a few global efficiencies."""
    parts = zip(weights, described.tpot_terms_ms, strict=True)
    return max(sum(weight * part for weight, part in parts), 1e-3)


def ttft_terms(described: Described, step: float) -> tuple[float, ...]:
    """Milliseconds that a TTFT is a weighted sum of."""
    prefill = described.prefill_ms
    busy = described.tpot_terms_ms[TPOT_TERMS.index("interference")] / step
    return (
        prefill,
        prefill * (described.batch - 1) / 10,
        prefill * min(busy, 3.0),
        step,
        described.tpot_terms_ms[TPOT_TERMS.index("layers")],
        1.0,
    )


def first_guess_ms(
    described: Described, weights: tuple[float, ...], ttft_weights: tuple[float, ...]
) -> tuple[float, float]:
    """TPOT and TTFT of physics alone with a few global efficiencies."""
    step = step_ms(described, weights)
    parts = ttft_terms(described, step)
    return step, sum(w * part for w, part in zip(ttft_weights, parts, strict=True))
