from collections.abc import Callable

import orjson

from knowledge.types import Workload
from tools.load.prompts import Prompt
from tools.load.target import BARE, FULL, NO_CONTINUOUS_USAGE, NO_IGNORE_EOS, Dialect, Target

PROMPT = Prompt("Hello", 1, 5)


def test_extra_is_merged_and_none_takes_a_field_out(workload: Callable[..., Workload]) -> None:
    target = Target("http://h", "m", extra={"top_k": 1, "temperature": None, "max_tokens": 3})
    body = orjson.loads(target.body(PROMPT, workload(), FULL))
    assert (body["top_k"], body["max_tokens"], body["ignore_eos"]) == (1, 3, True)
    assert "temperature" not in body


def test_ignore_eos_follows_the_workload(workload: Callable[..., Workload]) -> None:
    body = Target("http://h", "m").body(PROMPT, workload(ignore_eos=False), FULL)
    assert "ignore_eos" not in orjson.loads(body)


def test_chat_sends_messages_of_the_trace_or_the_text(workload: Callable[..., Workload]) -> None:
    target = Target("http://h", "m", endpoint="chat")
    body = orjson.loads(target.body(PROMPT, workload(), FULL))
    assert body["messages"] == [{"role": "user", "content": "Hello"}]
    own = Prompt("x", 1, 5, messages=({"role": "system", "content": "x"},))
    assert orjson.loads(target.body(own, workload(), FULL))["messages"][0]["role"] == "system"


def test_the_key_is_neither_shown_nor_repeated() -> None:
    target = Target("http://h", "m", api_key="sk-secret")
    assert "sk-secret" not in repr(target)
    assert target.redact("bad key sk-secret") == "bad key ***"


def test_fields_are_given_up_one_by_one_and_the_outcome_is_remembered() -> None:
    dialect = Dialect()
    assert dialect.after_refusal(FULL) == NO_CONTINUOUS_USAGE
    assert dialect.after_refusal(NO_CONTINUOUS_USAGE) == NO_IGNORE_EOS
    dialect.accept(NO_IGNORE_EOS)
    assert dialect.level == NO_IGNORE_EOS
    assert dialect.after_refusal(FULL) == NO_IGNORE_EOS  # what was under way catches up
    assert dialect.after_refusal(NO_IGNORE_EOS) is None  # now a 400 is about the request


def test_a_request_refused_at_every_level_changes_nothing_for_the_others() -> None:
    dialect = Dialect()
    assert dialect.after_refusal(BARE) is None
    assert (dialect.level, dialect.proved) == (FULL, False)
    dialect.accept(NO_CONTINUOUS_USAGE)
    dialect.accept(FULL)  # an answer to a fuller request comes late: nothing had to be given up
    assert dialect.level == FULL
