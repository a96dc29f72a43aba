"""From two scrapes to the figures of a window; every dialect by the same contract."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.errors import BadInput
from tools.home import Home
from tools.monitor.dialect import Dialect, dialects, recognize
from tools.monitor.exposition import Scrape, grown, spread
from tools.monitor.history import History, path_of
from tools.monitor.machine import is_here
from tools.monitor.windows import Window, served

HISTOGRAMS = ("ttft", "tpot", "e2e", "input_tokens", "output_tokens")
GAUGES = ("running", "waiting", "kv_usage")


def histogram(name: str, values: list[float], bounds: tuple[float, ...]) -> str:
    lines = [f"# TYPE {name} histogram"]
    for bound in (*bounds, math.inf):
        count = sum(v <= bound for v in values)
        lines.append(f'{name}_bucket{{le="{"+Inf" if math.isinf(bound) else bound}"}} {count}')
    return "\n".join([*lines, f"{name}_sum {sum(values)}", f"{name}_count {len(values)}", ""])


def exposition(dialect: Dialect, values: list[float], done: int, failed: int) -> str:
    """A server of this dialect that has taken these values into every histogram."""
    text = ""
    for field in HISTOGRAMS:
        if name := getattr(dialect, field):
            text += histogram(name, values, (0.5, 1, 2, 4))
    for field in GAUGES:
        if name := getattr(dialect, field):
            text += f"# TYPE {name} gauge\n{name} 0.5\n"
    for name in (dialect.preemptions, dialect.generated):
        if name:
            text += f"# TYPE {name} counter\n{name} {done}\n"
    counted, bad = dialect.finished, dialect.failed
    if counted and bad and bad.label:
        text += (
            f'# TYPE {counted.name} counter\n{counted.name}{{{bad.label}="stop"}} {done - failed}\n'
        )
        text += f'{counted.name}{{{bad.label}="{bad.values[0]}"}} {failed}\n'
    elif counted and bad:
        text += f"# TYPE {counted.name} counter\n{counted.name} {done}\n"
        text += f"# TYPE {bad.name} counter\n{bad.name} {failed}\n"
    return text


@pytest.mark.parametrize("name", sorted(dialects()))
def test_every_dialect_is_recognized_and_read(name: str) -> None:
    dialect = dialects()[name]
    before = Scrape.parse(exposition(dialect, [1.0], 10, 0))
    after = Scrape.parse(exposition(dialect, [1.0, 3.0, 3.0], 30, 5))
    assert recognize(after) == name
    seen = served(before, after, dialect, 10.0, usd_per_hour=3.6)
    if dialect.ttft:
        assert seen["ttft_mean_ms"] == pytest.approx(3000)
        assert 2000 < (seen["ttft_p95_ms"] or 0) <= 4000
    if dialect.finished:
        assert seen["requests_per_s"] == pytest.approx(2)
        assert seen["error_rate"] == pytest.approx(0.25)
        assert seen["cost_per_request_usd"] == pytest.approx(0.01 / 15)
    for field, figure in (("running", "requests_running"), ("waiting", "requests_waiting"),
                          ("kv_usage", "kv_usage")):  # fmt: skip
        assert seen[figure] == (0.5 if getattr(dialect, field) else None)
    Window(at=datetime.now(UTC), seconds=10, **{k: v for k, v in seen.items() if v is not None})


def test_a_restarted_server_gives_no_figures_rather_than_wrong_ones() -> None:
    dialect = dialects()["vllm"]
    before = Scrape.parse(exposition(dialect, [1.0] * 9, 90, 3))
    after = Scrape.parse(exposition(dialect, [3.0], 10, 0))
    seen = served(before, after, dialect, 10.0, None)
    assert seen["ttft_mean_ms"] is None
    assert seen["requests"] is None
    assert seen["cost_per_request_usd"] is None
    assert seen["kv_usage"] == 0.5


def test_series_of_replicas_are_summed_and_the_fullest_cache_counts() -> None:
    text = 'c_total{r="a"} 1\nc_total{r="b"} 2\nk{r="a"} 0.2\nk{r="b"} 0.9\n'
    scrape = Scrape.parse(text)
    assert scrape.total("c_total") == 3
    assert scrape.total("c_total", "r", ("b",)) == 2
    assert scrape.highest("k") == 0.9
    assert grown(scrape, scrape, "nothing") is None


@given(st.lists(st.floats(0.01, 9), min_size=5, max_size=200))
def test_quantiles_lie_in_the_bucket_of_the_true_one(values: list[float]) -> None:
    bounds = (0.5, 1.0, 2.0, 4.0, 8.0)
    empty, full = (Scrape.parse(histogram("h", v, bounds)) for v in ([], values))
    seen = spread(empty, full, "h")
    assert seen
    assert seen.mean == pytest.approx(sum(values) / len(values))
    true = sorted(values)[math.ceil(0.5 * len(values)) - 1]
    low = max((b for b in (0.0, *bounds) if b < true), default=0.0)
    high = min((b for b in bounds if b >= true), default=8.0)
    assert low <= seen.quantile(0.5) <= high


@pytest.mark.parametrize("text", ["<html>no</html>", 'a{b="c} 1', "a b c d"])
def test_what_is_no_exposition_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput, match="Prometheus"):
        Scrape.parse(text)


def test_history_keeps_windows_over_a_restart(home: Home) -> None:
    path = path_of(home, "http://127.0.0.1:8000")
    assert path != path_of(home, "http://127.0.0.1:8001")
    at = datetime(2026, 11, 23, 10, tzinfo=UTC)
    windows = [Window(at=at + timedelta(seconds=15 * n), seconds=15, up=n != 2,
                      ttft_mean_ms=100.0 + n, canary_ok=True) for n in range(5)]  # fmt: skip
    with History.open(path, "test") as history:
        for window in windows:
            history.add(window)
        history.add_alert(at.replace(tzinfo=None), "drift", "ttft_mean_ms", "текст", "{}")
    with History.open(path, "test") as history:
        assert history.windows(3) == windows[2:]
        assert history.alerts() == [("drift", "ttft_mean_ms", "текст")]


def test_only_this_machine_is_looked_into() -> None:
    assert is_here("http://127.0.0.1:1")
    assert is_here("http://[::1]:1")
    assert is_here("http://localhost:1")
    assert not is_here("http://10.0.0.1:1")
    assert not is_here("http://example.org")
