"""Predictions obey physics, intervals narrow with trials, and nothing leaks the question's own."""

import math

import pytest

from knowledge.devices import find_device
from knowledge.known_models import require_architecture
from knowledge.prediction import Layout, Load, Observation, Provenance, Query, predict, speed
from knowledge.prediction.model import predict_many

LLAMA = require_architecture("llama-3.1-70b").facts
SMALL = require_architecture("qwen2.5-7b").facts


def query(**changes: object) -> Query:
    asked: dict[str, object] = {
        "facts": LLAMA,
        "model": "Llama-3.1-70B",
        "device": find_device("h100"),
        "load": Load(input_tokens=1024, output_tokens=1024, concurrency=16),
        "weight_dtype": "fp8",
        "layout": Layout(tp=4),
    }
    return Query.model_validate(asked | changes)


def load(**changes: float | None) -> Load:
    asked = {"input_tokens": 1024.0, "output_tokens": 1024.0, "concurrency": 16.0}
    return Load.model_validate(asked | changes)


def test_intervals_hold_their_values() -> None:
    found = predict(query())
    for figure in (found.ttft_ms, found.tpot_ms, found.output_tokens_per_s, found.memory_bytes):
        assert 0 < figure.low <= figure.value <= figure.high


def test_more_streams_give_more_tokens_and_slower_ones() -> None:
    few, many = predict_many([query(load=load(concurrency=4)), query(load=load(concurrency=128))])
    assert many.output_tokens_per_s.value > 2 * few.output_tokens_per_s.value
    assert many.tpot_ms.value > few.tpot_ms.value
    assert many.ttft_ms.value > few.ttft_ms.value


def test_longer_prompts_wait_longer() -> None:
    short, long = predict_many([query(), query(load=load(input_tokens=8192))])
    assert long.ttft_ms.value > 2 * short.ttft_ms.value


def test_decode_is_never_faster_than_the_memory_allows() -> None:
    device = find_device("h100")
    for tp in (1, 2, 4, 8):
        found = predict(query(layout=Layout(tp=tp), load=load(concurrency=1)))
        floor_ms = LLAMA.parameters / tp / device.bandwidth_bytes_per_s * 1e3
        assert found.tpot_ms.high > floor_ms


def test_a_rate_becomes_the_streams_of_littles_law() -> None:
    found = predict(query(load=load(concurrency=None, rate_per_s=1.0)))
    e2e_s = (found.ttft_ms.value + found.tpot_ms.value * 1023) / 1e3
    assert found.concurrency == pytest.approx(e2e_s, rel=0.25)
    assert not found.saturated


def test_a_rate_beyond_any_speed_is_called_so() -> None:
    found = predict(query(load=load(concurrency=None, rate_per_s=5000.0)))
    assert found.saturated


def test_where_a_figure_comes_from() -> None:
    assert predict(query()).speed_provenance is Provenance.MEASURED_ELSEWHERE
    assert predict(query(facts=SMALL)).speed_provenance is Provenance.PREDICTED
    assert predict(query()).memory_provenance is Provenance.COMPUTED


def observation(tpot_ms: float, ttft_ms: float, concurrency: float = 8.0) -> Observation:
    return Observation(
        model="Qwen2.5 7B",
        engine="vllm",
        device=find_device("l40s").name,
        weight_dtype="bfloat16",
        layout=Layout(),
        input_tokens=512,
        output_tokens=256,
        concurrency=concurrency,
        ttft_ms=ttft_ms,
        tpot_ms=tpot_ms,
        source="here",
        reference="испытание 1",
        facts=SMALL,
    )


def asked_l40s(concurrency: float = 16) -> Query:
    return query(
        facts=SMALL, device=find_device("l40s"), layout=Layout(), weight_dtype="bfloat16",
        load=Load(input_tokens=512, output_tokens=256, concurrency=concurrency),
    )  # fmt: skip


def test_own_trials_move_and_narrow_the_prediction() -> None:
    before = predict(asked_l40s())
    seen = [observation(55.0, 400.0, streams) for streams in (4.0, 8.0, 32.0)]
    after = predict(asked_l40s(), seen)
    assert after.speed_provenance is Provenance.MEASURED_HERE
    assert abs(after.tpot_ms.value - 55) < abs(before.tpot_ms.value - 55)
    assert after.tpot_ms.value == pytest.approx(55, rel=0.25)
    assert ratio(after) < ratio(before)
    assert [n.observation.source for n in after.neighbours] == ["here"] * len(after.neighbours)


def ratio(found: object) -> float:
    figure = found.tpot_ms  # type: ignore[attr-defined]
    return math.log(figure.high / figure.low)


def test_rows_of_others_are_quoted_but_not_counted_twice() -> None:
    other = observation(3.0, 10.0).replace(source="elsewhere", reference="somewhere")
    plain, quoted = predict(asked_l40s()), predict(asked_l40s(), [other])
    assert quoted.tpot_ms == plain.tpot_ms
    assert quoted.neighbours[0].observation == other


def test_neighbours_say_in_what_they_differ() -> None:
    seen = observation(20.0, 200.0, 16.0)
    same = predict(asked_l40s(), [seen]).neighbours[0]
    assert same.differs_in == ()
    other = predict(asked_l40s(64), [seen]).neighbours[0]
    assert any("потоков 16" in word for word in other.differs_in)


def test_what_was_never_measured_is_said() -> None:
    assert any("экстраполяция" in note for note in predict(asked_l40s()).notes)
    unknown = predict(query(engine="llama-cpp"))
    assert any("llama-cpp" in note for note in unknown.notes)


def test_a_model_that_cannot_fit() -> None:
    found = predict(query(weight_dtype="bfloat16", layout=Layout(tp=1)))
    assert not found.fits
    assert found.max_concurrency.value == 0
    assert found.saturated


def test_what_questions_share_changes_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "_among_known", {})
    asked = [query(), query(facts=SMALL)]
    before = [predict(one) for one in asked]
    speed.prepare()
    for old, one in zip(before, asked, strict=True):
        new = predict(one)
        assert new.tpot_ms.value == pytest.approx(old.tpot_ms.value, rel=1e-4)
        assert new.ttft_ms.high == pytest.approx(old.ttft_ms.high, rel=1e-4)
