import asyncio

from knowledge.errors import BadInput
from tools.loaded_gauges import LoadedGauges


async def test_the_peak_of_all_rounds_stands_over_what_is_left_after_them() -> None:
    readings = iter(({"kv_cache_usage_perc": 0.2, "generation_tokens": 5.0},
                     {"kv_cache_usage_perc": 0.1, "requests_waiting": 3.0}))  # fmt: skip

    async def scrape() -> dict[str, float]:
        return next(readings)

    gauges = LoadedGauges(scrape)
    for _ in range(2):
        async with gauges.beside(0.01):
            await asyncio.sleep(0.05)
    seen = gauges.over({"kv_cache_usage_perc": 0.0, "generation_tokens": 90.0})
    assert seen == {"kv_cache_usage_perc": 0.2, "generation_tokens": 90.0, "requests_waiting": 3.0}


async def test_a_round_shorter_than_expected_and_a_broken_answer_cost_nothing() -> None:
    async def scrape() -> dict[str, float]:
        raise BadInput("что-то не то", "никак")

    gauges, broken = LoadedGauges(scrape), LoadedGauges(scrape)
    async with gauges.beside(60.0):
        pass
    async with broken.beside(0.0):
        await asyncio.sleep(0.05)
    assert gauges.over({}) == broken.over({}) == {}
