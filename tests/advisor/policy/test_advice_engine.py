"""Advice from a real LLM: SmolLM2 behind vLLM, held to the schema by guided decoding."""

from pathlib import Path

import pytest

from advisor import runner
from advisor.consultation.types import LlmEndpoint
from advisor.policy.advice import ASKED, FAILED, Adviser, LlmBudget, spent_of
from knowledge.cards import load_cards
from tests.advisor.simulated import task
from tests.tools.engines.conftest import environment_of, launched
from tools.home import Home
from tools.store import Status, Store

pytestmark = pytest.mark.engine

FLAGS = {"enforce-eager": True, "dtype": "float32", "max-num-seqs": 2}


async def test_a_small_model_can_only_propose_what_there_is(
    demo_model: Path, real_home: Home, tiny_model: Path, home: Home, tmp_path: Path
) -> None:
    env = await environment_of("vllm", real_home)
    log = tmp_path / "llm.log"
    with Store.open(home.store, "test") as store:
        async with launched("vllm", log, FLAGS, model_path=demo_model, env=env) as server:
            assert await server.ready(), server.process.log_tail()
            llm = LlmEndpoint(f"{server.url}/v1", "tiny", timeout_s=300)
            record = await runner.start(
                task(tiny_model, trials=2).replace(policy="llm"),
                runner.Options(naive=False, reports=tmp_path),
                store,
                home,
                lambda _: None,
                adviser=Adviser(llm, LlmBudget()),
            )
    assert record.row.status is Status.DONE
    asked = [event for event in record.events if event.kind == ASKED]
    failed = [event for event in record.events if event.kind == FAILED]
    assert asked, [event.payload for event in failed]
    known = {card.name for card in load_cards()} | {"search"}
    advice = [one for event in asked for one in event.payload["advice"]]  # type: ignore[attr-defined]
    assert advice
    assert {one["technique"] for one in advice} <= known
    assert sum(int(str(event.payload["refused"])) for event in asked) == 0
    assert 0 < spent_of(record.events).tokens <= LlmBudget().tokens
    assert record.production is not None
