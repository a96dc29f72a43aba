"""HTTP mode: who is let in, what is acknowledged, what is done twice."""

import json
import time

import pytest

from tests.api.conftest import wait_for
from tests.api.slack.conftest import Stage
from tests.api.slack.server import BOT_USER

CHALLENGE = json.dumps({"type": "url_verification", "challenge": "abc", "token": "old"}).encode()


def test_slack_verifies_the_address_with_a_signed_challenge(stage: Stage) -> None:
    answer = stage.send.post("/slack/events", CHALLENGE)
    assert (answer.status_code, answer.json()) == (200, {"challenge": "abc"})


@pytest.mark.parametrize("path", ["/slack/events", "/slack/commands", "/slack/interactions"])
def test_forged_stale_and_missing_signatures_are_refused(stage: Stage, path: str) -> None:
    send = stage.send
    assert send.post(path, CHALLENGE, secret="not the secret").status_code == 401
    assert send.post(path, CHALLENGE, age_s=400).status_code == 401
    assert send.post(path, CHALLENGE, age_s=-400).status_code == 401
    other = send.post(path, CHALLENGE, headers={"X-Slack-Signature": "v0=" + "0" * 64})
    assert other.status_code == 401
    bare = stage.send.client.post(path, content=CHALLENGE)
    assert bare.status_code == 401
    assert stage.slack.messages == {}


def test_a_signature_of_another_body_is_refused(stage: Stage) -> None:
    good = stage.send.post("/slack/events", CHALLENGE)
    replayed = {k: v for k, v in good.request.headers.items() if k.startswith("x-slack")}
    replayed["content-type"] = "application/json"
    other = stage.send.client.post("/slack/events", content=b'{"type": "x"}', headers=replayed)
    assert other.status_code == 401


def test_a_command_is_acknowledged_before_its_work_is_done(stage: Stage) -> None:
    began = time.monotonic()
    answer = stage.send.command(f"plan {stage.quick}")
    assert answer.status_code == 200
    assert answer.text == ""
    assert time.monotonic() - began < 3, "Slack shows «operation_timeout»"
    (said,) = wait_for(lambda: stage.slack.responses, "the plan")
    assert "План для tiny" in said["text"]
    assert said["response_type"] == "ephemeral"


def test_a_redelivery_is_answered_and_ignored(stage: Stage) -> None:
    for retry in range(3):
        headers = {"X-Slack-Retry-Num": str(retry), "X-Slack-Retry-Reason": "http_timeout"}
        answer = stage.send.direct("сессии", event_id="Ev-same", headers=headers if retry else {})
        assert answer.status_code == 200
    wait_for(lambda: stage.slack.texts("D1"), "an answer")
    stage.send.direct("сессии", event_id="Ev-other")
    wait_for(lambda: len(stage.slack.texts("D1")) >= 2, "the answer to another message")
    assert len(stage.slack.texts("D1")) == 2


def test_a_retry_of_what_never_arrived_is_worked_on(stage: Stage) -> None:
    headers = {"X-Slack-Retry-Num": "1", "X-Slack-Retry-Reason": "connection_failed"}
    stage.send.direct("сессии", event_id="Ev-lost", headers=headers)
    wait_for(lambda: stage.slack.texts("D1"), "an answer")


def test_ask_and_status_answer_who_asked(stage: Stage) -> None:
    stage.send.command("status")
    wait_for(lambda: stage.slack.responses, "the list")
    assert "Сессий ещё не было" in stage.slack.responses[0]["text"]
    stage.send.command("ask что такое TTFT?")
    wait_for(lambda: len(stage.slack.responses) >= 2, "an answer")
    assert "TTFT" in stage.slack.responses[1]["text"]
    stage.send.command("help")
    wait_for(lambda: len(stage.slack.responses) >= 3, "help")
    assert "/advisor optimize" in stage.slack.responses[2]["text"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("optimize", "какую модель"),
        ("optimize demo --moon full", "--moon"),
        ("optimize demo --objective ttfx", "ttft"),
        ("optimize /etc/passwd --engine sim", "Не получилось"),
        ("status 20260101-000000-0000", "нет"),
    ],
)
def test_mistakes_are_one_clear_line_and_start_nothing(stage: Stage, text: str, said: str) -> None:
    stage.send.command(text)
    (answer,) = wait_for(lambda: stage.slack.responses, "a line")
    assert said in answer["text"]
    assert stage.slack.messages == {}


def test_permissions_go_by_channel_and_in_direct_messages_by_user(stage: Stage) -> None:
    send, slack = stage.send, stage.slack
    send.command(f"optimize {stage.quick}", channel="C2")  # may only ask
    send.command("ask что такое TPOT?", channel="C3", user="U1")  # a channel nobody allowed
    wait_for(lambda: len(slack.responses) >= 2, "two refusals")
    assert {"ADVISOR_SLACK_RUN" in r["text"] or "ADVISOR_SLACK_READ" in r["text"]
            for r in slack.responses} == {True}  # fmt: skip
    send.mention("что такое TTFT?", channel="C3")
    wait_for(lambda: slack.ephemeral, "a refusal for one pair of eyes")
    assert slack.ephemeral[0]["user"] == "U1"
    send.direct("оптимизируй demo", user="U2")  # may read
    wait_for(lambda: slack.texts("D1"), "a refusal")
    assert "ADVISOR_SLACK_RUN" in slack.texts("D1")[0]
    send.direct("привет", user="U7")
    wait_for(lambda: len(slack.ephemeral) >= 2, "a stranger is told")
    with stage.live.client() as client:
        assert client.get("/v1/sessions").json()["data"] == []


def test_a_mention_is_answered_in_its_thread_with_its_memory(stage: Stage) -> None:
    stage.send.mention("что такое TPOT?")
    answer = wait_for(lambda: stage.slack.find("TPOT"), "an answer")
    assert answer["thread_ts"]
    assert "**" not in answer["text"]
    stage.send.mention("сессии", thread=answer["ts"])
    asked = wait_for(
        lambda: [c for m, c in stage.slack.calls if m == "conversations.replies"], "a look back"
    )
    assert asked[0]["ts"] == answer["ts"]


def test_the_bot_does_not_talk_to_itself_to_bots_or_to_edits(stage: Stage) -> None:
    stage.send.direct("сессии", user=BOT_USER)
    stage.send.direct("сессии", fields={"bot_id": "B2"})
    stage.send.direct("сессии", fields={"subtype": "message_changed"})
    stage.send.event({"type": "message", "channel_type": "channel", "user": "U1", "channel": "C1",
                      "text": "сессии", "ts": "1.1"})  # fmt: skip
    stage.send.direct("помощь?", event_id="the last one")
    wait_for(lambda: stage.slack.texts("D1"), "the one answer")
    assert len(stage.slack.messages) == 1


def test_without_a_token_there_is_no_slack(live) -> None:  # type: ignore[no-untyped-def]
    with live.client() as client:
        answer = client.post("/slack/events", content=CHALLENGE)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"
