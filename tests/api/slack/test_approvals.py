"""Buttons for a risky step: asked once in the thread, answered by who may, shown as answered."""

import asyncio
from typing import Any

from advisor import approval
from knowledge.types import Event
from tests.api.conftest import wait_for, wait_state
from tests.api.slack.conftest import Stage
from tests.api.slack.test_boards import board, session_of

TEXT = "Дорогой замер: FP8. Займёт около 20 мин. Мерить?"


def ask(stage: Stage, session: str, question: str) -> None:
    """As the session's own process does it."""
    lanes = stage.live.server.app.state.service.lanes
    lanes.append(session, approval.ASKED, {"id": question, "about": "expensive", "text": TEXT})


def answers(stage: Stage, session: str) -> list[Event]:
    store = stage.live.server.app.state.service.store
    return [e for e in store.events(session) if e.kind == approval.ANSWERED]


def buttons(stage: Stage) -> list[dict[str, Any]]:
    return [m for m in stage.slack.messages.values()
            if any(b["type"] == "actions" for b in m.get("blocks") or [])]  # fmt: skip


def test_a_question_is_asked_and_answered_by_its_buttons(stage: Stage) -> None:
    stage.send.command(f"optimize {stage.quick.replace('--trials 1', '--trials 50')}")
    message = board(stage.slack)
    session = session_of(message)
    ask(stage, session, "expensive-t01")
    (asked,) = wait_for(lambda: buttons(stage), "the buttons")
    assert (asked["channel"], asked["thread_ts"]) == ("C1", message["ts"])
    assert asked["text"] == TEXT

    elsewhere = asked | {"channel": "C2"}
    stage.send.press(elsewhere, "approve", user="U1")  # a channel that may only read
    wait_for(lambda: stage.slack.ephemeral, "a refusal")
    assert "ADVISOR_SLACK_RUN" in stage.slack.ephemeral[0]["text"]
    assert answers(stage, session) == []

    stage.send.press(asked, "approve", user="U5")
    (said,) = wait_for(lambda: answers(stage, session), "the answer in the log")
    assert said.payload == {"id": "expensive-t01", "approved": True, "by": "<@U5>"}
    wait_for(lambda: not buttons(stage), "the buttons are gone")
    shown = stage.slack.messages["C1", asked["ts"]]["blocks"][0]["text"]["text"]
    assert "Одобрено: <@U5>" in shown

    stage.send.press(asked | {"blocks": _old_blocks(session)}, "decline")
    wait_for(lambda: len(stage.slack.ephemeral) >= 2, "told that it is answered")
    assert "уже ответили" in stage.slack.ephemeral[1]["text"]
    assert len(answers(stage, session)) == 1

    with stage.live.client() as client:
        client.post(f"/v1/sessions/{session}/cancel")
        wait_state(client, session, "cancelled")


def test_an_answer_from_elsewhere_takes_the_buttons_away(stage: Stage) -> None:
    stage.send.command(f"optimize {stage.quick.replace('--trials 1', '--trials 50')}")
    session = session_of(board(stage.slack))
    ask(stage, session, "quality-t02")
    wait_for(lambda: buttons(stage), "the buttons")
    service = stage.live.server.app.state.service
    asyncio.run_coroutine_threadsafe(
        service.approve(session, "quality-t02", approved=False, by="dashboard"), service._loop
    ).result(20)
    wait_for(lambda: not buttons(stage), "the buttons are gone")
    with stage.live.client() as client:
        client.post(f"/v1/sessions/{session}/cancel")
        wait_state(client, session, "cancelled")


def test_sessions_from_slack_ask_and_others_do_not(stage: Stage) -> None:
    stage.send.command(f"optimize {stage.quick}")
    session = session_of(board(stage.slack))
    store = stage.live.server.app.state.service.store
    assert store.record(session).options["approval_wait_s"] == 1800.0
    with stage.live.client() as client:
        other = client.post("/v1/sessions", json=stage.live.body()).json()["id"]
        assert "approval_wait_s" not in store.record(other).options
        for one in (other, session):
            client.post(f"/v1/sessions/{one}/cancel")
        wait_state(client, session, "cancelled")


def _old_blocks(session: str) -> list[dict[str, Any]]:
    """The message as somebody's screen still shows it."""
    from api.slack.words import question_blocks

    return question_blocks(session, "expensive-t01", TEXT)
