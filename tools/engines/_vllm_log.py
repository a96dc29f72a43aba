"""What vLLM writes into its log: the settings in force, and why it died."""

import ast
import json
import re
from collections.abc import Iterator, Sequence

from knowledge.types import Cause
from tools.process import diagnose as diagnose_any

_OWNED = ("model", "host", "port", "served_model_name", "api_server_count")
_ARGUMENTS = re.compile(r"non-default args: \{(.*)\}$", re.MULTILINE)
_CONFIG = re.compile(r"Initializing a V1 LLM engine \(v(\S+)\) with config: (.*)$", re.MULTILINE)
_CONFIG_FLAGS = {
    "dtype": "dtype",
    "max_seq_len": "max-model-len",
    "tensor_parallel_size": "tensor-parallel-size",
    "pipeline_parallel_size": "pipeline-parallel-size",
    "quantization": "quantization",
    "enforce_eager": "enforce-eager",
    "kv_cache_dtype": "kv-cache-dtype",
    "seed": "seed",
    "enable_prefix_caching": "enable-prefix-caching",
    "enable_chunked_prefill": "enable-chunked-prefill",
    "load_format": "load-format",
}
_COMPILE = re.compile(r"'mode': <CompilationMode\.(\w+): \d+>.*?'backend': '(\w*)'")
_CUDAGRAPH = re.compile(r"'cudagraph_mode': <CUDAGraphMode\.(\w+):")
_LINES = {
    "max-num-batched-tokens": re.compile(
        r"Chunked prefill is enabled with max_num_batched_tokens=(\d+)"
    ),
    "kv-cache-gib": re.compile(
        r"(?:Auto|Explicitly) set \(([\d.]+)/[\d.]+\) GiB for KV cache"
        r"|Available KV cache memory: ([\d.]+) GiB"
    ),
    "kv-cache-tokens": re.compile(r"KV cache size: ([\d,]+) tokens"),
    "VLLM_CPU_OMP_THREADS_BIND": re.compile(r"VLLM_CPU_OMP_THREADS_BIND='([^']*)'"),
    "omp-core-ids": re.compile(r"local_rank=0, core ids=\[([\d, ]*)\]"),
}
_OUT_OF_MEMORY = re.compile(
    r"No available memory for the cache blocks"
    r"|larger than the available KV cache memory"
    r"|Available memory on node .* is less than"
    r"|less than desired (?:GPU|CPU|device) memory utilization"
    r"|CUDA out of memory|torch\.OutOfMemoryError|DefaultCPUAllocator: (?:can't|not enough)"
)
_BAD_FLAG = re.compile(
    r"validation errors? for \w+|Unknown quantization method|unrecognized arguments"
    r"|error: argument --"
    r"|Value error, |[Ii]nvalid (?:value|choice)|is not supported (?:on|for|by|with)"
)
_ERROR_LINE = re.compile(r"\b((?:\w+\.)*[A-Z]\w*(?:Error|Exception|Exit)): (.+)$")
_NO_ERROR = re.compile(r"\b(?:DEBUG|INFO|WARNING) \d\d-\d\d ")
"""A log line of a lower level may name an error that could happen."""
_FIRST_OF_MANY = re.compile(r"ValidationError: \d+ validation errors? for (\w+)")
_PYDANTIC = re.compile(r"Value error, (.+?)(?: \[type=|$)")
_ECHO = re.compile(r"See (?:root cause above|stack trace)|initialization failed due to")


def in_force(log: str) -> dict[str, str]:
    """Settings by flag or variable name; what the engine resolved wins over what it was given.

    Bools are "true"/"false", absent values "none", JSON flags sorted JSON.
    """
    found: dict[str, str] = {}
    if given := _ARGUMENTS.search(log):
        for key, value in _pairs(given[1], ":"):
            name = key.strip("'\"")
            if name not in _OWNED:
                found[name.replace("_", "-")] = _text(value)
    if config := _CONFIG.search(log):
        found |= _resolved(config[2])
    for name, pattern in _LINES.items():
        if line := pattern.search(log):
            found[name] = next(group for group in line.groups() if group is not None).replace(
                ",", ""
            )
    return found


def _resolved(config: str) -> dict[str, str]:
    """The engine's own config line."""
    settings = dict(_pairs(config, "="))
    found = {
        flag: _text(settings[key].removeprefix("torch."))
        for key, flag in _CONFIG_FLAGS.items()
        if key in settings
    }
    if settings.get("speculative_config") == "None":
        found["speculative-config"] = "none"
    if compile_mode := _COMPILE.search(config):
        found["compilation-mode"] = compile_mode[1]
        found["compilation-backend"] = compile_mode[2]
    if cudagraph := _CUDAGRAPH.search(config):
        found["cudagraph-mode"] = cudagraph[1]
    return found


def _pairs(text: str, separator: str) -> Iterator[tuple[str, str]]:
    """Split "a=1, b=f(c=2, d='x, y')" at the commas of its top level."""
    depth, quote, start = 0, "", 0
    parts: list[str] = []
    for position, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
        elif sign == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    for part in [*parts, text[start:]]:
        key, found, value = part.partition(separator)
        if found:
            yield key.strip(), value.strip()


def _text(value: str) -> str:
    try:
        parsed = ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value
    if parsed is None:
        return "none"
    if isinstance(parsed, bool):
        return str(parsed).lower()
    return json.dumps(parsed, sort_keys=True) if isinstance(parsed, dict | list) else str(parsed)


def diagnose(returncode: int | None, tail: Sequence[str]) -> Cause:
    """Cause of death. The last lines only say that the engine core failed, so all are read."""
    text = "\n".join(tail)
    if _OUT_OF_MEMORY.search(text):
        return Cause.OUT_OF_MEMORY
    generic = diagnose_any(returncode, tail)
    if generic is Cause.CRASH and _BAD_FLAG.search(text):
        return Cause.BAD_FLAG
    return generic


def root_error(tail: Sequence[str]) -> str | None:
    """The first error line that is no echo of an error in another process.

    Pydantic says what is wrong in a line of its own below the error.
    """
    for number, line in enumerate(tail):
        found = None if _NO_ERROR.search(line) else _ERROR_LINE.search(line)
        if found is None or _ECHO.search(found[0]):
            continue
        if what := _FIRST_OF_MANY.search(found[0]):
            said = filter(None, map(_PYDANTIC.search, tail[number + 1 : number + 6]))
            return next((f"{what[1]}: {match[1]}" for match in said), found[0])
        return found[0]
    return None
