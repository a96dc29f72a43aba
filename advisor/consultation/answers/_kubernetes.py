"""The launch command as a Kubernetes Deployment that waits for its weights."""

from collections.abc import Sequence

_START_MINUTES = 15
"""How long a start may take before it counts as dead: weights, compilation, CUDA graphs."""


def manifest(flags: Sequence[str], cards: int, port: str) -> str:
    """`flags`: the model, then the engine's flags."""
    name = flags[0].rsplit("/", 1)[-1].lower().replace(".", "-").replace("_", "-")
    arguments = [
        f"            - {part}"
        for flag in (f"--model {flags[0]}", *flags[1:], f"--port {port}")
        for part in _parts(flag)
    ]
    return "\n".join(
        [
            "apiVersion: apps/v1",
            "kind: Deployment",
            f"metadata: {{name: {name}}}",
            "spec:",
            "  replicas: 1",
            f"  selector: {{matchLabels: {{app: {name}}}}}",
            "  template:",
            f"    metadata: {{labels: {{app: {name}}}}}",
            "    spec:",
            "      containers:",
            "        - name: vllm",
            "          image: vllm/vllm-openai:latest  # закрепите версию",
            "          args:",
            *arguments,
            f"          ports: [{{containerPort: {port}}}]",
            "          env:",
            "            - name: HF_TOKEN",
            "              valueFrom: {secretKeyRef: {name: hf, key: token, optional: true}}",
            f"          resources: {{limits: {{nvidia.com/gpu: {cards}}}}}",
            "          startupProbe:  # пока он не прошёл, livenessProbe молчит",
            f"            httpGet: {{path: /health, port: {port}}}",
            "            periodSeconds: 10",
            f"            failureThreshold: {_START_MINUTES * 6}  # {_START_MINUTES} минут",
            "          readinessProbe:",
            f"            httpGet: {{path: /health, port: {port}}}",
            "          livenessProbe:",
            f"            httpGet: {{path: /health, port: {port}}}",
            "            periodSeconds: 20",
            "          volumeMounts:",
            "            - {name: shm, mountPath: /dev/shm}",
            "            - {name: weights, mountPath: /root/.cache/huggingface}",
            "      volumes:",
            "        - {name: shm, emptyDir: {medium: Memory, sizeLimit: 8Gi}}",
            "        - {name: weights, persistentVolumeClaim: {claimName: weights}}",
        ]
    )


def _parts(flag: str) -> list[str]:
    """A flag and its value; adapters are several values, JSON in quotes is one."""
    return flag.split(" ") if flag.startswith("--lora-modules ") else flag.split(" ", 1)
