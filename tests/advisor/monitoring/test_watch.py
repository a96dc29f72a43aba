"""What a monitor says, and what it keeps quiet about."""

import random
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from advisor.monitoring.proposal import Tuned
from advisor.monitoring.series import SERIES
from advisor.monitoring.watch import Alert, Watch
from tools.monitor.windows import Window

START = datetime(2026, 11, 23, 10, tzinfo=UTC)
TUNED = Tuned(session="20261123-101500-ab12", input_tokens_mean=460, output_tokens_mean=115,
              requests_running=8)  # fmt: skip


def window(number: int, noise: random.Random, **more: Any) -> Window:
    """An endpoint as it usually is."""

    def about(value: float, cv: float = 0.08) -> float:
        return value * noise.lognormvariate(0, cv)

    usual: dict[str, Any] = {
        "ttft_mean_ms": about(120), "ttft_p95_ms": about(210), "tpot_mean_ms": about(18),
        "tpot_p95_ms": about(25), "requests": 60.0, "requests_per_s": about(4),
        "error_rate": float(noise.random() < 0.01) / 60, "kv_usage": min(1.0, about(0.4)),
        "requests_waiting": float(noise.random() < 0.2), "requests_running": about(8),
        "preemptions_per_s": 0.0, "rss_bytes": 2e9 + noise.gauss(0, 2e6),
        "input_tokens_mean": about(460), "output_tokens_mean": about(115),
        "cost_per_request_usd": about(0.0002),
    }  # fmt: skip
    if number % 4 == 0:
        usual |= {"canary_ok": True, "canary_ttft_ms": about(90), "canary_tpot_ms": about(15)}
    changed = {k: v(usual.get(k)) if callable(v) else v for k, v in more.items()}
    return Window(at=START + timedelta(seconds=15 * number), seconds=15, **(usual | changed))


def alerts(
    watch: Watch, count: int, change: Callable[[int], dict[str, Any]] = lambda _: {}, seed: int = 1
) -> list[Alert]:
    noise = random.Random(seed)
    return [a for n in range(count) for a in watch.feed(window(n, noise, **change(n)))]


def after(start: int, **more: Any) -> Callable[[int], dict[str, Any]]:
    return lambda n: more if n >= start else {}


def metrics(found: Iterable[Alert]) -> set[str]:
    return {alert.metric for alert in found}


def test_a_quiet_day_is_quiet() -> None:
    assert alerts(Watch(15), 5760) == []


@pytest.mark.parametrize(
    ("metric", "worse"),
    [
        ("ttft_mean_ms", lambda v: v * 1.5),
        ("tpot_mean_ms", lambda v: v * 1.4),
        ("error_rate", lambda _: 0.05),
        ("requests_waiting", lambda _: 6.0),
        ("kv_usage", lambda v: min(1.0, v * 2)),
        ("preemptions_per_s", lambda _: 0.4),
        ("cost_per_request_usd", lambda v: v * 1.5),
    ],
)
def test_drift_is_found_once_and_dated(metric: str, worse: Callable[[float], float]) -> None:
    found = alerts(Watch(15), 480, after(400, **{metric: worse}))
    assert metrics(found) == {metric}
    (alert,) = found
    assert alert.kind == "drift"
    assert alert.since
    assert abs((alert.since - START).total_seconds() / 15 - 400) <= 12
    assert "было" in alert.text
    assert alert.propose is None


def test_a_sure_but_small_change_is_not_worth_a_word() -> None:
    steady = lambda n: {"tpot_mean_ms": 18 + 0.01 * (n % 7) + (0.5 if n >= 400 else 0)}  # noqa: E731
    assert alerts(Watch(15), 600, steady) == []


def test_better_is_no_alert() -> None:
    assert alerts(Watch(15), 520, after(400, ttft_mean_ms=lambda v: v / 2)) == []


def test_a_leak_is_told_and_a_filled_cache_is_not() -> None:
    leak = alerts(Watch(15), 900, lambda n: {"rss_bytes": lambda v: v + 1e6 * max(0, n - 300)})
    assert leak
    assert {a.kind for a in leak} == {"leak"}
    assert "утечк" in leak[0].text
    step = alerts(Watch(15), 900, after(300, rss_bytes=lambda v: v + 3e8))
    assert step == []


def test_other_traffic_proposes_a_session_for_it() -> None:
    found = alerts(Watch(15, model="my/model"), 500, after(400, input_tokens_mean=lambda v: v * 4))
    assert metrics(found) == {"input_tokens_mean"}
    assert found[0].propose
    words = found[0].propose.split()
    assert words[:4] == ["advisor", "optimize", "my/model", "--input-tokens"]
    assert 0.9 * int(words[4]) == pytest.approx(4 * 460, rel=0.1), (
        "a session draws 0.9 L on average"
    )
    assert words[-2:] == ["--concurrency", "8"]


def test_traffic_that_never_was_what_was_tuned_for() -> None:
    assert alerts(Watch(15, tuned=TUNED), 300) == []
    (alert,) = alerts(Watch(15, tuned=TUNED.replace(input_tokens_mean=100)), 300)
    assert alert.kind == "workload"
    assert TUNED.session in alert.text
    assert "длина prompt 4" in alert.text


def test_silence_and_return() -> None:
    gone = {name: None for name in Window.model_fields if name not in ("at", "seconds", "up")}
    found = alerts(Watch(15), 20, lambda n: gone | {"up": False} if 5 <= n < 12 else {})
    assert [a.kind for a in found] == ["down", "up"]


def test_a_slow_engine_that_answers_metrics_but_no_requests_is_down() -> None:
    found = alerts(Watch(15), 10, after(5, canary_ok=False))
    assert [a.kind for a in found] == ["down"]
    assert "пробный запрос" in found[0].text


def test_a_canary_that_sings_seldom_is_counted_by_its_songs() -> None:
    """Every fourth window has one; those from the 8th to the 20th fail."""
    found = alerts(Watch(15), 40, lambda n: {"canary_ok": not 8 <= n < 24 if n % 4 == 0 else None})
    assert [(a.kind, (a.at - START).total_seconds() / 15) for a in found] == [
        ("down", 16), ("up", 24),
    ]  # fmt: skip


def test_every_series_is_a_figure_of_a_window() -> None:
    assert {one.metric for one in SERIES} <= set(Window.model_fields)
    assert len({one.metric for one in SERIES}) == len(SERIES)
