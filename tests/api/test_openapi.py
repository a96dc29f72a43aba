"""The OpenAPI document is true: schemathesis tries it, and its names do not change unseen."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from jsonschema_rs import validator_for
from schemathesis import GenerationMode

from api.app import create_app, route_modules
from api.settings import Settings
from tests.advisor.simulated import HARDWARE
from tests.api.conftest import serving

OPERATIONS = {
    "cancelSession", "createChatCompletion", "createSession", "getModel", "getQueue", "getRecord",
    "getReport", "getReportPicture", "getSession", "health", "listModels", "listRows",
    "listSessions", "listTechniques", "listTrials", "metrics", "newModel", "plan", "ready",
    "resumeSession", "streamEvents",
}  # fmt: skip


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One server for all that schemathesis tries. Only the simulated engine may be asked for."""
    patch = pytest.MonkeyPatch()
    patch.setattr("api.service.service.inspect", lambda _home: HARDWARE)
    home = tmp_path_factory.mktemp("fuzzed")
    policy = home / "policy.yaml"
    policy.write_text('rules: [{name: all, models: ["*"], engine: sim}]')
    made = Settings(
        home=home, port=0, rate_per_minute=10**6, rate_burst=10**6, engines=("sim",),
        hook_policy=policy, log_level="warning", consultants=0,
    )  # fmt: skip
    with serving(made, home) as live:
        yield schemathesis.openapi.from_url(
            f"{live.url}/openapi.json", headers={"Authorization": f"Bearer {live.run_key}"}
        )
    patch.undo()


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_answer_is_documented_and_none_is_a_crash(
    fuzzed: Any, name: str, mode: GenerationMode
) -> None:
    operations = [found.ok() for found in fuzzed.get_all_operations()]
    (operation,) = [o for o in operations if o.definition.raw["operationId"] == name]
    wrongable = {"parameters", "requestBody"} & set(operation.definition.raw)
    if mode is GenerationMode.NEGATIVE and not wrongable:
        pytest.skip("nothing to get wrong")

    @hypothesis_settings(
        max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def attempt(case: Any) -> None:
        case.call_and_validate(timeout=60)

    attempt()


def document() -> dict[str, Any]:
    return create_app(Settings()).openapi()


def test_operation_ids_are_stable() -> None:
    found = {
        operation["operationId"]
        for methods in document()["paths"].values()
        for operation in methods.values()
    }
    assert found >= OPERATIONS, "a client generated from the document would break"


def test_every_guarded_operation_names_its_key_and_its_errors() -> None:
    for path, methods in document()["paths"].items():
        for operation in methods.values():
            if path.startswith("/v1/"):
                assert operation["security"] == [{"bearer": []}], path
                assert {"401", "403", "429"} <= set(operation["responses"]), path
            assert "422" not in operation["responses"]
            assert operation["summary"]


def test_examples_fit_their_schemas() -> None:
    parts = document()["components"]["schemas"]
    tried = 0
    for name in ("SessionRequest", "ChatRequest"):
        rooted = parts[name] | {"components": {"schemas": parts}}
        for example in parts[name]["examples"]:
            assert validator_for(rooted).is_valid(example), name
            tried += 1
    assert tried == 4


def test_a_route_is_found_by_its_file_name(settings_of: Callable[..., Settings]) -> None:
    files = {p.stem for p in Path("api/routes").glob("*.py") if not p.stem.startswith("_")}
    assert {module.__name__.rpartition(".")[2] for module in route_modules()} == files
