"""kubernetes.yaml: a Deployment and its Service."""

import math
from typing import Any

from advisor.export.deployment import Deployment
from advisor.export.formats._words import MODEL_MOUNT, PORT, caution, dump, header, split

FILE_NAME = "kubernetes.yaml"
MODE = 0o644

_HOW = """Запуск: kubectl apply -f kubernetes.yaml.
Папка модели берётся с узла (hostPath). В кластере из нескольких узлов замените её на
PersistentVolumeClaim или положите модель по этому пути на каждый узел."""


def render(deployment: Deployment) -> str | None:
    """Two objects in one file; probes wait four times as long as the measured start took."""
    if deployment.runtime is None:
        return None
    text = dump([_deployment(deployment), _service(deployment)])
    return header(deployment, f"{_HOW}\n{caution(deployment)}") + "---\n" + text


def _deployment(what: Deployment) -> dict[str, Any]:
    labels = {"app": what.name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": what.name, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            # Two copies at once would not fit: the new one waits for the old one to go.
            "strategy": {"type": "Recreate"},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": [_container(what)],
                    "volumes": [
                        {
                            "name": "model",
                            "hostPath": {"path": what.command.model_path, "type": "Directory"},
                        },
                        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "4Gi"}},
                    ],
                },
            },
        },
    }


def _container(what: Deployment) -> dict[str, Any]:
    assert what.runtime is not None
    command, arguments = split(what)
    health = {"httpGet": {"path": what.runtime.health, "port": "http"}}
    return {
        "name": "engine",
        "image": what.runtime.image,
        "command": [_literal(word) for word in command],
        "args": [_literal(word) for word in arguments],
        "env": [{"name": k, "value": _literal(v)} for k, v in what.command.env.items()],
        "ports": [{"name": "http", "containerPort": PORT}],
        "startupProbe": {
            **health,
            "periodSeconds": 5,
            "failureThreshold": max(12, math.ceil(what.ready_s * 4 / 5)),
        },
        "readinessProbe": {**health, "periodSeconds": 5},
        "livenessProbe": {**health, "periodSeconds": 10, "timeoutSeconds": 5},
        "resources": _resources(what),
        "volumeMounts": [
            {"name": "model", "mountPath": MODEL_MOUNT, "readOnly": True},
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 - the container's own
        ],
    }


def _resources(what: Deployment) -> dict[str, Any]:
    """Requests equal limits, so that the pod is Guaranteed and may get cores of its own."""
    wanted: dict[str, str] = {"cpu": str(what.cores)}
    if what.memory_gib:
        wanted["memory"] = f"{what.memory_gib}Gi"
    if what.accelerator == "cuda":
        wanted = {"nvidia.com/gpu": str(what.devices)}
    return {"requests": dict(wanted), "limits": dict(wanted)}


def _service(what: Deployment) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": what.name, "labels": {"app": what.name}},
        "spec": {
            "selector": {"app": what.name},
            "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
        },
    }


def _literal(text: str) -> str:
    """Kubernetes would expand $(NAME)."""
    return text.replace("$(", "$$(")
