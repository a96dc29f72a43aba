"""Every metric of the dashboards and the alert rules exists; every expression parses."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from tests.advisor.export.validators import program
from tests.api.conftest import Live
from tools.monitor.dialect import dialects
from tools.monitor.exposition import Scrape

DASHBOARDS = sorted(Path("deploy/grafana/provisioning/dashboards").glob("*.json"))
RULES = sorted(Path("deploy/prometheus/rules").glob("*.yml"))
CAPTURED = Path(__file__).parent / "vllm-0.32.0.metrics.txt"
"""/metrics of a real vLLM 0.32.0 (CPU build) after three requests, captured on 2026-11-25."""
PROMETHEUS_ITSELF = {"up"}
_VARIABLES = {"$__rate_interval": "5m", "$model": "m"}


def names(expression: str) -> set[str]:
    """Metric names of a PromQL expression, by its real parser."""
    for variable, value in _VARIABLES.items():
        expression = expression.replace(variable, value)
    promql_parser.parse(expression)
    shown = promql_parser.parse(expression).prettify()
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(?:by|on)\s*\([^)]*\)', " ", shown)
    words = re.findall(r"[a-zA-Z_][\w:]*(?!\s*\()\b(?!\s*\()", bare)
    return {w for w in words if "_" in w or ":" in w or w == "up"} - _FUNCTIONS


_FUNCTIONS = {"histogram_quantile", "predict_linear", "avg_over_time", "min_over_time"}


def panels() -> Iterator[tuple[str, str, str]]:
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                yield path.stem, panel["title"], target["expr"]


def rules() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                yield path.stem, rule


@pytest.fixture(scope="session")
def captured() -> set[str]:
    return set(Scrape.parse(CAPTURED.read_text()).samples)


def test_names_are_read_from_expressions() -> None:
    found = names('sum by (le) (rate(vllm:a_bucket{model_name=~"$model"}[$__rate_interval])) / up')
    assert found == {"vllm:a_bucket", "up"}


@pytest.mark.parametrize(("board", "title", "expression"), list(panels()))
def test_every_panel_asks_for_metrics_that_exist(
    board: str, title: str, expression: str, captured: set[str], request: pytest.FixtureRequest
) -> None:
    asked = names(expression)
    assert asked
    known = captured if board == "vllm" else _own(request.getfixturevalue("live"))
    assert asked <= known, title


@pytest.mark.parametrize(("file", "rule"), list(rules()))
def test_every_rule_asks_for_metrics_that_exist(
    file: str, rule: dict[str, Any], captured: set[str], request: pytest.FixtureRequest
) -> None:
    recorded = {r["record"] for _, r in rules() if "record" in r}
    known = captured if file == "vllm" else _own(request.getfixturevalue("live"))
    assert names(rule["expr"]) <= known | recorded | PROMETHEUS_ITSELF
    if "alert" in rule:
        assert rule["labels"]["severity"] in ("info", "warning", "critical")
        assert {"summary", "description"} <= set(rule["annotations"])


def test_the_dialect_that_is_marked_as_checked_was_seen(captured: set[str]) -> None:
    dialect = dialects()["vllm"]
    assert dialect.source.checked
    for field in ("ttft", "tpot", "e2e", "input_tokens", "output_tokens"):
        assert f"{getattr(dialect, field)}_bucket" in captured
    plain = {dialect.running, dialect.waiting, dialect.kv_usage, dialect.preemptions,
             dialect.generated, dialect.finished and dialect.finished.name}  # fmt: skip
    assert plain <= captured


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda p: p.stem)
def test_dashboards_have_what_grafana_asks_for(path: Path) -> None:
    board = json.loads(path.read_text())
    assert board["uid"]
    assert board["schemaVersion"] >= 39
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(at["x"] + i, at["y"] + j) for i in range(at["w"]) for j in range(at["h"])}
        assert not cells & taken, f"{panel['title']} lies on another"
        taken |= cells
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert {t["refId"] for t in panel["targets"]}
        assert all(t["datasource"]["uid"] == "${datasource}" for t in panel["targets"])


def test_promtool_takes_rules_and_configuration() -> None:
    promtool = program("promtool")
    for arguments in (["rules", *map(str, RULES)],
                      ["config", "--syntax-only", "deploy/prometheus/prometheus.yml"]):  # fmt: skip
        done = subprocess.run(
            [promtool, "check", *arguments], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr


def _own(live: Live) -> set[str]:
    with live.client() as client:
        return set(Scrape.parse(client.get("/metrics").text).samples)
