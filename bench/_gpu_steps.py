"""Steps of `bench.gpu_host` that run only when asked for by name, and what a step is."""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ADVISOR = (sys.executable, "-P", "-m", "api.cli.main")
_HERE = Path(__file__).parent
_POINTS = (sys.executable, "-m", "bench.gpu_points")
_CHAT = ("--input-tokens", "1024", "--output-tokens", "256")
QUICK = {"compilation-config": '{"mode": 0, "cudagraph_mode": "FULL"}'}
_SPLITS: dict[str, dict[str, Any]] = {
    "tp": {"tensor-parallel-size": 2},
    "pp": {"pipeline-parallel-size": 2},
    "dp": {"data-parallel-size": 2},
}
_TRIED: dict[str, dict[str, Any]] = {
    "none": {},
    "kv-fp8": {"kv-cache-dtype": "fp8"},
    "flashinfer": {"attention-backend": "FLASHINFER"},
    "triton-attention": {"attention-backend": "TRITON_ATTN"},
    "async-scheduling-off": {"async-scheduling": False},
    "prefix-caching-off": {"enable-prefix-caching": False},
    "steps-16384": {"max-num-batched-tokens": 16384},
    "steps-2048": {"max-num-batched-tokens": 2048},
    "throughput-mode": {"performance-mode": "throughput"},
    "kv-offload": {"kv-offloading-size": 16},
    "stream-interval": {"stream-interval": 4},
    "compiled": {"compilation-config": None},
    "piecewise": {"compilation-config": '{"cudagraph_mode": "PIECEWISE"}'},
}
"""On top of FP8 weights and the quick start; None takes a flag away."""
_ONE: dict[str, dict[str, Any]] = {
    "none": {},
    "fixed-size": {"compilation-config": '{"compile_sizes": [1]}'},
    "full-graph": {"compilation-config": '{"cudagraph_mode": "FULL"}'},
    "fixed-size-full": {"compilation-config": '{"compile_sizes": [1], "cudagraph_mode": "FULL"}'},
    "flashinfer": {"attention-backend": "FLASHINFER"},
    "interactivity": {"performance-mode": "interactivity"},
    "fp8": {"quantization": "fp8"},
    "fp8-kv": {"quantization": "fp8", "kv-cache-dtype": "fp8"},
    "fp8-marlin": {"quantization": "fp8", "$VLLM_TEST_FORCE_FP8_MARLIN": "1"},
    "fp8-torch": {"quantization": "fp8", "linear-backend": "torch"},
    "fp8-cutlass": {"quantization": "fp8", "linear-backend": "cutlass"},
    "fixed-size-fp8": {
        "quantization": "fp8",
        "compilation-config": '{"compile_sizes": [1], "cudagraph_mode": "FULL"}',
    },
}
"""On top of vLLM's default. A batch of one compiled for itself lets inductor choose its GEMMs."""


@dataclass(frozen=True)
class Step:
    """A command, what it takes at least, and when it is stopped."""

    name: str
    command: tuple[str, ...]
    least_s: float
    most_s: float


def on_request(chosen: argparse.Namespace, name: str) -> Step:
    """The step of that name; SystemExit where there is none."""
    kind, _, what = name.partition(":")
    file = str(chosen.out / f"{name.replace(':', '-').replace('/', '-')}.json")
    if known := _KINDS.get(kind):
        make, least_s, most_s = known
        if command := make(chosen, what, ("--json", file)):
            return Step(name, command, least_s, most_s)
    raise SystemExit(f"шага «{name}» нет")


_Written = tuple[str, str]
_Command = tuple[str, ...] | None
_Kind = tuple[Callable[[argparse.Namespace, str, _Written], _Command], float, float]


def _points(shape: str, written: _Written, flags: dict[str, Any], *more: str) -> tuple[str, ...]:
    set_flags = json.dumps({name: one for name, one in flags.items() if one is not None})
    common = ("--dummy-weights", "--seconds", "5", "--flags", set_flags)
    return (*_POINTS, shape, *common, *more, *written)


def _another_shape(chosen: argparse.Namespace, what: str, written: _Written) -> _Command:
    return _points(what, written, QUICK) if what else None


def _split(chosen: argparse.Namespace, what: str, written: _Written) -> _Command:
    split = _SPLITS.get(what.removesuffix("-no-p2p"))
    environment = ("NCCL_P2P_DISABLE=1",) if what.endswith("-no-p2p") else ()
    return split and ("env", *environment, *_points(chosen.shape, written, split | QUICK))


def _try(chosen: argparse.Namespace, what: str, written: _Written) -> _Command:
    if what not in _TRIED:
        return None
    flags = QUICK | {"quantization": "fp8"} | _TRIED[what]
    return _points(chosen.shape, written, flags, "--streams", "1,64,64", *_CHAT)


def _one(chosen: argparse.Namespace, what: str, written: _Written) -> _Command:
    if what not in _ONE:
        return None
    return _points(chosen.shape, written, _ONE[what], "--streams", "1,1,1", *_CHAT)


def _disaggregation(chosen: argparse.Namespace, what: str, written: _Written) -> _Command:
    module = (sys.executable, "-m", "bench.gpu_disaggregation", chosen.shape)
    return (*module, "--dummy-weights", "--flags", json.dumps(QUICK), *written)


def _roofline(chosen: argparse.Namespace, what: str, written: _Written) -> _Command:
    chosen_flags = _ONE.get(what or "none")
    if chosen_flags is None or any(name.startswith("$") for name in chosen_flags):
        return None  # `profile` takes flags, no variables
    flags = [part for name, one in chosen_flags.items() for part in _flag(name, one)]
    counters = (*ADVISOR, "profile", chosen.shape, "--dummy-weights", "--roofline", *flags)
    picture = ("--picture", str(chosen.out / f"roofline-{what or 'default'}.png"))
    return (*counters, "--concurrency", "1" if what else "64", *_CHAT, *picture, *written)


def _flag(name: str, value: object) -> tuple[str, str]:
    return "--flag", f"{name}={value}"


def _links(chosen: argparse.Namespace, what: str, written: _Written) -> _Command:
    return (chosen.engine_python, "-P", str(_HERE / "gpu_links.py"), *written)


_KINDS: dict[str, _Kind] = {
    "points": (_another_shape, 75, 240),
    "split": (_split, 90, 240),
    "try": (_try, 80, 240),
    "one": (_one, 100, 400),
    "disaggregation": (_disaggregation, 240, 520),
    "roofline": (_roofline, 120, 1100),
    "links": (_links, 20, 120),
}
"""The command, and in seconds what it takes at least and when it is stopped."""
