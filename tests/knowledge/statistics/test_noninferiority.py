import numpy as np
import pytest

from knowledge.statistics import non_inferior


def chunks(rng, count=24, tokens=240):
    return rng.normal(-2.5, 1.5, (count, tokens))


def test_equal_scores_lose_nothing():
    reference = chunks(np.random.default_rng(0))
    verdict = non_inferior(reference.tolist(), reference.tolist(), 0.02, seed=1)
    assert verdict.non_inferior
    assert verdict.loss_nats_per_token.value == 0
    assert verdict.margin == 0.02


def decisions(loss, repeats=100):
    """Share of verdicts "non-inferior" when chunks lose `loss` nats with a spread between them."""
    rng = np.random.default_rng(5)
    yes, hit = 0, 0
    for repeat in range(repeats):
        reference = chunks(rng, tokens=60)
        shift = rng.normal(loss, 0.02, (24, 1))
        candidate = reference - shift - rng.normal(0, 0.05, reference.shape)
        verdict = non_inferior(reference.tolist(), candidate.tolist(), 0.02, seed=repeat)
        yes += verdict.non_inferior
        hit += verdict.loss_nats_per_token.low <= loss <= verdict.loss_nats_per_token.high
    return yes / repeats, hit / repeats


def test_a_loss_at_the_margin_passes_rarely_and_a_small_one_mostly():
    at_margin, hit = decisions(0.02)
    assert at_margin <= 0.06
    assert hit >= 0.9
    assert decisions(0.0)[0] >= 0.95
    assert decisions(0.05)[0] == 0


def test_the_mean_is_over_tokens_not_over_chunks():
    verdict = non_inferior([[-1.0], [-1.0] * 9], [[-2.0], [-1.0] * 9], 0.02, seed=0)
    assert verdict.loss_nats_per_token.value == pytest.approx(0.1)


def test_one_chunk_convinces_nobody():
    assert not non_inferior([[-1.0, -2.0]], [[-1.0, -2.0]], 0.5, seed=0).non_inferior


@pytest.mark.parametrize("candidate", [[[-1.0]], [[-1.0, -1.0, -1.0]], []])
def test_other_tokens_cannot_be_paired(candidate):
    with pytest.raises(ValueError, match="different tokens"):
        non_inferior([[-1.0, -1.0]], candidate, 0.02, seed=0)
