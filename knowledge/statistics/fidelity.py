"""How near a candidate's predictions lie to the reference's, place by place of the same text.

The mean loss alone is blunt: a fault may lose no more than an honest 8-bit checkpoint does. What
tells them apart is how far the whole distribution moved, and where it moved most.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from knowledge.statistics.bootstrap import bootstrap_ratio
from knowledge.statistics.student import normal_quantile
from knowledge.types import Choices, Estimate, QualityResult, QualityVerdict

_LEAST_REST = 1e-4
"""Probability outside the returned tokens, at least: rounding must not make it vanish."""
_ALPHA = 0.05


@dataclass(frozen=True)
class Limits:
    """What a candidate must stay under, each in the unit of its name."""

    flips: float
    kl_nats: float
    worst_chunk_nats: float
    least_prefix: float
    """Share of a greedy answer that is to be the same."""


QUANTIZED = Limits(flips=0.13, kl_nats=0.03, worst_chunk_nats=0.25, least_prefix=0.05)
"""A checkpoint whose numbers were rounded on purpose. Plain W8A8 of SmolLM2-135M: flips 10.8 %,
KL 0.018 of five tokens, loss 0.042; a wrong rope_theta 16 %, 0.057; 3 bits 70 %, 0.375
(1,161 tokens of real text in float32, 2026-11-25)."""
SAME_WEIGHTS = Limits(flips=0.05, kl_nats=0.004, worst_chunk_nats=0.06, least_prefix=0.2)
"""A change that leaves the model alone: another scheduler, batch or kernel. On the same text 8-bit
weights alone: flips 3.0 %, KL 0.0017; one layer of thirty scaled by 1.1: 6.8 %, 0.0091. Such a
fault harms less than plain W8A8 does, so only here, not among quantized checkpoints, is it seen."""


@dataclass(frozen=True)
class Place:
    """One token of the text as both saw it."""

    loss: float
    flipped: bool
    kl: float


def compare_quality(
    reference: QualityResult,
    candidate: QualityResult,
    *,
    margin: float,
    limits: Limits,
    seed: int,
    looks: int = 1,
) -> QualityVerdict:
    """Non-inferior when every interval lies under its limit, worse when one lies above it.

    The two may have scored different numbers of pieces: those that both have are paired. `looks`
    is how often the growing sample may be looked at; the error rate is shared out among them
    (Bonferroni), so that the last look is no worse than a single one. Raises ValueError when
    nothing can be paired.
    """
    level = 1 - _ALPHA / looks
    chunks = list(_paired(reference, candidate))
    if not chunks:
        raise ValueError("the two scored different texts")
    loss = _ratio([sum(p.loss for p in chunk) for chunk in chunks], chunks, seed, level)
    worst = max(sum(p.loss for p in chunk) / len(chunk) for chunk in chunks)
    states = [_state(loss, margin)]
    flips = kl = None
    findings = []
    if reference.chunk_top and candidate.chunk_top:
        flips = _ratio([float(sum(p.flipped for p in c)) for c in chunks], chunks, seed, level)
        kl = _ratio([sum(p.kl for p in chunk) for chunk in chunks], chunks, seed, level)
        states += [_state(flips, limits.flips), _state(kl, limits.kl_nats)]
        findings += _far(flips, kl, limits)
    if worst > limits.worst_chunk_nats:
        states.append("worse")
        findings.append(
            f"хуже всего отрывок: {worst:.3f} нат/токен при пределе {limits.worst_chunk_nats:g}"
        )
    # One chunk has no spread between chunks, so it can convince nobody.
    fine = len(chunks) > 1 and all(state == "fine" for state in states)
    return QualityVerdict(
        non_inferior=fine,
        loss_nats_per_token=loss,
        margin=margin,
        flips=flips,
        kl_nats=kl,
        worst_chunk_nats=worst,
        power=_power(loss, margin, level),
        decided=fine or "worse" in states,
        findings=tuple(findings),
    )


def _far(flips: Estimate, kl: Estimate, limits: Limits) -> list[str]:
    said = []
    if flips.low > limits.flips:
        said.append(
            f"самый вероятный токен другой в {flips.value:.1%} мест при пределе {limits.flips:.0%}"
        )
    if kl.low > limits.kl_nats:
        said.append(
            f"распределения расходятся: KL {kl.value:.4f} нат при пределе {limits.kl_nats:g}"
        )
    return said


def _state(seen: Estimate, limit: float) -> str:
    if seen.high < limit:
        return "fine"
    return "worse" if seen.low > limit else "open"


def _ratio(sums: list[float], chunks: Sequence[list[Place]], seed: int, level: float) -> Estimate:
    """Per token, with chunks drawn and not tokens: those of one chunk depend on one another."""
    sizes = [float(len(chunk)) for chunk in chunks]
    return bootstrap_ratio(sums, sizes, seed=seed, resamples=2000, level=level)


def _power(loss: Estimate, margin: float, level: float) -> float:
    """Chance that a candidate which loses nothing lies under the margin with its interval."""
    z = normal_quantile(level)
    error = (loss.high - loss.low) / (2 * z)
    return 1.0 if error == 0 else NormalDist().cdf(margin / error - z)


def _paired(reference: QualityResult, candidate: QualityResult) -> Iterator[list[Place]]:
    """The places of every chunk that both scored."""
    where = {name: i for i, name in enumerate(_ids(reference))}
    for j, name in enumerate(_ids(candidate)):
        i = where.get(name)
        if i is None:
            continue
        ours, theirs = reference.chunk_logprobs[i], candidate.chunk_logprobs[j]
        if len(ours) != len(theirs):
            raise ValueError(f"the two scored different tokens: {len(ours)} and {len(theirs)}")
        if ours:
            tops = _tops(reference, i), _tops(candidate, j)
            yield [
                Place(a - b, bool(p and q and p[0][0] != q[0][0]), divergence(p, q))
                for a, b, p, q in zip(ours, theirs, *tops, strict=False)
            ]


def paired_tokens(ours: QualityResult, theirs: QualityResult) -> list[tuple[float, float]]:
    """Log-probabilities of the tokens that both scored; empty when the texts are others."""
    where = {name: i for i, name in enumerate(_ids(theirs))}
    return [
        pair
        for j, name in enumerate(_ids(ours))
        if name in where
        for pair in zip(ours.chunk_logprobs[j], theirs.chunk_logprobs[where[name]], strict=False)
    ]


def _tops(scored: QualityResult, index: int) -> tuple[Choices, ...]:
    if scored.chunk_top:
        return scored.chunk_top[index]
    return ((),) * len(scored.chunk_logprobs[index])


def _ids(scored: QualityResult) -> tuple[str, ...]:
    """Results of older versions have none: their chunks stand in the order of the text."""
    if scored.chunk_ids:
        return scored.chunk_ids
    return tuple(f"{scored.text_sha256} {i}" for i in range(len(scored.chunk_logprobs)))


def divergence(p: Choices, q: Choices) -> float:
    """KL(p||q) in nats, bounded from below by what the two lists show.

    Outcomes: each token that both hold, those that only p holds together, and all others. Joining
    outcomes can only lower a divergence. What q gives to tokens outside its list is at most so
    many times its last one; of the values allowed, the one nearest to p is taken.
    """
    if not (p and q):
        return 0.0
    other = dict(q)
    both = [(a, other[name]) for name, a in p if name in other]
    found = sum(math.exp(a) * (a - b) for a, b in both)
    left_p = max(_LEAST_REST, 1 - sum(math.exp(a) for a, _ in both))
    left_q = max(_LEAST_REST, 1 - sum(math.exp(b) for _, b in both))
    alone = [math.exp(a) for name, a in p if name not in other]
    alone_p = min(sum(alone), left_p - _LEAST_REST / 2)
    if alone_p <= 0:
        return max(0.0, found + left_p * math.log(left_p / left_q))
    alone_q = min(len(alone) * math.exp(q[-1][1]), left_q * alone_p / left_p)
    others_p, others_q = left_p - alone_p, left_q - alone_q
    rest = alone_p * math.log(alone_p / alone_q) + others_p * math.log(others_p / others_q)
    return max(0.0, found + rest)
