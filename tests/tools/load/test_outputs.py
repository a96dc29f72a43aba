"""Every form is written from the same run, and says the same."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from knowledge.errors import BadInput
from knowledge.measure import summarize
from knowledge.types import ClosedLoop, Metric, RequestSample, Workload
from tools.load.health import ClientHealth
from tools.load.outputs import Point, Run, load, names


def sample(index: int, error: str | None = None) -> RequestSample:
    """TTFT 50 ms, then 9 gaps of 10 ms."""
    sent = 0.2 * index
    times = tuple(sent + 0.05 + 0.01 * i for i in range(10))
    good = error is None
    return RequestSample(
        index=index, round=0, stream=0, intended_s=sent, sent_s=sent,
        first_token_s=times[0] if good else None, last_token_s=times[-1] if good else None,
        end_s=times[-1], asked_input_tokens=7, asked_output_tokens=10, input_tokens=8,
        output_tokens=10 if good else None, chunk_times_s=times if good else (),
        chunk_tokens=(1,) * 10 if good else (), error=error,
    )  # fmt: skip


@pytest.fixture
def run(workload: Callable[..., Workload]) -> Run:
    points = []
    for streams in (1, 4):
        samples = (*(sample(i) for i in range(20)), sample(20, "http-500"), sample(21, "cut"))
        points.append(
            Point(
                workload(name="<b>", arrival=ClosedLoop(concurrency=streams)), 5.0,
                summarize(samples, round_s=5, slos=(), seed=0), samples,
                ClientHealth(cpu_share=0.95, kernel_stamped=1.0),
            )
        )  # fmt: skip
    return Run("http://h", "m<script>", "chat", datetime(2026, 11, 1, tzinfo=UTC), 0, tuple(points))


def test_vllms_form(run: Run) -> None:
    found = json.loads(load("vllm").render(run))
    assert (found["completed"], found["failed"], found["num_prompts"]) == (20, 2, 22)
    assert found["max_concurrency"] == 4
    assert found["total_output_tokens"] == 200
    assert found["median_ttft_ms"] == pytest.approx(50)
    assert found["mean_itl_ms"] == pytest.approx(10)
    assert found["p99_tpot_ms"] == pytest.approx(10)
    assert found["median_e2el_ms"] == pytest.approx(140)
    assert len(found["itls"][0]) == 9
    assert found["ttfts"][0] == pytest.approx(0.05)


def test_guidellms_form(run: Run) -> None:
    found = json.loads(load("guidellm").render(run))
    assert found["metadata"]["version"] == 2
    first, second = found["benchmarks"]
    assert second["config"]["strategy"] == {"type_": "concurrent", "streams": 4}
    totals = first["metrics"]["request_totals"]
    assert totals == {"successful": 20, "incomplete": 1, "errored": 1, "total": 22}
    ttft = first["metrics"]["time_to_first_token_ms"]["successful"]
    assert ttft["percentiles"]["p99"] == pytest.approx(50)
    assert ttft["count"] == 20
    tpot = first["metrics"]["time_per_output_token_ms"]["successful"]["mean"]
    assert tpot == pytest.approx(14)  # theirs counts TTFT in
    assert first["metrics"]["inter_token_latency_ms"]["successful"]["mean"] == pytest.approx(10)


def test_the_page_stands_alone_and_repeats_nothing_as_markup(run: Run) -> None:
    page = load("html").render(run)
    assert "<script" not in page
    assert "http://" not in page.replace("http://h", "")
    assert "Ядро клиента" in page
    assert page.count("<svg") == 3
    parser = HTMLParser()
    parser.feed(page)
    parser.close()
    assert Metric.TTFT_P95_MS.value in page


def test_forms_are_found_by_name() -> None:
    assert set(names()) == {"guidellm", "html", "vllm"}
    with pytest.raises(BadInput, match="Есть: guidellm"):
        load("xml")
