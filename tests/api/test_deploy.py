"""What stands under deploy/ fits the service and passes the schemas of its own tools."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from api.app import create_app
from api.reference import PREFIX, render
from api.service.policy import Policy
from api.settings import Settings

DEPLOY = Path("deploy")
MANIFESTS = list(yaml.safe_load_all((DEPLOY / "kubernetes/advisor.yaml").read_text()))


def test_the_reference_is_complete_and_current() -> None:
    written = (DEPLOY / "configuration.md").read_text()
    assert written == render(), "python -m api.reference > deploy/configuration.md"
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert f"`{PREFIX}{name.upper()}`" in written


def test_only_settings_that_exist_are_set() -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    ours = {"ADVISOR_CHAT_KEY"}  # the chats' own
    for path in DEPLOY.rglob("*"):
        if path.is_file() and path.name != "configuration.md":
            used = set(re.findall(r"\bADVISOR_[A-Z_]+\b", path.read_text()))
            assert used <= known | ours, path


@pytest.mark.parametrize("name", ["compose.yaml", "compose.chat.yaml", "compose.replicas.yaml"])
def test_compose_files_fit_the_compose_specification(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec",
         str(DEPLOY / name)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda m: str(m["kind"]))
def test_manifests_fit_kubernetes_schemas(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, "1.33", strict=True)


RAY = list(yaml.safe_load_all((DEPLOY / "kubernetes/ray.yaml").read_text()))


def test_the_ray_job_is_one_for_kuberay_and_its_pods_fit_kubernetes_schemas() -> None:
    claim, job = RAY
    kubernetes_validate.validate(claim, "1.33", strict=True)
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        template = group["template"]
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ray"}, **template}
        kubernetes_validate.validate(pod, "1.33", strict=True)
        (container,) = template["spec"]["containers"]
        assert {"name": "ADVISOR_HOME", "value": "/data"} in container["env"]
        assert claim["metadata"]["name"] in str(template["spec"]["volumes"])
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


def test_the_ray_job_runs_what_the_command_line_has_with_the_pinned_ray() -> None:
    spec = RAY[1]["spec"]
    words = spec["entrypoint"].split()
    assert words[:2] == ["advisor", "optimize"]
    done = subprocess.run(
        [sys.executable, "-m", "api.cli.main", "optimize", "--help"],
        capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    assert all(word in done.stdout for word in words if word.startswith("--"))
    extras = tomllib.loads(Path("pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras["ray"] == [f"ray[default]=={spec['rayClusterSpec']['rayVersion']}"]


def test_ray_workers_scale_on_gpus_that_may_be_taken_away() -> None:
    cluster = RAY[1]["spec"]["rayClusterSpec"]
    assert cluster["enableInTreeAutoscaling"] is True
    (group,) = cluster["workerGroupSpecs"]
    assert 1 <= group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    pod = group["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert any("spot" in key for key in pod["nodeSelector"])
    assert any("spot" in one["key"] for one in pod["tolerations"])


def test_probes_ask_for_paths_that_the_service_has() -> None:
    paths = set(create_app(Settings()).openapi()["paths"])
    (deployment,) = [m for m in MANIFESTS if m["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]
    assert {probe["path"] for probe in probes} <= paths
    assert container["ports"][0]["containerPort"] == Settings.model_fields["port"].default
    grace = deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    (config,) = [m["data"] for m in MANIFESTS if m["kind"] == "ConfigMap"]
    assert float(config["ADVISOR_DRAIN_S"]) + float(config["ADVISOR_KILL_S"]) < grace
    scrape = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    assert scrape["scrape_configs"][0]["metrics_path"] in paths


def test_the_example_policy_is_one() -> None:
    policy = Policy.load(DEPLOY / "new-models.yaml")
    rule = policy.rule_for("/models/My-7B-Instruct-v2")
    assert rule
    assert rule.name == "chat-models"
    assert rule.request("/models/x").objective == "ttft"
