"""compose.yaml for Docker Compose."""

from typing import Any

from advisor.export.deployment import Deployment
from advisor.export.formats._words import MODEL_MOUNT, PORT, caution, dump, header, split

FILE_NAME = "compose.yaml"
MODE = 0o644

_HOW = """Запуск: docker compose up -d; остановка: docker compose down.
Переменные MODEL (папка модели) и PORT (порт на этой машине) можно задать снаружи."""


def render(deployment: Deployment) -> str | None:
    """One service with a health check and the limits of the measured process."""
    runtime = deployment.runtime
    if runtime is None:
        return None
    entrypoint, command = split(deployment)
    probe = f"import urllib.request as r; r.urlopen('http://127.0.0.1:{PORT}{runtime.health}')"
    service: dict[str, Any] = {
        "image": runtime.image,
        "entrypoint": [_literal(word) for word in entrypoint],
        "command": [_literal(word) for word in command],
        "environment": {name: _literal(v) for name, v in deployment.command.env.items()},
        "ports": [f"127.0.0.1:${{PORT:-{PORT}}}:{PORT}"],
        "volumes": [
            {
                "type": "bind",
                "source": f"${{MODEL:-{deployment.command.model_path}}}",
                "target": MODEL_MOUNT,
                "read_only": True,
            }
        ],
        "shm_size": "4gb",
        "healthcheck": {
            "test": ["CMD", "python3", "-c", probe],
            "interval": "10s",
            "timeout": "5s",
            "retries": 3,
            "start_period": f"{max(60, round(deployment.ready_s * 4))}s",
        },
        "restart": "unless-stopped",
        **_machine(deployment),
    }
    text = dump([{"services": {deployment.name: service}}])
    return header(deployment, f"{_HOW}\n{caution(deployment)}") + "\n" + text


def _machine(deployment: Deployment) -> dict[str, Any]:
    if deployment.accelerator == "cuda":
        gpus = {"driver": "nvidia", "count": deployment.devices, "capabilities": ["gpu"]}
        return {"deploy": {"resources": {"reservations": {"devices": [gpus]}}}}
    limits: dict[str, Any] = {"cpus": str(deployment.cores)}
    if deployment.memory_gib:
        limits["memory"] = f"{deployment.memory_gib}gb"
    # Binding threads and memory to cores asks for these two; without them vLLM only warns.
    return {
        "cap_add": ["SYS_NICE"],
        "security_opt": ["seccomp=unconfined"],
        "deploy": {"resources": {"limits": limits}},
    }


def _literal(text: str) -> str:
    """Compose would expand $NAME."""
    return text.replace("$", "$$")
