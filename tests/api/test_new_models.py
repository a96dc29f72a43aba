"""New models: the hook, the policy file, and the watched folder."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.cli.watch_dir import models as complete_models
from api.service.policy import Policy
from api.settings import Settings
from knowledge.errors import BadInput
from tests.api.conftest import Live, serving, wait_state

POLICY = """
rules:
  - name: tiny-ones
    models: ["tiny*"]
    engine: sim
    workload: demo
    objective: throughput
    budget: 5m
    trials: 1
    naive: false
    notify: "slack:#inference"
"""


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return path


@pytest.fixture
def hooked(settings_of: Callable[..., Settings], models: Path, policy: Path) -> Iterator[Live]:
    with serving(settings_of(hook_policy=policy, drain_s=0), models) as running:
        yield running


def test_a_model_is_tuned_once_for_each_rule(hooked: Live, policy: Path) -> None:
    tiny = hooked.models / "tiny"
    copy = hooked.models / "tiny-renamed"
    shutil.copytree(tiny, copy)
    other = hooked.models / "other"
    shutil.copytree(tiny, other)
    with hooked.client() as client:
        first = client.post("/v1/hooks/model", json={"model": str(tiny)})
        assert first.status_code == 202
        assert first.json()["rule"] == "tiny-ones"
        session = first.json()["session"]
        again = client.post("/v1/hooks/model", json={"model": str(copy)})
        assert (again.status_code, again.json()["outcome"]) == (200, "skipped")
        assert again.json()["session"] == session  # the same weights under another name
        unfit = client.post("/v1/hooks/model", json={"model": str(other)}).json()
        assert (unfit["outcome"], unfit["rule"]) == ("skipped", None)
        outside = client.post("/v1/hooks/model", json={"model": "/etc/tiny"})
        assert outside.status_code == 403
        client.post(f"/v1/sessions/{session}/cancel", json={"drain_s": 0})
        wait_state(client, session, "cancelled")
        policy.write_text(POLICY.replace("budget: 5m", "budget: 6m"))
        changed = client.post("/v1/hooks/model", json={"model": str(tiny)})
        assert changed.status_code == 202
        job = hooked.server.app.state.service.jobs.get(changed.json()["session"])
        assert (job.origin, job.notify) == ("hook", "slack:#inference")
        client.post(f"/v1/sessions/{job.session}/cancel", json={"drain_s": 0})
        wait_state(client, job.session, "cancelled")


def test_without_a_policy_the_hook_says_so(live: Live) -> None:
    with live.client() as client:
        answer = client.post("/v1/hooks/model", json={"model": "demo"})
    assert answer.status_code == 400
    assert "ADVISOR_HOOK_POLICY" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rules: []", "rules"),
        ("rules: [{name: X, models: [a]}]", "name"),
        ("rules: [{name: x, models: [a], speed: high}]", "speed"),
        ("rules: [", "policy.yaml"),
        ("", "policy.yaml"),
    ],
)
def test_a_wrong_policy_file_is_named_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(BadInput, match=said):
        Policy.load(path)


def test_the_first_rule_that_fits_is_taken() -> None:
    policy = Policy.model_validate(
        {"rules": [{"name": "chat", "models": ["*-instruct"]}, {"name": "all", "models": ["*"]}]}
    )
    assert [policy.rule_for(m).name for m in ("org/X-Instruct", "/m/base", "/m/Y-instruct")] == [  # type: ignore[union-attr]
        "chat", "all", "chat",
    ]  # fmt: skip


def test_only_complete_models_are_seen(models: Path) -> None:
    (models / "half").mkdir()
    (models / "half" / "config.json").write_text("{}")
    loading = models / "org" / "loading"
    shutil.copytree(models / "tiny", loading)
    (loading / "model-2.safetensors.incomplete").write_text("")
    (models / "small.gguf").write_text("GGUF")
    (models / "notes.txt").write_text("")
    found = dict(complete_models(models))
    assert set(found) == {models / "tiny", models / "small.gguf"}
    (loading / "model-2.safetensors.incomplete").unlink()
    assert loading in dict(complete_models(models))


def test_watching_a_folder_starts_a_session_and_not_a_second_one(
    models: Path, policy: Path, tmp_path: Path
) -> None:
    old = time.time() - 3600
    for file in (models / "tiny").iterdir():
        os.utime(file, (old, old))

    def watch() -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "api.cli.main", "watch", str(models), "--policy", str(policy),
             "--once"],
            env={**os.environ, "ADVISOR_HOME": str(tmp_path / "home")},
            capture_output=True, text=True, check=False, timeout=180,
        )  # fmt: skip

    first = watch()
    assert first.returncode == 0, first.stderr
    assert "по правилу tiny-ones" in first.stdout
    assert list((tmp_path / "home" / "data" / "reports").glob("*.md"))
    assert "уже настраивалась" in watch().stdout
