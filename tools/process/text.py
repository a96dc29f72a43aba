"""What a process is given to read, its environment, and what is read out of its log."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from knowledge.types import Cause

_INHERITED = (
    *("PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH"),
    *("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH", "VLLM_HOST_IP"),
)
"""The last ones: the cluster that a server over several nodes joins, and who this node is in it."""
_INHERITED_PREFIXES = (
    *("LC_", "XDG_", "CUDA_", "NVIDIA_"),
    *("NCCL_", "NVSHMEM_", "TORCH_SYMM_MEM_", "GLOO_"),
)
"""The last ones: how the operator of a host lets its GPUs talk to each other."""
_FOR_PIP = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "REQUESTS_CA_BUNDLE")
_FOR_PIP_PREFIXES = ("PIP_", "SSL_CERT_")
_QUIET = {
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "LANGSMITH_TRACING": "false",
}
_TAIL_BYTES = 65536
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_OUT_OF_MEMORY = re.compile(
    r"\bMemoryError\b|out of memory|OutOfMemory|can't allocate memory|cannot allocate memory"
    r"|bad_alloc|No available memory for the cache blocks",
    re.IGNORECASE,
)
_BAD_FLAG = re.compile(
    r"unrecognized arguments|invalid choice|error: argument |error: the following arguments"
    r"|expected (one|at least one) argument|no such option|unexpected argument"
    r"|invalid value ('.*' )?for '",
    re.IGNORECASE,
)
_SIGKILL = -9


def clean_env(
    extra: Mapping[str, str] | None = None,
    *,
    for_pip: bool = False,
    base: Mapping[str, str] = os.environ,
) -> dict[str, str]:
    """The little that an engine may inherit, telemetry switched off, and `extra` on top.

    API keys stay behind. Proxies and pip's own settings, which may hold a password, go only to pip.
    """
    names = _INHERITED + (_FOR_PIP if for_pip else ())
    prefixes = _INHERITED_PREFIXES + (_FOR_PIP_PREFIXES if for_pip else ())
    kept = {
        name: value
        for name, value in base.items()
        if name.upper() in names or name.startswith(prefixes)
    }
    return kept | _QUIET | {"PYTHONUNBUFFERED": "1"} | dict(extra or {})


def tail_lines(log: Path, n: int) -> tuple[str, ...]:
    """The last `n` lines with text; of a progress bar only its last state, no colours."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ()
    lines = (_ANSI.sub("", line).rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return tuple([line.rstrip() for line in lines if line.strip()][-n:])


def diagnose(returncode: int | None, tail: Sequence[str]) -> Cause:
    """Cause of death as far as any program tells it. A SIGKILL that is not ours is the kernel's."""
    text = "\n".join(tail)
    if _OUT_OF_MEMORY.search(text) or returncode == _SIGKILL:
        return Cause.OUT_OF_MEMORY
    if _BAD_FLAG.search(text):
        return Cause.BAD_FLAG
    return Cause.CRASH
