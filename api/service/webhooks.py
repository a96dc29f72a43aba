"""Tells a user's URL how a session ended; connects to the address that was checked, no other."""

import asyncio
import hashlib
import hmac
import logging

import httpx2
import orjson
from pydantic import SecretStr

from api.errors import ApiError
from api.schemas import SessionView
from api.service.jobs import Job
from api.service.urls import Destination, UrlGuard

_LOG = logging.getLogger("advisor.webhooks")
_PAUSES_S = (0.0, 2.0, 10.0)
_TIMEOUT_S = 10.0


class Webhooks:
    """POST of the session's view, signed where the operator set a secret. No redirects."""

    def __init__(self, urls: UrlGuard, secret: SecretStr | None) -> None:
        self._urls = urls
        self._secret = secret

    async def tell(self, view: SessionView, job: Job) -> None:
        if job.webhook is None:
            return
        body = orjson.dumps({"type": "session.ended", "session": view.model_dump(mode="json")})
        for pause_s in _PAUSES_S:
            await asyncio.sleep(pause_s)
            try:
                await self._post(await self._urls.check(job.webhook, "webhook"), body)
                return
            except (httpx2.HTTPError, OSError, ApiError) as error:
                _LOG.warning("webhook of %s: %s", view.id, type(error).__name__)

    async def _post(self, to: Destination, body: bytes) -> None:
        address = f"[{to.address}]" if ":" in to.address else to.address
        headers = {"Host": to.authority, "Content-Type": "application/json"}
        if self._secret:
            digest = hmac.new(self._secret.get_secret_value().encode(), body, hashlib.sha256)
            headers["X-Advisor-Signature"] = f"sha256={digest.hexdigest()}"
        async with httpx2.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as client:
            answer = await client.post(
                f"{to.scheme}://{address}:{to.port}{to.path}",
                content=body,
                headers=headers,
                extensions={"sni_hostname": to.host},
            )
        answer.raise_for_status()
