"""What stands under deploy/ fits the service and passes the schemas of its own tools."""

import re
import subprocess
import sys
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
