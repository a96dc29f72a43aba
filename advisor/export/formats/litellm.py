"""litellm.yaml: the LiteLLM proxy in front of the replicas."""

from typing import Any

from advisor.export.deployment import Deployment
from advisor.export.formats._practice import basis
from advisor.export.formats._words import dump, header

FILE_NAME = "litellm.yaml"
MODE = 0o644

_HOW = """Запуск: litellm --config litellm.yaml --port 4000 (пакет litellm[proxy]).
Переменные: LITELLM_MASTER_KEY, BASE_URL и SPOT_URL (пулы этой модели), BIG_URL, BIG_MODEL и
BIG_KEY (модель побольше для трудных запросов), REDIS_HOST, REDIS_PORT, REDIS_PASSWORD.
Модель «auto» выбирает по сложности запроса: простое — этой модели, трудное — большой.
Повторы — с backoff; после трёх ошибок за минуту реплика отдыхает (circuit breaker).
Кэш ответов годится только для повторяющихся запросов с temperature 0: иначе уберите cache.
Приоритет: поле priority в запросе, 0 — живой пользователь, 100 — фоновое задание."""


def render(deployment: Deployment) -> str | None:
    """Time-outs, retries, cool-down, fallback between pools, complexity router, cache."""
    if deployment.runtime is None:
        return None
    config = {
        "model_list": _models(deployment),
        "router_settings": _router(deployment),
        "litellm_settings": _settings(deployment),
        "general_settings": {
            "master_key": "os.environ/LITELLM_MASTER_KEY",
            "max_parallel_requests": (deployment.practice.concurrency or 16) * 4,
        },
    }
    return header(deployment, f"{_HOW}\n{basis(deployment)}") + "\n" + dump([config])


def _models(what: Deployment) -> list[dict[str, Any]]:
    tiers = {"SIMPLE": what.name, "MEDIUM": what.name, "COMPLEX": "big", "REASONING": "big"}
    big = {"model": "os.environ/BIG_MODEL", "api_base": "os.environ/BIG_URL",
           "api_key": "os.environ/BIG_KEY"}  # fmt: skip
    router = {
        "model": "auto_router/complexity_router",
        "complexity_router_config": {"tiers": tiers},
        "complexity_router_default_model": what.name,
    }
    return [
        _replica(what, what.name, "os.environ/SPOT_URL", 1),
        _replica(what, what.name, "os.environ/BASE_URL", 2),
        {"model_name": "big", "litellm_params": big},
        {"model_name": "auto", "litellm_params": router},
    ]


def _replica(what: Deployment, name: str, url: str, order: int) -> dict[str, Any]:
    """`order`: the spot pool is asked first, the other when it fails."""
    found: dict[str, Any] = {
        "model": "hosted_vllm//model" if what.engine == "vllm" else "openai//model",
        "api_base": url,
        "api_key": "none",
        "timeout": what.practice.timeout_s,
        "stream_timeout": what.practice.first_token_timeout_s,
        "order": order,
    }
    if what.practice.concurrency:
        found["max_parallel_requests"] = what.practice.concurrency
    return {"model_name": name, "litellm_params": found}


def _router(what: Deployment) -> dict[str, Any]:
    return {
        "routing_strategy": "least-busy",
        "num_retries": 2,
        "retry_after": 1,
        "timeout": what.practice.timeout_s,
        "stream_timeout": what.practice.first_token_timeout_s,
        "allowed_fails": 3,
        "cooldown_time": 30,
        "enable_pre_call_checks": True,
        # What is wrong with the request itself is wrong the second time too.
        "retry_policy": {
            "TimeoutErrorRetries": 1,
            "RateLimitErrorRetries": 3,
            "InternalServerErrorRetries": 2,
            "BadRequestErrorRetries": 0,
            "AuthenticationErrorRetries": 0,
            "ContentPolicyViolationErrorRetries": 0,
        },
        "fallbacks": [{what.name: ["big"]}],
        "default_priority": 10,
    }


def _settings(what: Deployment) -> dict[str, Any]:
    return {
        "request_timeout": what.practice.timeout_s,
        "drop_params": False,
        "cache": True,
        "cache_params": {
            "type": "redis",
            "host": "os.environ/REDIS_HOST",
            "port": "os.environ/REDIS_PORT",
            "password": "os.environ/REDIS_PASSWORD",
            "ttl": 600,
            "mode": "default_off",
        },
    }
