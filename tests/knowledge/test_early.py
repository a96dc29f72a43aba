"""A round is given up only where the rest of it could not have changed the answer."""

import random

import pytest

from knowledge.measure import out_of_reach
from knowledge.types import Metric, RequestSample

STREAMS = 4
RATE = 25.0
"""Tokens per second of one stream."""


def answered(seed: int, until_s: float, *, spread: float = 0.1) -> list[RequestSample]:
    """A closed loop seen at `until_s`: what is still under way is not among the samples."""
    rng, found = random.Random(seed), []
    for stream in range(STREAMS):
        at = 0.0
        while at < until_s:
            tokens = rng.randint(10, 60)
            step = 1 / (RATE * rng.uniform(1 - spread, 1 + spread))
            first, last = at + 2 * step, at + (tokens + 1) * step
            if last <= until_s:
                found.append(RequestSample(
                    index=len(found), round=0, stream=stream, intended_s=at, sent_s=at,
                    first_token_s=first, last_token_s=last, end_s=last, asked_input_tokens=8,
                    asked_output_tokens=tokens, output_tokens=tokens,
                ))  # fmt: skip
            at = last
    return sorted(found, key=lambda sample: sample.intended_s)


TRUE_RATE = STREAMS * RATE * 35 / 36
TPOT_MS, E2E_MS = 1000 / RATE, 1000 * 36 / RATE


@pytest.mark.parametrize(
    ("metric", "bar"),
    [
        (Metric.OUTPUT_TOKENS_PER_S, {"at_least": 1.5 * TRUE_RATE}),
        (Metric.TPOT_P50_MS, {"at_most": TPOT_MS / 1.5}),
        (Metric.E2E_P50_MS, {"at_most": E2E_MS / 4}),
    ],
)
def test_a_clear_loser_is_given_up(metric, bar):
    lost = [out_of_reach(answered(s, 30.0), metric, streams=STREAMS, **bar) for s in range(20)]
    assert all(lost)


@pytest.mark.parametrize("share", [1.0, 0.97])
@pytest.mark.parametrize(
    ("metric", "true"),
    [
        (Metric.OUTPUT_TOKENS_PER_S, TRUE_RATE),
        (Metric.TPOT_P50_MS, TPOT_MS),
        (Metric.E2E_P50_MS, E2E_MS),
    ],
)
def test_what_is_as_good_as_the_bar_or_nearly_is_measured_to_its_end(metric, true, share):
    """Looked at again and again, as a round is, also while long answers are still missing."""
    bar = {"at_least": true / share} if metric.higher_is_better else {"at_most": true * share}
    for seed in range(60):
        for until_s in (8.0, 12.0, 20.0, 30.0):
            seen = answered(seed, until_s)
            assert not out_of_reach(seen, metric, streams=STREAMS, **bar)


def test_too_few_answers_say_nothing():
    seen = answered(0, 5.0)
    assert seen
    assert not out_of_reach(seen, Metric.OUTPUT_TOKENS_PER_S, streams=STREAMS, at_least=1e9)
    assert not out_of_reach([], Metric.OUTPUT_TOKENS_PER_S, streams=STREAMS, at_least=1e9)


@pytest.mark.parametrize("metric", [Metric.TTFT_P95_MS, Metric.REQUESTS_PER_S])
def test_a_metric_that_half_a_round_can_not_tell_is_never_given_up(metric):
    seen = answered(0, 30.0)
    assert not out_of_reach(seen, metric, streams=STREAMS, at_least=1e9, at_most=1e-9)


def test_answers_that_failed_are_none():
    broken = [s.model_copy(update={"error": "http 500"}) for s in answered(0, 30.0)]
    assert not out_of_reach(broken, Metric.OUTPUT_TOKENS_PER_S, streams=STREAMS, at_least=1e9)


def test_single_tokens_have_no_pace_to_judge():
    single = [s.model_copy(update={"output_tokens": 1}) for s in answered(0, 30.0)]
    assert not out_of_reach(single, Metric.TPOT_P50_MS, streams=STREAMS, at_most=1e-9)
