"""envoy.yaml: Envoy in front of the replicas."""

from typing import Any

from advisor.export.deployment import Deployment
from advisor.export.formats._practice import basis
from advisor.export.formats._words import dump, header

FILE_NAME = "envoy.yaml"
MODE = 0o644

_HOW = """Проверка: envoy --mode validate -c envoy.yaml; запуск: envoy -c envoy.yaml.
Замените имена spot.example и on-demand.example своими. Запросы идут в spot (priority 0), а когда
его здоровых узлов мало, в on-demand (priority 1). Заголовок x-priority: batch — фоновые запросы:
у них свой, меньший предел, и живых они не вытесняют. Повтор — только до начала ответа.
Кэша ответов здесь нет: запросы к модели — POST, их Envoy не кэширует; он в litellm.yaml."""
_CONNECT_S = "2s"
_RETRY_ON = "connect-failure,refused-stream,reset-before-request,retriable-status-codes"
_TYPE = "type.googleapis.com/envoy.extensions"


def render(deployment: Deployment) -> str | None:
    """Time-outs, retries with backoff, circuit breakers by priority, ejection, fall-back pool."""
    if deployment.runtime is None:
        return None
    config = {
        "admin": {"address": _address("127.0.0.1", 9901)},
        "static_resources": {
            "listeners": [_listener(deployment)],
            "clusters": [_cluster(deployment)],
        },
    }
    return header(deployment, f"{_HOW}\n{basis(deployment)}") + "\n" + dump([config])


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def _listener(what: Deployment) -> dict[str, Any]:
    manager = {
        "@type": f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "llm",
        # On SIGTERM what is in flight ends first.
        "drain_timeout": f"{what.practice.drain_s}s",
        "stream_idle_timeout": f"{what.practice.first_token_timeout_s}s",
        "request_headers_timeout": "10s",
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPE}.filters.http.router.v3.Router"},
            }
        ],
        "route_config": {
            "name": "llm",
            "virtual_hosts": [
                {
                    "name": "llm",
                    "domains": ["*"],
                    "routes": [_route(what, batch=True), _route(what, batch=False)],
                }
            ],
        },
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {
        "name": "llm",
        "address": _address("127.0.0.1", 8080),
        "per_connection_buffer_limit_bytes": 1 << 20,
        "filter_chains": [{"filters": filters}],
    }


def _route(what: Deployment, *, batch: bool) -> dict[str, Any]:
    match: dict[str, Any] = {"prefix": "/"}
    if batch:
        match["headers"] = [{"name": "x-priority", "string_match": {"exact": "batch"}}]
    return {
        "match": match,
        "route": {
            "cluster": what.name,
            "priority": "DEFAULT" if batch else "HIGH",
            "timeout": f"{what.practice.timeout_s}s",
            "idle_timeout": f"{what.practice.first_token_timeout_s}s",
            "retry_policy": {
                "retry_on": _RETRY_ON,
                "retriable_status_codes": [429, 502, 503],
                "num_retries": 1 if batch else 2,
                "retry_back_off": {"base_interval": "0.25s", "max_interval": "5s"},
                "retry_priority": {
                    "name": "envoy.retry_priorities.previous_priorities",
                    "typed_config": {
                        "@type": f"{_TYPE}.retry.priority.previous_priorities.v3."
                        "PreviousPrioritiesConfig",
                        "update_frequency": 1,
                    },
                },
            },
        },
    }


def _cluster(what: Deployment) -> dict[str, Any]:
    assert what.runtime is not None
    limit = (what.practice.concurrency or 16) * 4
    return {
        "name": what.name,
        "type": "STRICT_DNS",
        "connect_timeout": _CONNECT_S,
        "lb_policy": "LEAST_REQUEST",
        "load_assignment": {
            "cluster_name": what.name,
            "endpoints": [_pool("spot.example", 0), _pool("on-demand.example", 1)],
        },
        "health_checks": [
            {
                "timeout": "5s",
                "interval": "10s",
                "unhealthy_threshold": 3,
                "healthy_threshold": 1,
                "http_health_check": {"path": what.runtime.health},
            }
        ],
        "circuit_breakers": {
            "thresholds": [
                _threshold("HIGH", limit, limit // 2),
                _threshold("DEFAULT", max(1, limit // 4), max(1, limit // 8)),
            ]
        },
        "outlier_detection": {
            "consecutive_5xx": 5,
            "interval": "10s",
            "base_ejection_time": "30s",
            "max_ejection_percent": 50,
        },
    }


def _pool(host: str, priority: int) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": _address(host, 80)}}
    return {"priority": priority, "lb_endpoints": [endpoint]}


def _threshold(priority: str, requests: int, pending: int) -> dict[str, Any]:
    return {
        "priority": priority,
        "max_connections": requests * 2,
        "max_requests": requests,
        "max_pending_requests": pending,
        "max_retries": max(1, requests // 10),
    }
