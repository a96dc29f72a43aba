import math

import numpy as np
import pytest

from knowledge.statistics.fidelity import QUANTIZED, SAME_WEIGHTS, compare_quality, divergence
from knowledge.types import QualityResult

VOCABULARY = 30


def scored(logits, tokens, *, top=4, ids=None) -> QualityResult:
    """What a server whose model has these logits would return for the text."""
    logprobs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    chosen = np.take_along_axis(logprobs, tokens[..., None], -1)[..., 0]
    best = np.argsort(-logprobs, -1)[..., :top]
    tops = tuple(
        tuple(
            tuple((str(t), float(row[t])) for t in order) for order, row in zip(*chunk, strict=True)
        )
        for chunk in zip(best, logprobs, strict=True)
    )
    return QualityResult(
        tokens=tokens.size,
        mean_logprob=float(chosen.mean()),
        perplexity=math.exp(-float(chosen.mean())),
        chunk_logprobs=tuple(map(tuple, chosen.tolist())),
        text_sha256="text",
        seconds=1,
        chunk_ids=ids or tuple(f"c{i}" for i in range(len(tokens))),
        chunk_top=tops if top else (),
    )


def model(chunks=16, length=60, seed=0):
    """Logits of a model, and a text drawn from it."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2.5, (chunks, length, VOCABULARY))
    odds = np.exp(logits)
    odds /= odds.sum(-1, keepdims=True)
    tokens = (rng.random((chunks, length, 1)) > odds.cumsum(-1)).sum(-1).clip(0, VOCABULARY - 1)
    return logits, tokens


def judged(change, limits=QUANTIZED, margin=0.03, **more):
    logits, tokens = model()
    rng = np.random.default_rng(9)
    reference, candidate = scored(logits, tokens), scored(change(logits, rng), tokens)
    return compare_quality(reference, candidate, margin=margin, limits=limits, seed=0, **more)


def test_the_same_predictions_are_the_same():
    verdict = judged(lambda logits, rng: logits, SAME_WEIGHTS)
    assert verdict.outcome == "non-inferior"
    assert verdict.kl_nats.value == 0
    assert verdict.flips.value == 0
    assert verdict.power == 1


def test_rounding_of_16_bits_is_no_other_model():
    verdict = judged(lambda logits, rng: logits + rng.normal(0, 0.02, logits.shape), SAME_WEIGHTS)
    assert verdict.outcome == "non-inferior"


def test_predictions_that_moved_without_a_mean_loss_are_seen():
    """Sharper here, blunter there: the mean hardly moves, the distribution does."""

    def change(logits, rng):
        return logits + rng.normal(0, 0.7, logits.shape)

    verdict = judged(change, margin=10.0)
    assert verdict.outcome == "worse"
    assert any("KL" in finding for finding in verdict.findings)


def test_one_ruined_piece_among_good_ones_is_named():
    def change(logits, rng):
        ruined = logits.copy()
        ruined[3] = rng.normal(0, 2.5, logits[3].shape)
        return ruined

    verdict = judged(change)
    assert verdict.outcome == "worse"
    assert verdict.worst_chunk_nats > 1
    assert any("отрывок" in finding for finding in verdict.findings)


def test_near_a_limit_it_is_unknown_and_more_text_decides():
    def change(logits, rng):
        return logits + rng.normal(0, 0.12, logits.shape)

    logits, tokens = model(chunks=64)
    candidate = change(logits, np.random.default_rng(9))
    near = float(judged(change).loss_nats_per_token.high)

    def verdict(count):
        return compare_quality(
            scored(logits[:count], tokens[:count]),
            scored(candidate[:count], tokens[:count]),
            margin=near,
            limits=QUANTIZED,
            seed=0,
        )

    assert verdict(4).outcome == "unknown"
    assert verdict(64).power > verdict(4).power
    assert verdict(64).outcome == "non-inferior"


def test_more_looks_make_each_stricter():
    def change(logits, rng):
        return logits + rng.normal(0, 0.1, logits.shape)

    one, three = judged(change), judged(change, looks=3)
    assert three.loss_nats_per_token.high > one.loss_nats_per_token.high


def test_pieces_are_paired_by_their_text_and_not_by_their_place():
    logits, tokens = model(chunks=4)
    reference = scored(logits, tokens)
    turned = scored(logits[::-1], tokens[::-1], ids=("c3", "c2", "c1", "c0"))
    verdict = compare_quality(reference, turned, margin=0.01, limits=SAME_WEIGHTS, seed=0)
    assert verdict.loss_nats_per_token.value == 0
    fewer = scored(logits[1:3], tokens[1:3], ids=("c1", "c2"))
    verdict = compare_quality(reference, fewer, margin=0.01, limits=SAME_WEIGHTS, seed=0)
    assert verdict.loss_nats_per_token.n == 2


def test_other_texts_can_not_be_compared():
    logits, tokens = model(chunks=2)
    with pytest.raises(ValueError, match="different texts"):
        compare_quality(
            scored(logits, tokens), scored(logits, tokens, ids=("x", "y")), margin=0.01,
            limits=QUANTIZED, seed=0,
        )  # fmt: skip


def test_without_likely_tokens_the_loss_still_decides():
    logits, tokens = model()
    reference = scored(logits, tokens, top=0)
    worse = scored(logits * 0.5, tokens, top=0)
    verdict = compare_quality(reference, worse, margin=0.03, limits=QUANTIZED, seed=0)
    assert verdict.kl_nats is None
    assert verdict.outcome == "worse"


def test_the_divergence_is_a_lower_bound_of_the_whole():
    rng = np.random.default_rng(3)
    for _ in range(50):
        p, q = (np.exp(rng.normal(0, 2, VOCABULARY)) for _ in range(2))
        p, q = p / p.sum(), q / q.sum()
        whole = float((p * np.log(p / q)).sum())

        def likeliest(odds, n):
            order = np.argsort(-odds)[:n]
            return tuple((str(i), math.log(odds[i])) for i in order)

        some = divergence(likeliest(p, 5), likeliest(q, 5))
        assert 0 <= some <= whole + 1e-9
        every = divergence(likeliest(p, VOCABULARY), likeliest(q, VOCABULARY))
        assert every == pytest.approx(whole, rel=0.05, abs=1e-3)
