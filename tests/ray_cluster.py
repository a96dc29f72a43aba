"""A Ray on this machine that is told of two cores and four H100, for a module's tests."""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NICENESS = "RAY_worker_niceness"


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    found = pytest.importorskip("ray", reason="пакет ray не установлен: pip install -e '.[ray]'")
    # Its processes take this from the environment: on a busy machine theirs would starve.
    os.environ[NICENESS] = "0"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found.init(
            "local",  # never a cluster that happens to be there
            num_cpus=2,
            num_gpus=4,
            resources={"accelerator_type:H100": 1},  # as a node tells of its cards
            object_store_memory=200 * 2**20,
            include_dashboard=False,
            log_to_driver=False,
            runtime_env={"env_vars": {"PYTHONPATH": str(Path.cwd())}},
        )
        yield found
        found.shutdown()
    del os.environ[NICENESS]
