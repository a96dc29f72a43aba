import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.cost import (
    Request,
    SpotPlan,
    break_even,
    payback,
    route,
    simulate_spot,
    study,
    token_cost,
)
from knowledge.errors import BadInput, BadWorkload
from knowledge.prediction import Figure
from knowledge.types import Interval


def sure(value: float) -> Figure:
    return Figure(value=value, low=value, high=value)


def test_a_million_tokens_on_paper() -> None:
    # 2 GPUs at 3.6 USD/h are 0.002 USD a second; at 1,000 tok/s a million takes 1,000 s.
    found = token_cost(3.6, 2, sure(1000), input_tokens=300, output_tokens=100, prefill_share=0.25)
    assert found.output_usd.value == pytest.approx(2.0)
    assert found.output_part_usd.value == pytest.approx(1.5)
    assert found.input_part_usd.value == pytest.approx(0.5 / 3)
    assert found.blended_usd.value == pytest.approx(0.5)


def test_a_half_loaded_server_costs_twice_as_much_a_token() -> None:
    full, half = (
        token_cost(1, 1, sure(10), input_tokens=1, output_tokens=1, prefill_share=0, load_share=s)
        for s in (1.0, 0.5)
    )
    assert half.output_usd.value == pytest.approx(2 * full.output_usd.value)


@given(
    share=st.floats(0, 1), speed=st.floats(1, 1e5), inputs=st.floats(1, 1e5),
    outputs=st.floats(1, 1e5),
)  # fmt: skip
def test_the_split_bill_adds_up(share: float, speed: float, inputs: float, outputs: float) -> None:
    found = token_cost(
        2.0, 4, sure(speed), input_tokens=inputs, output_tokens=outputs, prefill_share=share
    )
    bill = found.output_usd.value * outputs
    parts = found.input_part_usd.value * inputs + found.output_part_usd.value * outputs
    assert parts == pytest.approx(bill)


def test_more_speed_is_less_cost_so_the_bounds_change_places() -> None:
    speed = Figure(value=100, low=50, high=200)
    found = token_cost(1, 1, speed, input_tokens=1, output_tokens=1, prefill_share=0).output_usd
    assert found.high == pytest.approx(2 * found.value)
    assert found.low == pytest.approx(found.value / 2)


def test_tuning_pays_back_after_its_hours_over_the_saving() -> None:
    found = payback(2.0, 10.0, Interval(low=1.25, high=2.0), output_tokens_per_s=1000)
    assert found.tuning_usd == 20
    assert (found.saving_share.low, found.saving_share.high) == pytest.approx((0.2, 0.5))
    assert found.hours is not None
    assert (found.hours.low, found.hours.high) == pytest.approx((4, 10))
    assert payback(2, 10, Interval(low=0.9, high=2), output_tokens_per_s=1).hours is None


def test_break_even_on_paper() -> None:
    # A request of 1,000 in and 500 out costs 0.001 USD at 0.5/1.0; 4 USD/h are 4,000 requests.
    found = break_even(
        4.0, api_input_usd=0.5, api_output_usd=1.0, input_tokens=1000, output_tokens=500,
        output_tokens_per_s=Figure(value=1000, low=400, high=2000),
    )  # fmt: skip
    assert found.requests_per_hour == pytest.approx(4000)
    assert found.load_share.value == pytest.approx(4000 / 7200)
    assert found.reachable is None  # 4,000 an hour are more than the lower bound's 2,880


PLAN = SpotPlan(
    work_hours=24, on_demand_usd_per_h=10, spot_usd_per_h=4, interruptions_per_day=0, start_hours=0
)


def test_without_interruptions_spot_saves_the_difference_of_the_prices() -> None:
    found = simulate_spot(PLAN, runs=50)
    assert found.saving_share.value == pytest.approx(0.6)
    assert found.hours.value == pytest.approx(24)
    assert found.interruptions.high == 0


def test_interruptions_cost_what_they_lose() -> None:
    often = PLAN.replace(interruptions_per_day=12, start_hours=0.2, lose_uncheckpointed=True)
    frequent = simulate_spot(often.replace(checkpoint_every_hours=0.5), runs=300)
    seldom = simulate_spot(often.replace(checkpoint_every_hours=4), runs=300)
    calm = simulate_spot(PLAN, runs=300)
    assert calm.cost_usd.value < frequent.cost_usd.value < seldom.cost_usd.value
    assert frequent.saving_share.low < frequent.saving_share.high


def test_falling_back_buys_time_with_money() -> None:
    plan = PLAN.replace(interruptions_per_day=8, outage_hours=2)
    with_it = simulate_spot(plan, runs=400)
    without = simulate_spot(plan.replace(fallback=False), runs=400)
    assert with_it.hours.value < without.hours.value
    assert with_it.cost_usd.value > without.cost_usd.value
    assert without.on_demand_hours.high == 0


def test_the_number_of_interruptions_is_that_of_a_poisson_process() -> None:
    plan = PLAN.replace(interruptions_per_day=5, outage_hours=0)
    assert simulate_spot(plan, runs=2000).interruptions.value == pytest.approx(5, rel=0.05)


def test_a_job_that_never_gets_ready_is_counted() -> None:
    plan = PLAN.replace(interruptions_per_day=240, start_hours=1.0, fallback=False)
    assert simulate_spot(plan, runs=20).unfinished_share == 1


def test_routing_on_paper() -> None:
    found = route(1.0, 10.0, easy_share=0.6, error_rate=0.1)
    # Small: 0.6·0.9 + 0.4·0.1 = 0.58; the rest is large.
    assert found.cost_usd == pytest.approx(0.58 + 0.42 * 10)
    assert found.bad_answers_share == pytest.approx(0.04)
    assert found.saving_share == pytest.approx(1 - 4.78 / 10)


@given(easy=st.floats(0, 1), error=st.floats(0, 0.4), router=st.floats(0, 5))
def test_routing_saves_exactly_beyond_its_break_even(
    easy: float, error: float, router: float
) -> None:
    found = route(1.0, 10.0, easy_share=easy, error_rate=error, retry_share=1.0, router_usd=router)
    least = found.break_even_easy_share
    if least is None:
        assert found.saving_share <= 1e-9
    elif abs(easy - least) > 1e-6:
        assert (found.saving_share > 0) == (easy > least)


def requests(*texts: str, tokens: int = 64) -> list[Request]:
    return [Request(text, [hash((text, k)) for k in range(tokens)], 10) for text in texts]


def test_shared_prefixes_are_counted_in_whole_blocks() -> None:
    first = Request("a", list(range(100)), 10)
    second = Request("b", [*range(40), *range(900, 960)], 10)
    found = study([first, second], cache_tokens=10_000, block=16)
    assert found.prefix_hit_share == pytest.approx(32 / 200)


def test_the_last_block_of_a_prompt_is_always_computed() -> None:
    same = Request("a", list(range(64)), 10)
    found = study([same, same], cache_tokens=10_000, block=16)
    assert found.prefix_hit_share == pytest.approx(48 / 128)


def test_a_small_cache_forgets() -> None:
    many = requests(*(f"w{k}" for k in range(20)))
    found = study([*many, *many], cache_tokens=128)
    assert found.prefix_hit_share == 0
    assert found.prefix_hit_share_unbounded > 0.3


LONG = "Подскажите пожалуйста, когда именно приедет курьер с моим заказом номер сто двадцать три"


def test_duplicates_are_found_and_strangers_are_not() -> None:
    texts = [LONG, LONG.upper() + "!", LONG + " сегодня", "Совсем другой вопрос о возврате денег"]
    found = study(requests(*texts), cache_tokens=1000, threshold=0.8)
    assert found.exact_share == 0.25
    assert found.near_share == 0.5
    assert found.near_output_share == 0.5
    assert [pair[1] for pair in found.examples] == [texts[2]]


def test_the_order_of_the_trace_matters_to_nothing_but_the_first() -> None:
    found = study(requests(*["один и тот же вопрос"] * 10), cache_tokens=1000)
    assert found.exact_share == 0.9


@pytest.mark.parametrize(
    "call",
    [
        lambda: route(10, 1, easy_share=0.5, error_rate=0),
        lambda: route(1, 10, easy_share=1.5, error_rate=0),
        lambda: payback(-1, 1, Interval(low=1.1, high=1.2), output_tokens_per_s=1),
        lambda: break_even(1, api_input_usd=0, api_output_usd=0, input_tokens=1, output_tokens=1,
                           output_tokens_per_s=sure(1)),
        lambda: token_cost(1, 1, sure(0), input_tokens=1, output_tokens=1, prefill_share=0),
        lambda: simulate_spot(PLAN.replace(checkpoint_every_hours=1, checkpoint_hours=1)),
    ],
)  # fmt: skip
def test_nonsense_is_refused(call: object) -> None:
    with pytest.raises(BadInput):
        call()  # type: ignore[operator]


def test_an_empty_trace_is_refused() -> None:
    with pytest.raises(BadWorkload):
        study([], cache_tokens=100)
