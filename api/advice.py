"""The LLM that gives advice in sessions, as the settings name it.

A session of the service runs in a process that is given no secret: it asks through the service,
which holds the key (`offered` on this side, `adviser_over` on that one).
"""

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from advisor.consultation.types import LlmEndpoint
from advisor.policy.advice import Adviser, Answered, AskFailed, LlmBudget
from api.settings import Settings

if TYPE_CHECKING:
    from api.service.remote_store import RemoteStore

_LOOK_S = 0.5


def adviser_of(settings: Settings) -> Adviser | None:
    """None where no endpoint is configured, or no tokens are granted."""
    if not settings.llm_url or not settings.llm_session_tokens:
        return None
    key = settings.llm_api_key.get_secret_value() if settings.llm_api_key else "none"
    return Adviser.at(
        LlmEndpoint(
            settings.llm_url, settings.llm_model, key, timeout_s=settings.llm_session_timeout_s
        ),
        LlmBudget(settings.llm_session_tokens, settings.llm_input_usd, settings.llm_output_usd),
    )


def offered(
    settings: Settings, loop: asyncio.AbstractEventLoop, alive: Callable[[], bool]
) -> dict[str, Callable[..., object]]:
    """What a session's process may ask for. Called in a thread beside `loop`, on which the question
    is put; it is dropped when nobody is `alive` to hear the answer."""
    adviser = adviser_of(settings)

    def llm_budget() -> dict[str, Any] | None:
        return asdict(adviser.budget) if adviser else None

    def ask_llm(prompt: str, schema: dict[str, Any]) -> tuple[str, Answered | None]:
        """(what went wrong, the answer): one of them."""
        assert adviser
        asked = asyncio.run_coroutine_threadsafe(_asked(adviser, prompt, schema), loop)
        while alive():
            try:
                return asked.result(_LOOK_S)
            except TimeoutError:
                continue
        asked.cancel()
        return "Cancelled", None

    return {"llm_budget": llm_budget, "ask_llm": ask_llm}


async def _asked(
    adviser: Adviser, prompt: str, schema: dict[str, Any]
) -> tuple[str, Answered | None]:
    try:
        return "", await adviser.ask(prompt, schema)
    except AskFailed as failed:
        return str(failed), None


def adviser_over(remote: "RemoteStore") -> Adviser | None:
    """The service's LLM, asked over the pipe; None where it has none."""
    budget = remote.llm_budget()

    async def ask(prompt: str, schema: dict[str, Any]) -> Answered:
        failed, answer = await asyncio.to_thread(remote.ask_llm, prompt, schema)
        if failed:
            raise AskFailed(failed)
        return Answered(*answer)

    return Adviser(ask, LlmBudget(**budget)) if budget else None
