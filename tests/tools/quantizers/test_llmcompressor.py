import sys
from pathlib import Path

import pytest

from knowledge.errors import ArtifactFailed, BadInput
from knowledge.types import Artifact, FlagValue, ModelSpec
from tools.envs import Environment
from tools.home import Home
from tools.load.corpus import HELDOUT_PART, load_text, paragraphs
from tools.quantizers import llmcompressor, load

ENV = Environment(Path(sys.prefix), Path(sys.executable), {})

STAND_IN = """
import json, pathlib, sys
job = json.loads(sys.stdin.read())
out = pathlib.Path(job["out"])
(out / "model.safetensors").write_bytes(b"0" * 1000)
(out / "job.json").write_text(json.dumps(job))
print(json.dumps({"progress": "слой 1 из 2"}), flush=True)
print(json.dumps({"result": {"method": job["method"], "seconds": 1.5}}), flush=True)
"""


def artifact(scheme: str = "w8a8", **options: FlagValue) -> Artifact:
    return Artifact(quantizer="llmcompressor", scheme=scheme, options=options)


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"metod": "gptq"}, "method"),
        ({"method": "awq"}, "gptq, rtn"),
        ({"samples": 0}, "не меньше 1"),
        ({"tokens": "many"}, "целое число"),
        ({"samples": True}, "целое число"),
    ],
)
def test_a_wrong_option_is_refused_with_what_would_do(
    options: dict[str, FlagValue], hint: str, model: ModelSpec
) -> None:
    with pytest.raises(BadInput) as caught:
        load("llmcompressor").validate(artifact().replace(options=options), model)
    assert hint in caught.value.hint


def test_fp8_needs_no_calibration_and_takes_none(model: ModelSpec) -> None:
    with pytest.raises(BadInput, match="gptq"):
        load("llmcompressor").validate(artifact("fp8", method="gptq"), model)


async def test_the_job_is_run_and_reported(
    model: ModelSpec, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "job.py"
    script.write_text(STAND_IN)
    monkeypatch.setattr(llmcompressor, "_SCRIPT", script)
    out = tmp_path / "out"
    out.mkdir()
    lines: list[str] = []
    recipe = artifact(method="gptq", samples=8)
    report = await load("llmcompressor").make(recipe, model, ENV, out, home, lines.append)
    assert (report.bytes_before, report.bytes_after, report.seconds) == (4000, 1000, 1.5)
    assert report.details["method"] == "gptq"
    assert "calibration_sha256" in report.details
    assert lines == ["слой 1 из 2"]


@pytest.mark.parametrize("method", ["gptq", "rtn"])
def test_calibration_text_is_never_the_text_that_quality_is_scored_on(
    method: str, model: ModelSpec, tmp_path: Path
) -> None:
    text = str(llmcompressor._job(artifact(method=method), model, tmp_path)["text"])
    assert bool(text) == (method == "gptq")
    assert not paragraphs(text) & paragraphs(load_text(HELDOUT_PART))


async def test_a_failed_job_is_an_error_with_the_end_of_its_log(
    model: ModelSpec, home: Home, tmp_path: Path
) -> None:
    """The real script in an environment that lacks its library."""
    with pytest.raises(ArtifactFailed, match="transformers") as caught:
        await load("llmcompressor").make(artifact(), model, ENV, tmp_path, home, lambda _: None)
    assert any("ModuleNotFoundError" in line for line in caught.value.log_tail)
