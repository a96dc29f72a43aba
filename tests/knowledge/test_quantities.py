import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.errors import BadInput
from knowledge.quantities import (
    format_bytes,
    format_duration,
    format_estimate,
    format_number,
    format_slo,
    parse_bytes,
    parse_duration,
    parse_slo,
)
from knowledge.types import Estimate, Metric, Slo


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("6m", 360), ("90s", 90), ("1h30m", 5400), ("1.5h", 5400), (" 250 ms ", 0.25), ("2min", 120)],
)
def test_durations(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "6", "m", "6 parsecs", "-6m", "0s", "1h later", "6m!"])
def test_what_is_no_duration(text):
    with pytest.raises(BadInput, match="длительность"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [("4GiB", 4 * 2**30), ("500 MB", 500_000_000), ("1024", 1024), ("2G", 2**31), ("1.5KiB", 1536)],
)
def test_sizes(text, count):
    assert parse_bytes(text) == count


@pytest.mark.parametrize("text", ["", "GiB", "4 gigs", "-1GiB"])
def test_what_is_no_size(text):
    with pytest.raises(BadInput, match="размер"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("text", "metric", "limit"),
    [
        ("ttft_p95=200ms", Metric.TTFT_P95_MS, 200),
        ("tpot_p95<=0.06s", Metric.TPOT_P95_MS, 60),
        ("E2E_P99_MS = 3s", Metric.E2E_P99_MS, 3000),
        ("throughput>=150", Metric.OUTPUT_TOKENS_PER_S, 150),
        ("requests_per_s=2/s", Metric.REQUESTS_PER_S, 2),
        ("error_rate=1%", Metric.ERROR_RATE, 0.01),
        ("error_rate=0", Metric.ERROR_RATE, 0),
    ],
)
def test_slos(text, metric, limit):
    slo = parse_slo(text)
    assert slo.metric is metric
    assert slo.limit == pytest.approx(limit)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ttft_p59=200ms", "ttft_p95"),
        ("ttft=200ms", "ttft_p50"),
        ("latency", "ttft_p95=200ms"),
        ("ttft_p95=200", "единица"),
        ("ttft_p95=20%", "единица"),
        ("throughput=5ms", "единица"),
        ("ttft_p95>=200ms", "меньше"),
        ("throughput<=5", "больше"),
        ("ttft_p95=0ms", "больше нуля"),
    ],
)
def test_a_wrong_slo_says_how_to_mend_it(text, says):
    with pytest.raises(BadInput) as caught:
        parse_slo(text)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234.5, "1\u202f234"),
        (1234567, "1\u202f234\u202f567"),
        (56.78, "56,8"),
        (1.234, "1,23"),
        (0.0123, "0,0123"),
        (0, "0"),
        (-0.00001, "0,0000"),
    ],
)
def test_numbers_as_russian_readers_write_them(value, text):
    assert format_number(value) == text


def test_other_formats():
    assert format_number(1234.5, 1) == "1\u202f234,5"
    assert format_estimate(Estimate(value=201, low=195, high=208, n=9)) == "201 (195…208)"
    assert [format_bytes(n) for n in (512, 1536, 3.5 * 2**30)] == ["512 B", "1,5 KiB", "3,5 GiB"]
    durations = [format_duration(s) for s in (1.3, 45, 60, 365, 3600, 5400)]
    assert durations == ["1,3 с", "45 с", "1 мин", "6 мин 5 с", "1 ч", "1 ч 30 мин"]
    assert format_slo(Slo(metric=Metric.TTFT_P95_MS, limit=200)) == "ttft_p95 ≤ 200 ms"
    assert (
        format_slo(Slo(metric=Metric.OUTPUT_TOKENS_PER_S, limit=9)) == "output_tokens_per_s ≥ 9,00"
    )


@given(st.sampled_from([m for m in Metric if m.value.endswith("_ms")]), st.integers(1, 10**6))
def test_every_latency_metric_can_be_promised(metric, limit):
    assert parse_slo(f"{metric.value}={limit}ms") == Slo(metric=metric, limit=limit)
