"""Traces in the form in which torch.profiler writes them, a few steps long. Times in µs."""

import json
from pathlib import Path
from typing import Any

GEMM = "nvjet_sm90_tst_128x128_64x6_1x2_h_bz_TNT"
FLASH = "void cutlass::device_kernel<flash::enable_sm90<flash::FlashAttnFwdSm90<128, 2> > >(Params)"
ARGMAX = "void at::native::reduce_kernel<512, 1, ArgMaxOps<float> >(ReduceConfig)"
NORM = "void vllm::fused_add_rms_norm_kernel<bf16, 8>(bf16*, int)"
NCCL = "ncclDevKernel_AllReduce_Sum_bf16_RING_LL(ncclDevKernelArgs)"
MEMCPY = "Memcpy DtoH (Device -> Pinned)"


def step(start: float, length: float, *, prompt_tokens: int = 0, sequences: int = 1) -> Any:
    prompts = 1 if prompt_tokens else 0
    name = f"execute_context_{prompts}({prompt_tokens})_generation_{sequences}({sequences})"
    return event("user_annotation", name, start, length)


def event(cat: str, name: str, start: float, length: float, **args: Any) -> dict[str, Any]:
    return {
        "ph": "X", "cat": cat, "name": name, "ts": start, "dur": length, "pid": 1, "tid": 7,
        "args": args,
    }  # fmt: skip


def launch(correlation: int, at: float, name: str, start: float, length: float) -> list[Any]:
    """A kernel and the call that launched it."""
    call = event("cuda_runtime", "cudaLaunchKernel", at, 2, correlation=correlation)
    kernel = event("kernel", name, start, length, correlation=correlation, stream=7)
    return [call, kernel | {"tid": 20, "pid": 0}]


def decode(steps: int, *, gap_us: float, host_us: float = 40) -> list[Any]:
    """Steps of GEMM 600 µs, attention 200, norm 100, argmax 50, with a gap before each kernel."""
    events: list[Any] = []
    every = 950 + 4 * gap_us
    for number in range(steps):
        at = number * every
        events.append(step(at, host_us))
        start = at + 30
        for index, (name, length) in enumerate(
            [(GEMM, 600), (FLASH, 200), (NORM, 100), (ARGMAX, 50)]
        ):
            start += gap_us
            # The sampler is launched after the annotated forward pass, before the next one.
            called = at + 5 * index if name != ARGMAX else at + host_us + 5
            events += launch(10 * number + index, called, name, start, length)
            start += length
    return events


def write(path: Path, events: list[Any]) -> Path:
    path.write_text(json.dumps({"schemaVersion": 1, "traceEvents": events}))
    return path
