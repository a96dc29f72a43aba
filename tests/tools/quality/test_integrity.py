from collections.abc import Iterable
from typing import Any

import pytest

from knowledge.types import (
    Check,
    ClosedLoop,
    EngineConfig,
    Lengths,
    QualityResult,
    RequestSample,
    Workload,
)
from tools.quality.integrity import check

WORKLOAD = Workload(
    name="w",
    arrival=ClosedLoop(concurrency=2),
    input_tokens=Lengths(low=100, high=100),
    output_tokens=Lengths(low=32, high=32),
)


def sample(index: int, **changes: object) -> RequestSample:
    """An honest answer of 32 tokens, 10 ms apart after 50 ms."""
    sent = 0.5 * index
    times = tuple(sent + 0.05 + 0.01 * i for i in range(32))
    fields: dict[str, object] = {
        "index": index,
        "round": 0,
        "stream": index % 2,
        "intended_s": sent,
        "sent_s": sent,
        "first_token_s": times[0],
        "last_token_s": times[-1],
        "end_s": times[-1] + 0.001,
        "asked_input_tokens": 100,
        "asked_output_tokens": 32,
        "input_tokens": 100,
        "output_tokens": 32,
        "chunk_times_s": times,
        "chunk_tokens": (1,) * 32,
        "text_sha256": f"text-{index}",
    }
    return RequestSample.model_validate(fields | changes)


def samples(n: int = 20, **changes: object) -> list[RequestSample]:
    return [sample(i, **changes) for i in range(n)]


def run(
    taken: Iterable[RequestSample], workload: Workload = WORKLOAD, **changes: Any
) -> tuple[bool, dict[str, Check]]:
    """Whether all passed, and the checks by the original term in their name."""
    known: dict[str, Any] = {
        "model_name": "m",
        "served_models": ["m"],
        "in_force": {},
        "config": EngineConfig(engine="e"),
    }
    result = check(list(taken), workload, **(known | changes))
    return result.passed, {c.name.split("(")[1].rstrip(")"): c for c in result.checks}


def failing(checks: dict[str, Check]) -> list[str]:
    return [name for name, c in checks.items() if not c.passed]


def test_an_honest_server_passes_and_every_check_says_what_it_saw() -> None:
    passed, checks = run(samples())
    assert passed
    assert all(c.asked and c.seen for c in checks.values())
    assert not any("не проверено" in c.seen for c in checks.values())


@pytest.mark.parametrize(
    ("cheat", "caught"),
    [
        ({"output_tokens": 20}, "output length"),
        ({"output_tokens": 40}, "output length"),
        ({"input_tokens": 90}, "input length"),
        ({"input_tokens": 103}, "input length"),
        ({"text_sha256": "always the same"}, "cached answers"),
        ({"error": "http-500", "first_token_s": None}, "error rate"),
    ],
)
def test_a_cheat_is_caught_by_the_check_made_for_it(cheat: dict[str, Any], caught: str) -> None:
    passed, checks = run(samples(**cheat))
    assert not passed
    assert failing(checks) == [caught]


def test_a_small_deviation_of_the_input_length_is_allowed() -> None:
    assert run(samples(input_tokens=102))[0]


def test_an_answer_may_end_early_unless_ignore_eos_was_asked() -> None:
    workload = WORKLOAD.replace(ignore_eos=False)
    assert run(samples(output_tokens=20), workload)[0]
    assert failing(run(samples(output_tokens=33), workload)[1]) == ["output length"]


def test_a_chat_template_is_a_constant_on_top_and_lost_input_is_not() -> None:
    passed, checks = run(samples(input_tokens=131), chat=True)
    assert passed
    assert "шаблон чата 31" in checks["input length"].seen
    assert failing(run(samples(input_tokens=131), chat=False)[1]) == ["input length"]
    assert failing(run(samples(input_tokens=60), chat=True)[1]) == ["input length"]


@pytest.mark.parametrize(
    ("known", "changes", "name"),
    [
        ({}, {"input_tokens": None}, "input length"),
        ({"tokenizer_known": False}, {"input_tokens": 130}, "input length"),
        ({"usage_known": False}, {"output_tokens": 31}, "output length"),
        ({"served_models": None}, {}, "model identity"),
    ],
)
def test_what_can_not_be_known_passes_and_says_so(
    known: dict[str, Any], changes: dict[str, Any], name: str
) -> None:
    passed, checks = run(samples(**changes), **known)
    assert passed
    assert "не проверено" in checks[name].seen


def test_some_equal_answers_are_chance_and_many_are_a_cache() -> None:
    def with_repeats(n: int) -> list[RequestSample]:
        return [sample(i, text_sha256=f"text-{max(i, n)}") for i in range(20)]

    assert run(with_repeats(2))[0]
    assert failing(run(with_repeats(5))[1]) == ["cached answers"]


def test_short_answers_and_traces_may_repeat() -> None:
    short = WORKLOAD.replace(output_tokens=Lengths(low=4, high=4))
    same = samples(asked_output_tokens=4, output_tokens=4, text_sha256="yes")
    assert run(same, short)[0]
    assert run(samples(text_sha256="same"), WORKLOAD.replace(trace_path="t.jsonl"))[0]


@pytest.mark.parametrize("chunks", [1, 32])
def test_text_that_comes_at_once_at_the_end_is_no_stream(chunks: int) -> None:
    def burst(index: int) -> RequestSample:
        at = 0.5 * index + 0.36
        return sample(
            index,
            first_token_s=at,
            last_token_s=at,
            end_s=at,
            chunk_times_s=tuple(at + 1e-5 * i for i in range(chunks)),
            chunk_tokens=(32 // chunks,) * chunks,
        )

    assert failing(run([burst(i) for i in range(20)])[1]) == ["streaming"]


def test_requests_cut_by_the_client_are_no_errors_of_the_server() -> None:
    cut = [sample(100 + i, error="cut") for i in range(8)]
    assert run([*samples(), *cut])[0]
    one_reset = sample(200, error="reset", first_token_s=None)
    assert run([*samples(100), one_reset])[0] is True
    _, checks = run([*samples(50), one_reset])
    assert failing(checks) == ["error rate"]
    assert "reset" in checks["error rate"].seen


def test_no_requests_at_all_is_a_failure() -> None:
    assert "error rate" in failing(run([])[1])


def test_another_model_behind_the_endpoint() -> None:
    _, checks = run(samples(), served_models=["smaller"])
    assert failing(checks) == ["model identity"]
    assert checks["model identity"].seen == "smaller"


def test_a_flag_that_the_engine_ignored() -> None:
    config = EngineConfig(engine="e", flags={"max-num-seqs": 64, "seed": 1, "block-size": 16})
    in_force = {"max_num_seqs": "256", "seed": "1"}
    _, checks = run(samples(), config=config, in_force=in_force)
    assert failing(checks) == ["flags in force"]
    seen = checks["flags in force"].seen
    assert "max-num-seqs=256" in seen
    assert "не сообщает: block-size" in seen


def test_made_up_logprobs() -> None:
    def scored(value: Any) -> QualityResult:
        chunks = tuple(tuple(value(i, j) for j in range(50)) for i in range(4))
        return QualityResult(
            tokens=200, mean_logprob=-1, perplexity=2.7, chunk_logprobs=chunks, text_sha256="t",
            seconds=1,
        )  # fmt: skip

    assert run(samples(), quality=scored(lambda i, j: -1 / (1 + 50 * i + j)))[0]
    faked = run(samples(), quality=scored(lambda i, j: -1.0))[1]
    assert failing(faked) == ["log-probabilities"]
