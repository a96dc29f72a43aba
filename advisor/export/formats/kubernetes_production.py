"""kubernetes-production.yaml: two pools, drain, budgets, priorities and a warm-up job."""

import math
from typing import Any

from advisor.export.deployment import Deployment
from advisor.export.formats import kubernetes
from advisor.export.formats._practice import basis
from advisor.export.formats._words import caution, dump, header

FILE_NAME = "kubernetes-production.yaml"
MODE = 0o644

_HOW = """Запуск: kubectl apply -f kubernetes-production.yaml; потом keda.yaml.
Вместо kubernetes.yaml, не вместе с ним. Два пула: постоянный (on-demand) и дешёвый (spot, можно
потерять в любую минуту). Если spot-узлов нет, его поды ждут, а очередь берёт на себя on-demand.
Метку и taint spot-узлов (advisor/capacity: spot) поставьте по своему облаку.
После выкладки Job прогревает сервис; при следующей удалите его и примените файл снова."""
_WARM_UP = """\
import json, time, urllib.request as r
url = "http://{name}/v1/"
model = json.load(r.urlopen(url + "models", timeout=30))["data"][0]["id"]
for n in range({count}):
    body = {{"model": model, "prompt": f"Warm-up {{n}} {{time.time()}}", "max_tokens": 16}}
    asked = r.Request(url + "completions", json.dumps(body).encode(),
                      {{"Content-Type": "application/json"}})
    r.urlopen(asked, timeout={timeout_s}).read()
print("warm")
"""


def render(deployment: Deployment) -> str | None:
    """Seven objects in one file."""
    if deployment.runtime is None:
        return None
    service = kubernetes._service(deployment)
    documents = [
        _priority(deployment, "interactive", 1000, "Живые запросы людей"),
        _priority(deployment, "batch", 100, "Фоновые задания: уступают место живым"),
        _pool(deployment, "on-demand"),
        _pool(deployment, "spot"),
        service,
        _budget(deployment),
        _warm_up(deployment),
    ]
    how = f"{_HOW}\n{basis(deployment)}\n{caution(deployment)}"
    return header(deployment, how) + "---\n" + dump(documents)


def _pool(what: Deployment, pool: str) -> dict[str, Any]:
    found = kubernetes._deployment(what)
    labels = {"app": what.name, "pool": pool}
    spec = found["spec"]
    found["metadata"] = {"name": f"{what.name}-{pool}", "labels": labels}
    spec["replicas"] = 1 if pool == "on-demand" else 0
    spec["selector"] = {"matchLabels": labels}
    spec["strategy"] = {
        "type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
    }  # fmt: skip
    # A pod that starts slowly is not a rollout that failed.
    spec["progressDeadlineSeconds"] = max(600, math.ceil(what.ready_s * 8))
    template = spec["template"]
    template["metadata"] = {
        "labels": labels,
        "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "8000"},
    }
    pod = template["spec"]
    pod["priorityClassName"] = f"{what.name}-interactive"
    # preStop, then SIGTERM, then what is in flight.
    pod["terminationGracePeriodSeconds"] = what.practice.drain_s + _PRE_STOP_S
    pod["topologySpreadConstraints"] = [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"app": what.name}},
        }
    ]
    (container,) = pod["containers"]
    # Time for the endpoints and gateways to forget this pod before it stops taking requests.
    container["lifecycle"] = {"preStop": {"exec": {"command": ["sleep", str(_PRE_STOP_S)]}}}
    if pool == "spot":
        pod["nodeSelector"] = {"advisor/capacity": "spot"}
        pod["tolerations"] = [
            {"key": "advisor/capacity", "operator": "Equal", "value": "spot",
             "effect": "NoSchedule"}
        ]  # fmt: skip
    return found


_PRE_STOP_S = 15


def _priority(what: Deployment, name: str, value: int, text: str) -> dict[str, Any]:
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": f"{what.name}-{name}"},
        "value": value,
        "globalDefault": False,
        "description": text,
    }


def _budget(what: Deployment) -> dict[str, Any]:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": what.name, "labels": {"app": what.name}},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": what.name}}},
    }


def _warm_up(what: Deployment) -> dict[str, Any]:
    """Short requests, so that kernels are compiled and graphs captured before users come."""
    assert what.runtime is not None
    script = _WARM_UP.format(name=what.name, count=8, timeout_s=what.practice.timeout_s)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"{what.name}-warm-up", "labels": {"app": f"{what.name}-warm-up"}},
        "spec": {
            # Each failed try waits longer: the server may still be starting.
            "backoffLimit": 10,
            "activeDeadlineSeconds": max(600, math.ceil(what.ready_s * 8)),
            "ttlSecondsAfterFinished": 3600,
            "template": {
                "metadata": {"labels": {"app": f"{what.name}-warm-up"}},
                "spec": {
                    "restartPolicy": "Never",
                    "priorityClassName": f"{what.name}-batch",
                    "containers": [
                        {
                            "name": "warm-up",
                            "image": "python:3.12-alpine",
                            "command": ["python", "-c", script],
                            "resources": {
                                "requests": {"cpu": "100m", "memory": "64Mi"},
                                "limits": {"cpu": "500m", "memory": "128Mi"},
                            },
                        }
                    ],
                },
            },
        },
    }
