"""NVIDIA's management library, where there is a driver."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any


@contextmanager
def opened_nvml() -> Iterator[ModuleType | None]:
    """The library, initialized; None without an NVIDIA driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def visible_gpus(nvml: ModuleType, environ: Mapping[str, str]) -> list[Any]:
    """Handles that CUDA programs started by us will see."""
    handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
    wanted = environ.get("CUDA_VISIBLE_DEVICES")
    if wanted is None:
        return handles
    chosen = []
    for item in filter(None, (part.strip() for part in wanted.split(","))):
        if item.isdigit() and int(item) < len(handles):
            chosen.append(handles[int(item)])
        elif item.startswith("GPU-"):
            chosen += [h for h in handles if nvml.nvmlDeviceGetUUID(h).startswith(item)]
        else:  # CUDA ignores what follows an invalid entry
            break
    return chosen
