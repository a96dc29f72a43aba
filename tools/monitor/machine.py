"""The machine of an endpoint that runs here: memory of its processes, its GPUs."""

import contextlib
import ipaddress
import os

import psutil

from tools._nvml import opened_nvml, visible_gpus
from tools.load.http import parse_url


def is_here(url: str) -> bool:
    """Whether the address is this machine's loopback."""
    host = parse_url(url).host
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def look(url: str) -> dict[str, float | None]:
    """Resident bytes of the process that listens, with its children; GPU figures where present."""
    if not is_here(url):
        return {}
    return {"rss_bytes": _rss(parse_url(url).port), **_gpus()}


def _rss(port: int) -> float | None:
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            here = connection.laddr
            if connection.status == psutil.CONN_LISTEN and here and here.port == port:
                if connection.pid is None:
                    return None
                root = psutil.Process(connection.pid)
                return float(sum(_resident(p) for p in (root, *root.children(recursive=True))))
    return None


def _resident(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def _gpus() -> dict[str, float | None]:
    with opened_nvml() as nvml:
        if nvml is None:
            return {}
        memory = util = power = 0.0
        gpus = visible_gpus(nvml, os.environ)
        try:
            for gpu in gpus:
                memory += nvml.nvmlDeviceGetMemoryInfo(gpu, version=nvml.nvmlMemory_v2).used
                util += nvml.nvmlDeviceGetUtilizationRates(gpu).gpu / len(gpus)
                power += nvml.nvmlDeviceGetPowerUsage(gpu) / 1000
        except nvml.NVMLError:
            return {"gpu_memory_bytes": memory or None}
        return {"gpu_memory_bytes": memory, "gpu_util_percent": util, "gpu_power_w": power}
