"""The command that starts what was planned."""

import shlex
from collections.abc import Callable

from knowledge.prediction import Query

_ROOM = 1.1
_BLOCK = 16
_CHECKPOINTS = {"int4": "W4A16", "int8": "W8A8", "fp4": "NVFP4"}


def launch_command(engine: str, path: str, query: Query) -> tuple[str, ...]:
    """Arguments, quoted for a shell; empty for an engine whose flags are not known here."""
    build = _BUILD.get(engine)
    needed = checkpoint_needed(query)
    path = f"{path}-{needed}" if needed else path
    return tuple(shlex.quote(word) for word in build(path, query)) if build else ()


def checkpoint_needed(query: Query) -> str:
    """FP8 is made at the start; other formats need a checkpoint of their own."""
    return "" if query.facts.quantization else _CHECKPOINTS.get(query.weight_dtype, "")


def _vllm(path: str, query: Query) -> list[str]:
    layout = query.layout
    words = ["vllm", "serve", path, "--max-model-len", str(_length(query))]
    words += ["--gpu-memory-utilization", f"{query.memory_utilization:g}"]
    for flag, degree in (("--tensor-parallel-size", layout.tp),
                         ("--pipeline-parallel-size", layout.pp),
                         ("--data-parallel-size", layout.dp)):  # fmt: skip
        if degree > 1:
            words += [flag, str(degree)]
    if layout.ep > 1:
        words.append("--enable-expert-parallel")
    if query.weight_dtype == "fp8" and not query.facts.quantization:
        words += ["--quantization", "fp8"]
    if query.kv_dtype == "fp8":
        words += ["--kv-cache-dtype", "fp8"]
    return words


def _sglang(path: str, query: Query) -> list[str]:
    layout = query.layout
    words = ["python", "-m", "sglang.launch_server", "--model-path", path]
    words += ["--context-length", str(_length(query))]
    words += ["--mem-fraction-static", f"{query.memory_utilization - 0.02:g}"]
    for flag, degree in (("--tp-size", layout.tp), ("--pp-size", layout.pp),
                         ("--dp-size", layout.dp), ("--ep-size", layout.ep)):  # fmt: skip
        if degree > 1:
            words += [flag, str(degree)]
    if query.weight_dtype == "fp8" and not query.facts.quantization:
        words += ["--quantization", "fp8"]
    if query.kv_dtype == "fp8":
        words += ["--kv-cache-dtype", "fp8_e4m3"]
    return words


def _tensorrt_llm(path: str, query: Query) -> list[str]:
    layout = query.layout
    words = ["trtllm-serve", path, "--max_seq_len", str(_length(query))]
    for flag, degree in (("--tp_size", layout.tp), ("--pp_size", layout.pp),
                         ("--ep_size", layout.ep)):  # fmt: skip
        if degree > 1:
            words += [flag, str(degree)]
    return words


def _length(query: Query) -> int:
    """The longest request with a tenth to spare, in whole blocks, within the model's context."""
    tokens = (query.load.input_tokens + query.load.output_tokens) * _ROOM
    blocks = -(-int(tokens) // _BLOCK) * _BLOCK
    return min(max(blocks, 512), query.facts.max_position)


_BUILD: dict[str, Callable[[str, Query], list[str]]] = {
    "vllm": _vllm,
    "sglang": _sglang,
    "tensorrt-llm": _tensorrt_llm,
}
