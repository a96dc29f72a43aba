"""What a kernel or an operator does, by its name.

Names of vLLM's, FlashInfer's, cuBLAS's, CUTLASS's, NCCL's and ATen's kernels, as traces of vLLM
0.26 (CUDA) and 0.32 (CPU) show them. The first pattern that matches decides: FlashAttention 3 is
CUTLASS too.
"""

import re

from knowledge.types import Part

_PATTERNS: tuple[tuple[Part, re.Pattern[str]], ...] = (
    (
        Part.COMMUNICATION,
        re.compile(
            r"nccl|all_?reduce|all_?gather|reduce_?scatter|cross_device_reduce|multimem"
            r"|c10d|nvshmem|shm_(?:send|recv|all|gather)|sendrecv",
            re.IGNORECASE,
        ),
    ),
    (
        Part.ATTENTION,
        re.compile(
            r"flash|fmha|attention|attn|paged|mla_|reshape_and_cache|rotary_embedding_and_cache"
            r"|BatchPrefill|BatchDecode|concat_and_cache",
            re.IGNORECASE,
        ),
    ),
    (
        Part.SAMPLING,
        re.compile(
            r"argmax|arg_max|top_?k|top_?p|sampl|multinomial|gumbel|logprob|penalt"
            r"|::sort|radixSort|softmax|cumsum|exponential",
            re.IGNORECASE,
        ),
    ),
    (
        Part.GEMM,
        re.compile(
            r"gemm|gemv|nvjet|cutlass|cublas|wgmma|splitk|xmma|matmul|scaled_mm|marlin|machete"
            r"|::(?:add|baddb|b)?mm\b|::linear\b|_linear\b|linear_pointwise|onednn|mkldnn",
            re.IGNORECASE,
        ),
    ),
)
_TEMPLATE = re.compile(r"<[^<>]*>")
_NOWHERE = re.compile(r"(?:\(anonymous namespace\)|<unnamed>)::")
_WRAPPERS = ("cutlass::device_kernel", "cutlass::Kernel", "cutlass::Kernel2")
"""Launchers of CUTLASS: what they launch is their first template argument."""
_CLASS = re.compile(r"[A-Za-z_][\w:]*")
_LONGEST = 72


def part_of(name: str) -> Part:
    """The part of a step that a kernel's time belongs to."""
    return next((part for part, pattern in _PATTERNS if pattern.search(name)), Part.OTHER)


def short_name(name: str) -> str:
    """A C++ name without template arguments, parameters, return type and wrapper."""
    whole = _NOWHERE.sub("", name)
    name = whole
    while (shorter := _TEMPLATE.sub("", name)) != name:
        name = shorter
    name = name.split("(")[0].rpartition("::type ")[2].removeprefix("void ").strip()
    if name in _WRAPPERS:
        arguments = _CLASS.findall(whole.partition("<")[2])
        name = next((one for one in arguments if "enable_" not in one), name)
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
