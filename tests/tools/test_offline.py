"""What is packed for a host without a network is named beforehand, and what lacks is said."""

import runpy
from pathlib import Path

import pytest

PINS = runpy.run_path(str(Path(__file__).parents[2] / "tools" / "offline" / "runtime_pins.py"))
ROOT = "inference-advisor"


def test_pins_hold_what_is_needed_and_what_that_needs():
    found = PINS["pins"](ROOT)
    assert {"fastapi", "starlette", "duckdb", "pydantic-core"} <= set(found)
    assert not {"pytest", "ruff", "torch"} & set(found)
    assert set(found) < set(PINS["pins"](ROOT, ["dev"]))


@pytest.mark.parametrize(("extras", "lacking"), [([], []), (["dev"], []), (["rya"], ["extra rya"])])
def test_an_extra_that_is_not_there_is_named(extras, lacking):
    assert PINS["missing"](ROOT, extras) == lacking


def test_an_extra_that_is_not_installed_is_named(monkeypatch):
    missing = PINS["missing"]
    error = missing.__globals__["importlib"].metadata.PackageNotFoundError

    def version(name):
        raise error(name)

    monkeypatch.setattr(missing.__globals__["importlib"].metadata, "version", version)
    assert "ray" in missing(ROOT, ["ray"])
