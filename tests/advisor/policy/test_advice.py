"""The LLM's advice from recorded answers: checked, budgeted, and never in the way."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from advisor import runner
from advisor.consultation.types import LlmEndpoint
from advisor.policy.advice import ASKED, FAILED, Adviser, LlmBudget, spent_of
from tests.advisor.simulated import task
from tests.recorded_llm import RecordedLlm
from tools.home import Home
from tools.store import SessionRecord, Status, Store

SECRET = "sk-very-secret"


@pytest.fixture
async def endpoint() -> AsyncIterator[RecordedLlm]:
    async with RecordedLlm().listening() as script:
        yield script


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    with Store.open(home.store, "test") as opened:
        yield opened


async def _session(
    model: Path, store: Store, home: Home, out: Path, port: int, **budget: Any
) -> SessionRecord:
    llm = LlmEndpoint(f"http://127.0.0.1:{port}/v1", "m", SECRET, timeout_s=1)
    asked = task(model, trials=1).replace(policy="llm")
    options = runner.Options(naive=False, reports=out)
    return await runner.start(
        asked, options, store, home, lambda _: None, adviser=Adviser.at(llm, LlmBudget(**budget))
    )


def _answer(*proposals: dict[str, Any], comment: str = "") -> str:
    return json.dumps({"proposals": list(proposals), "comment": comment})


async def test_what_exists_is_measured_and_what_does_not_is_refused(
    endpoint: RecordedLlm, tiny_model: Path, store: Store, home: Home, tmp_path: Path
) -> None:
    endpoint.content = _answer(
        {"technique": "magic", "settings": {}, "reason": "x"},
        {"technique": "settings", "settings": {"no-such-flag": 1}, "reason": "x"},
        {"technique": "settings", "settings": {"max-num-seqs": 9}, "reason": "x"},
        {"technique": "settings", "settings": {"max-num-seqs": 8}, "reason": "Меньше шагов."},
        comment="Стало быстрее в 7777 раз.",
    )
    record = await _session(
        tiny_model, store, home, tmp_path, endpoint.port, usd_per_1m_input=1, usd_per_1m_output=10
    )
    assert record.row.status is Status.DONE
    ((_, hypothesis),) = record.hypotheses
    assert hypothesis.policy == "llm"
    assert hypothesis.candidate.config.flags == {"max-num-seqs": 8}
    assert hypothesis.rationale == "Меньше шагов."
    (event,) = [e for e in record.events if e.kind == ASKED]
    assert event.payload["refused"] == 3
    assert "7777" not in str(event.payload["comment"])
    spent = spent_of(record.events)
    assert (spent.tokens, round(spent.usd, 6)) == (1000, 0.0019)
    sent = json.dumps(endpoint.requests[0], ensure_ascii=False)
    assert SECRET not in sent
    assert str(tiny_model) not in sent
    schema = endpoint.requests[0]["response_format"]["json_schema"]["schema"]
    named = schema["properties"]["proposals"]["items"]["properties"]["technique"]["enum"]
    assert "settings" in named
    assert len(named) > 3


@pytest.mark.parametrize("trouble", ["json", "schema", "rate", "error", "silence", "dead"])
async def test_without_a_useful_answer_the_session_goes_on(
    trouble: str, endpoint: RecordedLlm, tiny_model: Path, store: Store, home: Home, tmp_path: Path
) -> None:
    endpoint.content = "{oops" if trouble == "json" else '{"proposals": 3}'
    endpoint.status = {"rate": 429, "error": 500}.get(trouble, 200)
    endpoint.silent = trouble == "silence"
    port = 9 if trouble == "dead" else endpoint.port
    record = await _session(tiny_model, store, home, tmp_path, port)
    assert record.row.status is Status.DONE
    assert [e.kind for e in record.events if e.kind in (ASKED, FAILED)] == [FAILED]
    assert SECRET not in json.dumps([e.payload for e in record.events])


async def test_of_an_answer_cut_off_what_was_whole_counts(
    endpoint: RecordedLlm, tiny_model: Path, store: Store, home: Home, tmp_path: Path
) -> None:
    whole = {"technique": "settings", "settings": {"max-num-seqs": 8}, "reason": "Меньше шагов."}
    endpoint.content = _answer(whole, whole)[:-60]
    endpoint.finish = "length"
    record = await _session(tiny_model, store, home, tmp_path, endpoint.port)
    ((_, hypothesis),) = record.hypotheses
    assert hypothesis.candidate.config.flags == {"max-num-seqs": 8}
    (event,) = [e for e in record.events if e.kind == ASKED]
    assert len(event.payload["advice"]) == 1  # type: ignore[arg-type]


async def test_an_answer_cut_off_too_early_is_no_advice(
    endpoint: RecordedLlm, tiny_model: Path, store: Store, home: Home, tmp_path: Path
) -> None:
    endpoint.content, endpoint.finish = '{"proposals": [{"technique": "sett', "length"
    record = await _session(tiny_model, store, home, tmp_path, endpoint.port)
    assert record.row.status is Status.DONE
    assert [e.kind for e in record.events if e.kind in (ASKED, FAILED)] == [FAILED]


async def test_an_empty_purse_asks_nothing(
    endpoint: RecordedLlm, tiny_model: Path, store: Store, home: Home, tmp_path: Path
) -> None:
    record = await _session(tiny_model, store, home, tmp_path, endpoint.port, tokens=100)
    assert record.row.status is Status.DONE
    assert endpoint.requests == []
