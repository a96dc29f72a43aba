import asyncio
from typing import Any

from knowledge.types import Cause
from tests.tools.engines.conftest import Server, StartSim
from tools.engines import load

TEXT = "The quick brown fox jumps over the lazy dog. " * 8
SIM = load("sim")


async def scores(server: Server, **fields: Any) -> list[float]:
    _, answer = await server.post(
        "/v1/completions", prompt=list(range(200)), max_tokens=1, prompt_logprobs=0, **fields
    )
    first, *rest = answer["choices"][0]["prompt_logprobs"]
    assert first is None
    return [entry[str(token)]["logprob"] for token, entry in enumerate(rest, start=1)]


async def test_gives_as_many_tokens_as_asked(start_sim: StartSim) -> None:
    server = await start_sim()
    options = {"include_usage": True, "continuous_usage_stats": True}
    events = await server.stream(
        "/v1/completions", prompt=TEXT, max_tokens=5, stream_options=options
    )
    *tokens, last = events
    assert [event["usage"]["completion_tokens"] for event in tokens] == [1, 2, 3, 4, 5]
    assert tokens[-1]["choices"][0]["finish_reason"] == "length"
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 5


async def test_chat_opens_with_a_role(start_sim: StartSim) -> None:
    server = await start_sim()
    messages = [{"role": "user", "content": "Hi"}]
    first, *rest = await server.stream("/v1/chat/completions", messages=messages, max_tokens=3)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert len(rest) == 3


async def test_the_same_prompt_gives_the_same_answer_and_another_another(
    start_sim: StartSim,
) -> None:
    server = await start_sim()
    texts = [
        (await server.post("/v1/completions", prompt=p, max_tokens=4))[1]["choices"][0]["text"]
        for p in ("one", "one", "two")
    ]
    assert texts[0] == texts[1] != texts[2]


async def test_max_num_seqs_makes_the_others_wait(start_sim: StartSim) -> None:
    server = await start_sim(max_num_seqs=2, time_scale=0.2)
    asks = [
        asyncio.create_task(server.post("/v1/completions", prompt=f"{i}", max_tokens=40))
        for i in range(5)
    ]
    seen: dict[str, float] = {}
    while seen.get("requests_waiting") != 3:
        assert not any(ask.done() for ask in asks)
        seen = await SIM.scrape(server.url)
    assert seen["requests_running"] == 2
    assert all(status == 200 for status, _ in await asyncio.gather(*asks))


async def test_a_client_that_hangs_up_frees_its_place(start_sim: StartSim) -> None:
    server = await start_sim(max_num_seqs=1, time_scale=0.2)
    ask = asyncio.create_task(server.stream("/v1/completions", prompt="x", max_tokens=8000))
    while (await SIM.scrape(server.url))["requests_running"] == 0:
        assert not ask.done()
    ask.cancel()
    async with asyncio.timeout(15):
        while (await SIM.scrape(server.url))["requests_running"] == 1:
            assert server.process.returncode is None


async def test_prefix_caching_finds_what_was_read_before(start_sim: StartSim) -> None:
    hits = {}
    for caching in (True, False):
        server = await start_sim(enable_prefix_caching=caching)
        for ending in ("one", "two"):
            await server.post("/v1/completions", prompt=TEXT + ending, max_tokens=1)
        hits[caching] = (await SIM.scrape(server.url)).get("prefix_cache_hit_rate", 0.0)
    assert hits[True] > 0.4
    assert hits[False] == 0.0


async def test_speculation_writes_several_tokens_at_once_and_no_more_than_asked(
    start_sim: StartSim,
) -> None:
    server = await start_sim(speculative_config='{"method": "ngram", "num_speculative_tokens": 3}')
    events = await server.stream(
        "/v1/completions", prompt=TEXT, max_tokens=60, stream_options={"include_usage": True}
    )
    assert events[-1]["usage"]["completion_tokens"] == 60
    assert len(events) - 1 < 60
    rate = (await SIM.scrape(server.url))["spec_decode_acceptance_rate"]
    assert 0.05 < rate < 0.6


async def test_quality_falls_with_quantization_and_is_the_same_twice(start_sim: StartSim) -> None:
    full = await scores(await start_sim())
    again = await scores(await start_sim())
    coarse = await scores(await start_sim(quantization="int4"))
    assert full == again
    assert 0.05 < (sum(full) - sum(coarse)) / len(full) < 0.5


async def test_both_dialects_of_scoring_agree(start_sim: StartSim) -> None:
    server = await start_sim()
    _, answer = await server.post(
        "/v1/completions", prompt=list(range(200)), max_tokens=1, echo=True, logprobs=1
    )
    assert answer["choices"][0]["logprobs"]["token_logprobs"][1:] == await scores(server)


async def test_settings_are_read_back_from_the_log(start_sim: StartSim) -> None:
    server = await start_sim(max_num_seqs=3, enforce_eager=True, variables={"SIM_THREADS": "2"})
    found = SIM.in_force(server.log.read_text())
    assert found["max-num-seqs"] == "3"
    assert found["enforce-eager"] == "true"
    assert found["SIM_THREADS"] == "2"
    assert found["speculative-config"] == "none"


async def test_short_answers_on_demand(start_sim: StartSim) -> None:
    server = await start_sim(ignore_max_tokens=True)
    _, answer = await server.post("/v1/completions", prompt="x", max_tokens=10)
    assert answer["usage"]["completion_tokens"] == 5


async def test_out_of_memory_on_demand(start_sim: StartSim) -> None:
    server = await start_sim(wait=False, oom_at_start=True)
    code = await server.process.wait_exit()
    assert SIM.diagnose(code, server.process.log_tail()) is Cause.OUT_OF_MEMORY


async def test_a_crash_in_the_middle_on_demand(start_sim: StartSim) -> None:
    server = await start_sim(crash_after_s=0.2)
    code = await server.process.wait_exit()
    assert SIM.diagnose(code, server.process.log_tail()) is Cause.CRASH


async def test_a_start_that_hangs_on_demand(start_sim: StartSim) -> None:
    server = await start_sim(wait=False, hang_at_start=True)
    try:
        async with asyncio.timeout(0.7):
            ready = await server.ready()
    except TimeoutError:
        ready = False
    assert not ready
    assert server.process.returncode is None


async def test_a_flag_that_argparse_refuses_is_a_bad_flag(start_sim: StartSim) -> None:
    server = await start_sim(wait=False, dtype="float99")
    code = await server.process.wait_exit()
    assert SIM.diagnose(code, server.process.log_tail()) is Cause.BAD_FLAG
