"""What is exported for production is taken by the very tools that it is written for."""

import json
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from advisor.export import deployment, export
from tests.advisor.export.validators import ENVOY, KEDA, LITELLM, node_tool, program, python_tool
from tests.advisor.report import examples as ex
from tools.monitor.dialect import dialects

HERE = Path(__file__).parent
KUBERNETES = ("1.33",)
_KEDA_CHECK = """
const { ScaledObject } = require("@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject");
for (const one of JSON.parse(require("fs").readFileSync(0))) new ScaledObject(one).validate();
"""


@pytest.fixture
def out(tmp_path: Path) -> Path:
    export(ex.RECORD, tmp_path)
    return tmp_path


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


@pytest.mark.slow
def test_envoy_takes_its_file(out: Path) -> None:
    envoy = python_tool("envoy", ENVOY) / "envoy"
    check = [str(envoy), "--mode", "validate", "-c", str(out / "envoy.yaml")]
    done = subprocess.run(check, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr[-500:]
    broken = out / "broken.yaml"
    broken.write_text((out / "envoy.yaml").read_text().replace("max_pending_requests", "max_hopes"))
    done = subprocess.run([*check[:-1], str(broken)], capture_output=True, check=False, timeout=60)
    assert done.returncode != 0, "the check can fail"


@pytest.mark.slow
def test_litellm_takes_its_file(out: Path) -> None:
    python = python_tool("litellm", LITELLM) / "python"
    check = [str(python), str(HERE / "_litellm_check.py"), str(out / "litellm.yaml")]
    done = subprocess.run(check, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr[-800:]
    assert "smollm2-135m-instruct" in done.stdout
    broken = out / "broken.yaml"
    broken.write_text((out / "litellm.yaml").read_text().replace("cooldown_time", "rest_time"))
    done = subprocess.run([*check[:-1], str(broken)], capture_output=True, check=False, timeout=200)
    assert done.returncode != 0, "the check can fail"


@pytest.mark.slow
def test_keda_takes_its_file(out: Path) -> None:
    folder = node_tool("keda", KEDA)
    found = documents(out / "keda.yaml")

    def check(objects: list[dict[str, Any]]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [program("node"), "-e", _KEDA_CHECK], cwd=folder, input=json.dumps(objects),
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    done = check(found)
    assert done.returncode == 0, done.stderr[-500:]
    found[0]["spec"]["minReplicaCount"] = "many"
    assert check(found).returncode != 0, "the check can fail"


def test_kubernetes_takes_its_objects(out: Path) -> None:
    found = documents(out / "kubernetes-production.yaml")
    assert [d["kind"] for d in found] == [
        "PriorityClass", "PriorityClass", "Deployment", "Deployment", "Service",
        "PodDisruptionBudget", "Job",
    ]  # fmt: skip
    for document in found:
        for version in KUBERNETES:
            kubernetes_validate.validate(document, version, strict=True)


def test_the_objects_fit_together(out: Path) -> None:
    found = documents(out / "kubernetes-production.yaml")
    pools = [d for d in found if d["kind"] == "Deployment"]
    names = {d["metadata"]["name"] for d in found}
    (service,) = [d for d in found if d["kind"] == "Service"]
    (budget,) = [d for d in found if d["kind"] == "PodDisruptionBudget"]
    (job,) = [d for d in found if d["kind"] == "Job"]
    for pool in pools:
        pod = pool["spec"]["template"]
        labels, spec = pod["metadata"]["labels"], pod["spec"]
        assert pool["spec"]["selector"]["matchLabels"].items() <= labels.items()
        assert service["spec"]["selector"].items() <= labels.items()
        assert budget["spec"]["selector"]["matchLabels"].items() <= labels.items()
        assert spec["priorityClassName"] in names
        (container,) = spec["containers"]
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
        assert container["resources"]["limits"]["memory"]
        asleep = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
        drain_s = deployment(ex.RECORD).practice.drain_s
        assert spec["terminationGracePeriodSeconds"] >= asleep + drain_s
    job_labels = job["spec"]["template"]["metadata"]["labels"]
    assert not service["spec"]["selector"].items() <= job_labels.items(), "no traffic to the job"
    compile(job["spec"]["template"]["spec"]["containers"][0]["command"][2], "warm-up", "exec")
    scaled = documents(out / "keda.yaml")
    targets = {d["spec"]["scaleTargetRef"]["name"] for d in scaled}
    assert targets == {d["metadata"]["name"] for d in pools}
    spot, steady = (d["spec"]["triggers"][0]["metadata"] for d in scaled)
    assert int(spot["threshold"]) < int(steady["threshold"]), "spot grows first"
    assert str(dialects()["vllm"].waiting) in spot["query"]


def test_limits_come_from_the_measured_trial(out: Path) -> None:
    limits = deployment(ex.RECORD).practice
    trial = ex.TRIALS[-1]
    assert trial.measurement
    (config,) = documents(out / "litellm.yaml")
    (envoy,) = documents(out / "envoy.yaml")
    assert config["router_settings"]["timeout"] == limits.timeout_s
    text = json.dumps(envoy)
    assert f'"timeout": "{limits.timeout_s}s"' in text
    assert '"HIGH"' in text
    said = (out / "litellm.yaml").read_text()
    assert (f"из испытания {trial.trial_id}" in said) == limits.measured_timeouts


def test_without_a_known_engine_there_is_no_gateway(tmp_path: Path) -> None:
    spec = ex.TRIALS[-1].spec
    other = spec.candidate.replace(config=spec.candidate.config.replace(engine="sim"))
    last = ex.TRIALS[-1].replace(spec=spec.replace(candidate=other))
    test = ex.RECORD.production
    assert test
    record = ex.RECORD.replace(
        trials=(*ex.TRIALS[:-1], last), production=test.replace(winner_trial_id=last.trial_id)
    )
    assert [p.name for p in export(record, tmp_path)] == ["start.sh"]
