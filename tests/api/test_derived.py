"""`advisor quantize` and `advisor compress`: what is refused before the work, and one whole run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools import tiny
from tools.home import Home


def run(cache: Home | Path, *args: str) -> "subprocess.CompletedProcess[str]":
    root = cache if isinstance(cache, Path) else cache.cache
    return subprocess.run(
        [sys.executable, "-m", "api.cli.main", *args],
        env={**os.environ, "ADVISOR_HOME": str(root)},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("quantize", "MODEL", "--scheme", "w8a9"), "w8a8"),
        (("quantize", "MODEL", "--scheme", "w8a8", "--option", "dampening=9"), "не больше 1"),
        (("quantize", "MODEL", "--scheme", "bf16", "--calibration", "MODEL/x.txt"), "текст"),
        (("quantize", "MODEL", "--scheme", "w8a8", "--calibration", "/no/such.txt"), "/no/such"),
        (("quantize", "MODEL", "--scheme", "w8a8", "--gpu", "h1000"), "h1000"),
        (("compress", "MODEL", "--method", "wand"), "wanda"),
        (("compress", "MODEL", "--method", "layers", "--option", "ratio=2"), "не больше 0.9"),
        (("compress", "MODEL", "--method", "distill", "--option", "student=/nowhere"), "/nowhere"),
        (("compress", "MODEL", "--method", "wanda", "--pattern", "3:4"), "2-4"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_made(
    args: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    model = tiny.write(tmp_path / "model")
    done = run(tmp_path, *(arg.replace("MODEL", str(model)) for arg in args))
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "cache" / "artifacts").exists()


@pytest.mark.engine
def test_a_model_is_compressed_served_and_compared(real_home: Home, tmp_path: Path) -> None:
    model = tiny.write(tmp_path / "model")
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "envs").symlink_to(real_home.envs)
    options = ("--option", "sparsity=0.9", "--engine", "transformers", "--json", "-")
    done = run(tmp_path, "compress", str(model), "--method", "magnitude", *options)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["size_ratio"] == pytest.approx(2.0, abs=0.1)
    assert told["details"]["sparsity"] == pytest.approx(0.9, abs=0.01)
    assert told["engine"] == "transformers"
    assert told["quality"]["loss_nats_per_token"]["n"] == 24
    assert told["quality"]["non_inferior"] is False  # nine of ten weights are gone
    assert told["metrics"]["output_tokens_per_s"]["value"] > 0
    assert "magnitude: слой 4 из 4" in done.stderr
    assert [p.name for p in (cache / "artifacts" / ".partial").iterdir()] == []
