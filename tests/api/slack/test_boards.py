"""One message per session, from the queue to the report in its thread."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2

from api.settings import Settings
from tests.api.conftest import quick, serving, wait_for, wait_state
from tests.api.slack.conftest import Stage
from tests.api.slack.server import Sender, SlackServer

ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")


def board(slack: SlackServer, channel: str = "C1") -> dict[str, Any]:
    found = wait_for(
        lambda: [
            m for (c, _), m in slack.messages.items() if c == channel and ID.search(m["text"])
        ],
        "the session's message",
    )
    return dict(found[0])


def session_of(message: dict[str, Any]) -> str:
    match = ID.search(message["text"])
    assert match
    return match[0]


def test_from_the_command_to_the_report_in_the_thread(stage: Stage) -> None:
    stage.send.command(f"optimize {stage.quick}")
    first = board(stage.slack)
    session, ts = session_of(first), first["ts"]
    assert first["text"].startswith((":hourglass:", ":gear:"))
    wait_for(lambda: stage.slack.shared, "the report")
    edits = stage.slack.edits(ts)
    assert len(edits) >= 2
    assert any("идёт" in text and "> " in text for text in edits), "shows how it goes"
    assert edits[-1].startswith(":white_check_mark:")
    assert "симулятор" in edits[-1]
    assert [t for t in stage.slack.texts("C1") if session in t] == [edits[-1]], "one message"
    (shared,) = stage.slack.shared
    assert (shared["channel_id"], shared["thread_ts"]) == ("C1", ts)
    files = [stage.slack.files[f["id"]] for f in shared["files"]]
    report, *pictures = files
    assert report["name"] == f"{session}.md"
    assert report["body"].decode().startswith("# Оптимизация LLM Inference")
    assert "pareto.png" in {p["name"] for p in pictures}
    assert all(p["body"].startswith(b"\x89PNG") for p in pictures)
    with stage.live.client() as client:
        assert client.get(f"/v1/sessions/{session}").json()["origin"] == "slack"


def test_a_mention_starts_a_session_in_its_thread(stage: Stage) -> None:
    stage.send.mention(f"оптимизируй {stage.quick}")
    message = board(stage.slack)
    assert message["thread_ts"]
    wait_for(lambda: stage.slack.shared, "the report")
    assert stage.slack.shared[0]["thread_ts"] == message["thread_ts"]


def test_the_x_reaction_of_who_may_stops_the_session(stage: Stage) -> None:
    stage.send.command(f"optimize {stage.quick.replace('--trials 1', '--trials 50')}")
    message = board(stage.slack)
    session, ts = session_of(message), message["ts"]
    stage.send.reaction("C1", ts, name="eyes")
    stage.send.reaction("C1", "1.5")
    with stage.live.client() as client:
        wait_state(client, session, "running")
        stage.send.reaction("C1", ts)
        wait_state(client, session, "cancelled")
    wait_for(lambda: stage.slack.edits(ts)[-1].startswith(":no_entry_sign:"), "the last edit")
    assert stage.slack.shared == []
    stage.send.reaction("C1", ts)
    said = wait_for(lambda: stage.slack.ephemeral, "told that nothing runs")
    assert "не идёт" in said[0]["text"]


def test_slack_that_limits_and_fails_loses_nothing(stage: Stage, monkeypatch: Any) -> None:
    monkeypatch.setattr("api.slack.boards._AGAIN_S", (0.2,))
    stage.slack.failing.append(("chat.update", 1))
    stage.send.command(f"optimize {stage.quick}")
    message = board(stage.slack)
    stage.slack.reject.add("chat.update")
    with stage.live.client() as client:
        wait_state(client, session_of(message), "done")
    stage.slack.reject.clear()
    wait_for(lambda: stage.slack.shared, "the report after all")
    assert stage.slack.edits(message["ts"])[-1].startswith(":white_check_mark:")
    assert len(stage.slack.shared) == 1


def test_a_channel_without_the_bot_is_told_in_private(stage: Stage, monkeypatch: Any) -> None:
    service = stage.live.server.app.state.service
    changed = service.settings.model_copy(update={"slack_run": ("*",)})
    monkeypatch.setattr(service, "settings", changed)
    stage.send.command(f"optimize {stage.quick}", channel="C9")
    (said,) = wait_for(lambda: stage.slack.responses, "a word to who asked")
    assert "/invite" in said["text"]
    with stage.live.client() as client:
        wait_state(client, session_of(said), "done")


def test_a_restart_goes_on_with_the_same_message(
    slack_settings: Callable[..., Settings], slack: SlackServer, models: Path
) -> None:
    settings = slack_settings()
    with serving(settings, models) as live, httpx2.Client(base_url=live.url) as client:
        stage = Stage(live, slack, Sender(client, slack), str(models / "tiny"))
        stage.send.command(f"optimize {stage.quick}")
        message = board(slack)
        with live.client() as api:
            wait_state(api, session_of(message), "running")
    assert slack.shared == []
    with serving(settings, models):
        wait_for(lambda: slack.shared, "the report")
        assert slack.edits(message["ts"])[-1].startswith(":white_check_mark:")
    boards = [t for t in slack.texts("C1") if session_of(message) in t]
    assert len(boards) == 1
    with serving(settings, models):
        pass
    assert len(slack.shared) == 1, "delivered once"


def test_a_new_model_is_reported_to_the_channel_of_its_rule(
    slack_settings: Callable[..., Settings], slack: SlackServer, models: Path, tmp_path: Path
) -> None:
    asked = quick(models / "tiny")
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        'rules: [{name: all, models: ["*"], engine: sim, workload: demo, objective: throughput,'
        ' budget: 5m, trials: 1, naive: false, notify: "slack:#llm"}]'
    )
    with serving(slack_settings(hook_policy=policy), models) as live, live.client() as client:
        started = client.post("/v1/hooks/model", json={"model": asked["model"]}).json()
        assert started["outcome"] == "started", started
        assert session_of(board(slack)) == started["session"]
        client.post(f"/v1/sessions/{started['session']}/cancel")


def test_the_token_is_in_no_log(stage: Stage, caplog: Any) -> None:
    stage.slack.reject |= {"chat.postMessage", "chat.postEphemeral", "conversations.replies"}
    with caplog.at_level("DEBUG"):
        stage.send.mention("сессии", thread="1.1")
        stage.send.command(f"plan {stage.quick}")
        wait_for(lambda: stage.slack.responses, "an answer")
        wait_for(lambda: [m for m, _ in stage.slack.calls if m == "chat.postMessage"], "a try")
    assert "xoxb" not in caplog.text
    assert "8f742231b10e" not in caplog.text
