import pytest

from knowledge.errors import BadWorkload
from knowledge.presets import PRESETS, preset
from knowledge.types import ClosedLoop


def test_the_names_users_may_give():
    assert set(PRESETS) == {
        *("demo", "chat", "rag", "code", "batch", "agent", "multi-turn", "agent-loop"),
        *(f"inferencebench-{letter}" for letter in "abcd"),
    }


@pytest.mark.parametrize("workload", PRESETS.values(), ids=lambda workload: workload.name)
def test_a_shared_prefix_leaves_room_for_a_prompt(workload):
    assert workload.shared_prefix_tokens < workload.input_tokens.low
    assert workload.note


def test_demo_is_64_in_32_out_within_20_percent():
    demo = preset("demo")
    assert demo.arrival == ClosedLoop(concurrency=8)
    assert (demo.input_tokens.mean, demo.output_tokens.mean) == (64, 32)
    assert demo.input_tokens.low == pytest.approx(64 * 0.8, abs=1)
    assert demo.output_tokens.high == pytest.approx(32 * 1.2, abs=1)


def test_inferencebench_draws_from_four_fifths_up():
    workload = preset("InferenceBench-A")
    assert (workload.input_tokens.low, workload.input_tokens.high) == (6554, 8192)
    assert (workload.output_tokens.low, workload.output_tokens.high) == (819, 1024)
    assert workload.ignore_eos


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(BadWorkload, match="chat"):
        preset("chatt")
