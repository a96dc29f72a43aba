"""Socket mode: the same bot over a connection that the service opens itself."""

from pathlib import Path

import httpx2
import pytest

from api.app import create_app
from api.settings import Settings
from knowledge.errors import BadInput
from tests.api.conftest import serving, wait_for
from tests.api.slack.server import Sender, SlackServer


def test_events_and_commands_come_over_the_socket(
    socket_settings: Settings, slack: SlackServer, models: Path
) -> None:
    with serving(socket_settings, models) as live, httpx2.Client(base_url=live.url) as client:
        send = Sender(client, slack)
        wait_for(lambda: slack.sockets, "the connection")
        event = {"type": "message", "channel_type": "im", "user": "U1", "channel": "D1",
                 "text": "сессии", "ts": "10.1"}  # fmt: skip
        for number, attempt in (("e1", 0), ("e2", 1)):  # the second is a redelivery
            slack.push({"type": "events_api", "envelope_id": number, "retry_attempt": attempt,
                        "accepts_response_payload": False,
                        "payload": send.envelope(event, "Ev-1")})  # fmt: skip
        wait_for(lambda: slack.texts("D1"), "an answer")
        slack.push({"type": "slash_commands", "envelope_id": "e3",
                    "accepts_response_payload": True,
                    "payload": send.command_fields("status")})  # fmt: skip
        wait_for(lambda: slack.responses, "the answer to the command")
        wait_for(lambda: {"e1", "e2", "e3"} <= set(slack.acknowledged), "all acknowledged")
        assert len(slack.texts("D1")) == 1
        # Without a signing secret nothing is taken over HTTP.
        assert send.post("/slack/events", b"{}").status_code == 404


def test_a_bot_token_alone_is_refused_at_the_start(settings_of, models: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BadInput, match="ADVISOR_SLACK_APP_TOKEN"):
        create_app(settings_of(slack_bot_token="xoxb-1"))
