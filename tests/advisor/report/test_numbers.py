import pytest

from advisor.report import labels, numbers
from knowledge.types import Estimate, Interval, Lengths, Metric, Slo


def plainly(text: str) -> str:
    return text.replace(numbers.THIN, "_").replace(numbers.NBSP, " ")


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (1234.5, 1, "1_234,5"),
        (1234567, 0, "1_234_567"),
        (-0.5, 1, "−0,5"),
        (-0.001, 1, "0,0"),
        (0, None, "0"),
        (0.4273, None, "0,427"),
        (1.846, None, "1,85"),
        (36.04, None, "36,0"),
        (231.44, None, "231,4"),
        (15668.4, None, "15_668"),
    ],
)
def test_number(value: float, decimals: int | None, text: str) -> None:
    assert plainly(numbers.number(value, decimals)) == text


def test_an_estimate_has_the_decimals_of_its_value() -> None:
    figure = Estimate(value=231.4, low=225.04, high=1238.13, n=10)
    assert plainly(numbers.estimate(figure, "ток/с")) == "231,4 [225,0; 1_238,1] ток/с"


def test_ratios() -> None:
    assert plainly(numbers.ratio(Estimate(value=1.834, low=1.7, high=1.95, n=3))) == (
        "×1,83 [1,70; 1,95]"
    )
    shaky = Estimate(value=5.651, low=1.013, high=5_653_581.0, n=3)
    assert plainly(numbers.ratio(shaky)) == "×5,65 [1,01; ∞)"
    assert plainly(numbers.ratio_interval(Interval(low=1.2, high=1.9))) == "×1,20…1,90"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(45.2, "45 с"), (60, "1 мин"), (725, "12 мин 5 с"), (7800, "2 ч 10 мин"), (3600, "1 ч")],
)
def test_duration(seconds: float, text: str) -> None:
    assert plainly(numbers.duration(seconds)) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (1, "1 раз"),
        (3, "3 раза"),
        (5, "5 разов"),
        (11, "11 разов"),
        (22, "22 раза"),
        (0, "0 разов"),
    ],
)
def test_plural(count: int, text: str) -> None:
    assert plainly(numbers.plural(count, "раз", "раза", "разов")) == text


@pytest.mark.parametrize(("value", "text"), [(60, "60"), (2.5, "2,5"), (1000, "1_000"), (0, "0")])
def test_plain(value: float, text: str) -> None:
    assert plainly(numbers.plain(value)) == text


@pytest.mark.parametrize("metric", list(Metric))
def test_every_metric_has_a_name_and_a_unit(metric: Metric) -> None:
    assert "_" not in labels.metric(metric)
    assert bool(labels.unit(metric)) == (metric != Metric.ERROR_RATE)


def test_slo_and_lengths() -> None:
    promise = Slo(metric=Metric.TTFT_P95_MS, limit=200)
    assert plainly(labels.slo(promise)) == "TTFT p95 ≤ 200 мс"
    assert plainly(labels.lengths(Lengths(low=102, high=154))) == "от 102 до 154 токенов"
    assert plainly(labels.lengths(Lengths(low=64, high=64))) == "64 токена"
