"""From --engine to the engines of a task: what is compared, and what is refused at once."""

from pathlib import Path

import pytest

from api.tasks import Request, task_of
from knowledge.errors import BadInput, BadModel
from tests.tools.engines.conftest import make_hardware, make_model
from tools.home import Home
from tools.models import look_at
from tools.served_by import left_out, refusal, servers

CPU, CUDA = make_hardware("cpu"), make_hardware("cuda", 80 * 2**30)


def test_engines_that_can_serve_the_model_here() -> None:
    model = make_model()
    with_file = model.replace(gguf="/models/tiny.gguf")
    assert set(servers(with_file, CPU)) == {
        *("vllm", "llamacpp", "onnxruntime", "transformers", "triton"),
    }
    assert "llamacpp" not in servers(model, CPU)
    assert set(servers(model, CUDA)) == {"vllm", "sglang", "transformers"}
    assert "sim" not in servers(model, CPU)


def test_who_was_left_out_is_said_with_the_reason() -> None:
    missing = left_out(make_model(), CPU, ("vllm", "transformers", "onnxruntime"))
    assert "GGUF" in missing["llama.cpp"]
    assert "CUDA" in missing["SGLang"]
    assert "CUDA" in missing["TGI"]
    assert "CUDA" in missing["TensorRT-LLM"]
    assert not {"Симулятор", "vLLM", "ONNX Runtime"} & set(missing)
    assert "симулятор" in refusal("sim", make_model(), CPU)


async def test_auto_compares_with_vllm(tiny_model: Path, home: Home) -> None:
    task = await task_of(Request(str(tiny_model), engine="auto"), home, print, CPU)
    assert task.engine == "vllm"
    assert task.engines == ("onnxruntime", "triton")
    assert task.default.config.engine == "vllm"
    named = await task_of(Request(str(tiny_model), engine="vllm"), home, print, CPU)
    assert named.engines == ()
    assert "engines" not in named.model_dump()


async def test_flags_belong_to_one_engine(tiny_model: Path, home: Home) -> None:
    request = Request(str(tiny_model), engine="auto", flag=("max-model-len=1024",))
    with pytest.raises(BadInput, match="несколько"):
        await task_of(request, home, print, CPU)


async def test_a_model_without_the_engines_format_is_refused_at_once(
    tiny_model: Path, home: Home
) -> None:
    with pytest.raises(BadModel, match="GGUF"):
        await task_of(Request(str(tiny_model), engine="llamacpp"), home, print, CPU)


def test_a_model_that_came_from_a_file_is_another_value_only_there(tiny_model: Path) -> None:
    model = look_at(tiny_model, "tiny")
    assert "gguf" not in model.model_dump()
    assert model.replace(gguf="/m.gguf").content_id() != model.content_id()
