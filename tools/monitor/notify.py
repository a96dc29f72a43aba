"""Where an alert goes: a webhook, signed where there is a secret, and a Slack channel."""

import asyncio
import hashlib
import hmac
import logging
from dataclasses import dataclass, field

import httpx2
import orjson

_LOG = logging.getLogger("advisor.monitor")
_PAUSES_S = (0.0, 2.0, 10.0)
_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Places:
    """Who is told. Secrets stay out of repr."""

    webhook: str | None = None
    webhook_secret: str | None = field(default=None, repr=False)
    slack_channel: str | None = None
    slack_token: str | None = field(default=None, repr=False)
    slack_api_url: str = "https://slack.com/api/"


async def tell(places: Places, text: str, alert: dict[str, object]) -> list[str]:
    """Tell everybody; the names of those who could not be told. Never raises for a network."""
    failed = []
    for name, wanted, send in (
        ("webhook", places.webhook, _webhook), ("slack", places.slack_channel, _slack)
    ):  # fmt: skip
        if wanted and not await _patiently(name, send, places, text, alert):
            failed.append(name)
    return failed


async def _patiently(name, send, places: Places, text: str, alert: dict[str, object]) -> bool:  # type: ignore[no-untyped-def]
    for pause_s in _PAUSES_S:
        await asyncio.sleep(pause_s)
        try:
            await send(places, text, alert)
            return True
        except (httpx2.HTTPError, OSError, ValueError) as error:
            _LOG.warning("%s: %s", name, type(error).__name__)
    return False


async def _webhook(places: Places, text: str, alert: dict[str, object]) -> None:
    assert places.webhook
    body = orjson.dumps({"type": "monitor.alert", "text": text, "alert": alert})
    headers = {"Content-Type": "application/json"}
    if places.webhook_secret:
        digest = hmac.new(places.webhook_secret.encode(), body, hashlib.sha256)
        headers["X-Advisor-Signature"] = f"sha256={digest.hexdigest()}"
    async with httpx2.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as client:
        (await client.post(places.webhook, content=body, headers=headers)).raise_for_status()


async def _slack(places: Places, text: str, _alert: dict[str, object]) -> None:
    """chat.postMessage by hand: one call needs no library."""
    url = places.slack_api_url.rstrip("/") + "/chat.postMessage"
    headers = {"Authorization": f"Bearer {places.slack_token}"}
    said = {"channel": places.slack_channel, "text": text, "unfurl_links": False}
    async with httpx2.AsyncClient(timeout=_TIMEOUT_S) as client:
        answer = await client.post(url, json=said, headers=headers)
    answer.raise_for_status()
    if not answer.json().get("ok"):
        raise ValueError(str(answer.json().get("error")))
