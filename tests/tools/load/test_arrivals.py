"""Schedules have the rate and the shape that were asked for."""

import random
import statistics
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.types import (
    Constant,
    Conversation,
    Diurnal,
    Gamma,
    Lengths,
    OpenLoop,
    Phase,
    Phased,
    Poisson,
    Steps,
    Workload,
)
from tools.load.arrivals import schedule
from tools.load.lengths import draw
from tools.load.prompts import PromptSource
from tools.load.tokenizer import Tokenizer

Make = Callable[..., Workload]


def moments(arrival: OpenLoop, duration_s: float = 100, seed: int = 1) -> list[float]:
    return [due.at_s for due in schedule(arrival, duration_s, random.Random(seed))]


def gap_cv(times: list[float]) -> float:
    gaps = [b - a for a, b in pairwise(times)]
    return statistics.pstdev(gaps) / statistics.fmean(gaps)


@pytest.mark.parametrize(
    ("arrival", "cv"),
    [
        (Constant(rate_per_s=50), 0.0),
        (Poisson(rate_per_s=50), 1.0),
        (Gamma(rate_per_s=50, burstiness=0.25), 2.0),
        (Gamma(rate_per_s=50, burstiness=4), 0.5),
    ],
)
def test_rate_and_burstiness_are_what_was_asked(arrival: OpenLoop, cv: float) -> None:
    times = moments(arrival)
    assert len(times) in (5000, 5001)
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] < 100
    assert gap_cv(times) == pytest.approx(cv, abs=0.1)


def test_a_rate_below_one_in_a_round_still_comes_as_often_as_it_should() -> None:
    counts = [len(moments(Poisson(rate_per_s=0.1), 5, seed)) for seed in range(400)]
    assert statistics.fmean(counts) == pytest.approx(0.5, abs=0.1)


def test_steps_change_the_rate_and_may_be_silent() -> None:
    times = moments(Steps(rates_per_s=(10, 0, 50)), 30)
    counts = [sum(a <= t < a + 10 for t in times) for a in (0, 10, 20)]
    assert counts[1] == 0
    assert counts[0] + counts[2] in (600, 601)
    assert counts[0] == pytest.approx(100, abs=40)


def test_a_day_begins_at_night() -> None:
    times = moments(Diurnal(rate_per_s=100, swing=0.9), 40)
    counts = [sum(a <= t < a + 10 for t in times) for a in (0, 10, 20, 30)]
    assert counts[0] + counts[3] < 0.6 * (counts[1] + counts[2])
    assert len(times) in (4000, 4001)


def test_phases_follow_each_other_each_with_its_cap() -> None:
    arrival = Phased(
        phases=(
            Phase(share=0.25, burst=64),
            Phase(share=0.75, arrival=Constant(rate_per_s=16, max_in_flight=16)),
        )
    )
    due = schedule(arrival, 20, random.Random(1))
    assert [d.at_s for d in due[:64]] == [0.0] * 64
    assert all(d.max_in_flight is None for d in due[:64])
    assert len(due) - 64 in (240, 241)
    assert due[64].at_s == pytest.approx(5)
    assert {d.max_in_flight for d in due[64:]} == {16}


@given(st.integers(0, 1000))
def test_the_same_seed_is_the_same_schedule(seed: int) -> None:
    arrival = Gamma(rate_per_s=20, burstiness=0.5)
    assert moments(arrival, 5, seed) == moments(arrival, 5, seed)
    assert moments(arrival, 5, seed) != moments(arrival, 5, seed + 1)


def test_lengths_follow_their_distribution_within_the_ends() -> None:
    rng = random.Random(1)
    shaped = Lengths(low=10, high=4000, shape="lognormal", typical=300, spread=0.6)
    drawn = [draw(shaped, rng) for _ in range(4000)]
    assert min(drawn) >= 10
    assert max(drawn) <= 4000
    assert statistics.median(drawn) == pytest.approx(300, rel=0.05)
    assert statistics.fmean(drawn) > 330  # a long tail
    normal = Lengths(low=50, high=150, shape="normal")
    assert statistics.fmean(draw(normal, rng) for _ in range(4000)) == pytest.approx(100, rel=0.02)


def test_values_without_the_later_fields_keep_the_ids_they_had(workload: Make) -> None:
    plain = workload().model_dump(mode="json")
    assert "conversation" not in plain
    assert set(plain["input_tokens"]) == {"low", "high"}
    talk = Conversation(turns=Lengths(low=2, high=2), added_tokens=Lengths(low=5, high=5))
    changed = workload(conversation=talk)
    assert Workload.model_validate(changed.model_dump(mode="json")) == changed
    assert changed.content_id() != workload().content_id()


def test_a_prefix_is_shared_by_the_asked_share_of_requests(
    workload: Make, tokenizer: Tokenizer
) -> None:
    asked = workload(
        input_tokens=Lengths(low=60, high=60), shared_prefix_tokens=40,
        shared_prefix_share=0.5, shared_prefixes=3,
    )  # fmt: skip
    source = PromptSource(asked, tokenizer, 1)
    starts = [source.next().text[:60] for _ in range(200)]
    repeated = {s for s in starts if starts.count(s) > 1}
    assert len(repeated) == 3
    assert 70 < sum(s in repeated for s in starts) < 130
