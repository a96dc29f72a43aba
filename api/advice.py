"""The LLM that gives advice in sessions, as the settings name it."""

from advisor.consultation.types import LlmEndpoint
from advisor.policy.advice import Adviser, LlmBudget
from api.settings import Settings


def adviser_of(settings: Settings) -> Adviser | None:
    """None where no endpoint is configured, or no tokens are granted."""
    if not settings.llm_url or not settings.llm_session_tokens:
        return None
    key = settings.llm_api_key.get_secret_value() if settings.llm_api_key else "none"
    return Adviser(
        LlmEndpoint(
            settings.llm_url, settings.llm_model, key, timeout_s=settings.llm_session_timeout_s
        ),
        LlmBudget(settings.llm_session_tokens, settings.llm_input_usd, settings.llm_output_usd),
    )
