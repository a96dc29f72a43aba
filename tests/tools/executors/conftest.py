"""A Ray for the executors' tests, where it is installed, and the world their trials run in."""

from pathlib import Path

import pytest

from tests.advisor.simulated import HARDWARE
from tests.ray_cluster import ray
from tools.home import Home
from tools.preparing import World

__all__ = ["ray"]


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def world(home: Home, tmp_path: Path, lines: list[str]) -> World:
    return World(home=home, hardware=HARDWARE, logs=tmp_path / "logs", progress=lines.append)
