from typing import Any

import pytest

from knowledge.statistics.answers import answer_findings, same_prefix
from knowledge.types import Answers, GreedyAnswer


def answer(name: str, text: str, **changes: Any) -> GreedyAnswer:
    fields: dict[str, Any] = {
        "prompt_id": name,
        "chat": name.startswith("chat"),
        "text": text,
        "finish_reason": "stop" if name.startswith("chat") else "length",
        "prompt_tokens": 20,
        "completion_tokens": 8,
    }
    return GreedyAnswer(**(fields | changes))


def given(**changes: Any) -> Answers:
    said = {
        "text-0": "and so the story of the bridge goes on",
        "text-1": "because a list holds what it was given",
        "chat-0": "The capital of France is Paris.",
        "chat-1": "Four.",
    }
    fields: dict[str, Any] = {
        "answers": tuple(answer(name, text) for name, text in said.items()),
        "regret_nats": 0.004,
        "foreign_tokens": 0.0,
        "replayed": False,
    }
    return Answers(**(fields | changes))


def findings(candidate: Answers, least_prefix: float = 0.2) -> tuple[str, ...]:
    return answer_findings(given(), candidate, least_prefix)


def changed(**by_name: Any) -> Answers:
    """The same answers, some of them with other fields; underscores stand for dashes."""
    names = {name.replace("_", "-"): fields for name, fields in by_name.items()}
    return given(
        answers=tuple(one.replace(**names.get(one.prompt_id, {})) for one in given().answers)
    )


def test_the_same_answers_have_nothing_against_them() -> None:
    assert findings(given()) == ()
    assert same_prefix(given(), given()) == 1


def test_a_few_other_words_are_noise() -> None:
    other = changed(text_0={"text": "and so the story of a river goes on"})
    assert findings(other) == ()
    assert 0.8 < (same_prefix(given(), other) or 0) < 1


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        (changed(chat_0={"prompt_tokens": 31}), "шаблон чата"),
        (changed(text_0={"prompt_tokens": 21}), "токенизатор"),
        (given(foreign_tokens=0.01), "токенизатор"),
        (given(regret_nats=0.4), "KV cache"),
        (given(replayed=True), "кэша"),
        (given(echoed=("text-0 = text-1",)), "один и тот же ответ"),
    ],
)
def test_each_fault_is_named(candidate: Answers, said: str) -> None:
    found = findings(candidate)
    assert len(found) == 1
    assert said in found[0]


def test_answers_that_go_on_after_their_end_are_a_wrong_stop_token() -> None:
    candidate = changed(
        chat_0={"text": "The capital of France is Paris.\nuser\nAnd", "finish_reason": "length"},
        chat_1={"text": "Four.\nuser\nAnd what is", "finish_reason": "length"},
    )
    assert any("не кончаются" in finding for finding in findings(candidate))


def test_answers_that_break_off_are_seen() -> None:
    candidate = changed(
        text_0={"text": "and so", "finish_reason": "stop"},
        text_1={"text": "because a", "finish_reason": "stop"},
    )
    assert any("обрываются" in finding for finding in findings(candidate))


def test_answers_with_nothing_in_common_are_another_model() -> None:
    candidate = given(answers=tuple(one.replace(text=f"#{one.text}") for one in given().answers))
    assert any("расходятся почти сразу" in finding for finding in findings(candidate))


def test_what_a_server_does_not_tell_is_not_held_against_it() -> None:
    silent = given(
        answers=tuple(one.replace(prompt_tokens=None) for one in given().answers),
        regret_nats=None,
        foreign_tokens=None,
        replayed=None,
    )
    assert findings(silent) == ()


def test_an_echo_of_what_the_reference_was_not_asked_is_no_proof() -> None:
    fewer = given(answers=given().answers[:1])
    assert answer_findings(fewer, given(echoed=("text-0 = text-1",)), 0.0) == ()
