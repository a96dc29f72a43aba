import sys
from pathlib import Path

import pytest

from knowledge.errors import ArtifactFailed, BadInput
from knowledge.types import Artifact, FlagValue, ModelSpec
from tools import calibration
from tools.envs import Environment
from tools.home import Home
from tools.load.corpus import HELDOUT_PART, load_text, paragraphs
from tools.quantizers import ArtifactReport, llmcompressor, load
from tools.quantizers.base import Progress

ENV = Environment(Path(sys.prefix), Path(sys.executable), {})

STAND_IN = """
import json, pathlib, sys
job = json.loads(sys.stdin.read())
out = pathlib.Path(job["out"])
(out / "model.safetensors").write_bytes(b"0" * 1000)
(out / "job.json").write_text(json.dumps(job))
print(json.dumps({"progress": "слой 1 из 2"}), flush=True)
asked = {"method": job["method"], "text": job["text"], "error_by_layer": {"0": 0.5}}
print(json.dumps({"result": asked | {"seconds": 1.5}}), flush=True)
"""


def artifact(scheme: str = "w8a8", **options: FlagValue) -> Artifact:
    return Artifact(quantizer="llmcompressor", scheme=scheme, options=options)


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"metod": "gptq"}, "method"),
        ({"method": "awq"}, "gptq, rtn, smoothquant"),
        ({"method": "rtn", "dampening": 0.1}, "gptq, smoothquant"),
        ({"group_size": 64}, "w4a16"),
        ({"dampening": 7.0}, "не больше 1"),
        ({"actorder": "group"}, "static, weight, none"),
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
    lines: list[str] = []
    recipe = artifact(method="gptq", samples=8)
    report = await _made(recipe, model, home, tmp_path, monkeypatch, lines.append)
    assert (report.bytes_before, report.bytes_after, report.seconds) == (4000, 1000, 1.5)
    assert report.details["method"] == "gptq"
    assert "calibration_sha256" in report.details
    assert report.details["error_by_layer"] == '{"0": 0.5}'
    assert lines == ["слой 1 из 2"]


@pytest.mark.parametrize("method", ["gptq", "rtn"])
async def test_calibration_text_is_never_the_text_that_quality_is_scored_on(
    method: str, model: ModelSpec, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = await _made(artifact(method=method), model, home, tmp_path, monkeypatch)
    text = str(report.details["text"])
    assert bool(text) == (method == "gptq")
    assert not paragraphs(text) & paragraphs(load_text(HELDOUT_PART))


async def test_the_users_text_comes_first_and_its_source_is_recorded(
    model: ModelSpec, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = tmp_path / "requests.jsonl"
    trace.write_text('{"prompt": "Where is my parcel?", "output_tokens": 8}\n' * 3)
    digest = calibration.keep(trace, home)
    recipe = artifact(method="gptq", calibration=digest)
    details = (await _made(recipe, model, home, tmp_path, monkeypatch)).details
    assert "Where is my parcel?" in str(details["text"])
    assert details["calibration_source"] == "requests.jsonl"
    assert details["calibration_sha256"] == digest


async def _made(
    recipe: Artifact,
    model: ModelSpec,
    home: Home,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    progress: Progress = lambda _: None,
) -> ArtifactReport:
    script = folder / "job.py"
    script.write_text(STAND_IN)
    monkeypatch.setattr(llmcompressor, "_SCRIPT", script)
    out = folder / "out"
    out.mkdir()
    return await load("llmcompressor").make(recipe, model, ENV, out, home, progress)


async def test_a_failed_job_is_an_error_with_the_end_of_its_log(
    model: ModelSpec, home: Home, tmp_path: Path
) -> None:
    """The real script in an environment that lacks its library."""
    with pytest.raises(ArtifactFailed, match="transformers") as caught:
        await load("llmcompressor").make(artifact(), model, ENV, tmp_path, home, lambda _: None)
    assert any("ModuleNotFoundError" in line for line in caught.value.log_tail)
