"""keda.yaml: replicas by the depth of the queue, the spot pool first."""

import math
from typing import Any

from advisor.export.deployment import Deployment
from advisor.export.formats._practice import basis, queue_limit
from advisor.export.formats._words import dump, header
from tools.monitor.dialect import Dialect, dialects

FILE_NAME = "keda.yaml"
MODE = 0o644

_HOW = """Запуск: kubectl apply -f keda.yaml (нужны KEDA и Prometheus; адрес — serverAddress).
Сигнал — очередь движка, а не загрузка GPU: при continuous batching она высока и без очереди.
Сначала растёт spot; on-demand растёт, когда очередь вдвое длиннее, то есть spot не успел
или его не дают. Если Prometheus молчит, держится fallback.replicas."""
_PROMETHEUS = "http://prometheus-server.monitoring.svc:80"


def render(deployment: Deployment) -> str | None:
    """Two ScaledObjects; None for an engine that tells no queue."""
    dialect = dialects().get(deployment.engine)
    if deployment.runtime is None or dialect is None or dialect.waiting is None:
        return None
    limit = queue_limit(deployment)
    documents = [
        _scaled(deployment, dialect, "spot", limit, least=0, most=8),
        _scaled(deployment, dialect, "on-demand", 2 * limit, least=1, most=4),
    ]
    return header(deployment, f"{_HOW}\n{basis(deployment)}") + "---\n" + dump(documents)


def _scaled(
    what: Deployment, dialect: Dialect, pool: str, limit: int, *, least: int, most: int
) -> dict[str, Any]:
    name = f"{what.name}-{pool}"
    # A new replica helps only once it has started: to go down sooner would be to flap.
    patience_s = max(300, math.ceil(what.ready_s * 4))
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "pollingInterval": 15,
            "cooldownPeriod": patience_s,
            "minReplicaCount": least,
            "maxReplicaCount": most,
            "fallback": {"failureThreshold": 4, "replicas": max(1, least)},
            "advanced": {
                "horizontalPodAutoscalerConfig": {
                    "behavior": {
                        "scaleUp": {
                            "stabilizationWindowSeconds": 0,
                            "policies": [{"type": "Pods", "value": 2, "periodSeconds": 60}],
                        },
                        "scaleDown": {
                            "stabilizationWindowSeconds": patience_s,
                            "policies": [{"type": "Pods", "value": 1, "periodSeconds": 120}],
                        },
                    }
                }
            },
            "triggers": [
                {
                    "type": "prometheus",
                    "metadata": {
                        "serverAddress": _PROMETHEUS,
                        "query": f'sum({dialect.waiting}{{app="{what.name}"}})',
                        "threshold": str(limit),
                        "activationThreshold": "0",
                    },
                }
            ],
        },
    }
