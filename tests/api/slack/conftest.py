"""A service with its bot, and a Slack of our own beside it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.settings import Settings
from tests.api.conftest import Live, serving
from tests.api.slack.server import APP_TOKEN, BOT_TOKEN, SECRET, Sender, SlackServer, slack_server


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with slack_server() as server:
        yield server


@pytest.fixture
def slack_settings(
    settings_of: Callable[..., Settings], slack: SlackServer
) -> Callable[..., Settings]:
    """HTTP mode: U1 may run things from C1 and in direct messages, C2 may ask."""

    def make(**more: Any) -> Settings:
        given: dict[str, Any] = {
            "slack_bot_token": BOT_TOKEN, "slack_signing_secret": SECRET, "slack_run": ("C1", "U1"),
            "slack_read": ("C2", "U2"), "slack_api_url": f"{slack.url}/api/",
            "slack_edit_every_s": 0.2, "drain_s": 0,
        }  # fmt: skip
        return settings_of(**(given | more))

    return make


@pytest.fixture
def socket_settings(slack_settings: Callable[..., Settings]) -> Settings:
    """Socket mode: no secret, no address of our own."""
    return slack_settings(slack_signing_secret=None, slack_app_token=APP_TOKEN)


@dataclass
class Stage:
    """Everything that a conversation needs."""

    live: Live
    slack: SlackServer
    send: Sender
    model: str

    @property
    def quick(self) -> str:
        """Options of a session that takes seconds."""
        return (
            f"{self.model} --engine sim --workload demo --objective throughput --budget 5m "
            "--trials 1 --input-tokens 24 --output-tokens 8"
        )


@pytest.fixture
def stage(
    slack_settings: Callable[..., Settings], slack: SlackServer, models: Path
) -> Iterator[Stage]:
    with (
        serving(slack_settings(), models) as live,
        httpx2.Client(base_url=live.url, timeout=60) as client,
    ):
        yield Stage(live, slack, Sender(client, slack), str(models / "tiny"))
