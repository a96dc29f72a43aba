"""Every sensible way to serve a model on so many GPUs of a kind."""

from collections.abc import Iterator, Sequence

from knowledge.devices import CatalogDevice
from knowledge.dtypes import canonical_dtype
from knowledge.errors import BadInput
from knowledge.prediction import Layout, Load, Query
from knowledge.support import Support, supports
from knowledge.types import ModelFacts

# The scheme of the support matrix that serves weights of a dtype, and the one to try first.
SCHEMES = {"bfloat16": "bfloat16", "float16": "float16", "fp8": "fp8", "int8": "w8a8-int8",
           "int4": "w4a16-awq", "fp4": "nvfp4"}  # fmt: skip
_PREDICTED_AS = {"vllm": "vllm", "sglang": "sglang", "tensorrt-llm": "trtllm"}


def predictor_engine(stem: str) -> str:
    """The name that the predictor knows an engine by."""
    return _PREDICTED_AS.get(stem, stem)


def own_dtype(facts: ModelFacts) -> str | None:
    """What the checkpoint is already quantized to; None: 16 or 32 bits."""
    name = (facts.quantization or "").lower()
    for mark, dtype in (("mxfp4", "fp4"), ("fp4", "fp4"), ("fp8", "fp8"), ("w4", "int4"),
                        ("int4", "int4"), ("awq", "int4"), ("gptq", "int4"), ("w8", "int8"),
                        ("int8", "int8")):  # fmt: skip
        if mark in name:
            return dtype
    return None


def dtypes_for(
    facts: ModelFacts, engine: str, gpu: CatalogDevice, asked: Sequence[str]
) -> list[tuple[str, Support]]:
    """Weight dtypes that run, widest first. Asked ones are kept even where they don't run."""
    if asked:
        names = [canonical_dtype(name) for name in asked]
        return [(name, supports(engine, SCHEMES.get(name, name), gpu)) for name in names]
    already = own_dtype(facts)
    if already:
        return [(already, _own_support(engine, already, gpu, facts))]
    wide = "bfloat16" if supports(engine, "bfloat16", gpu).runs else "float16"
    every = [(name, supports(engine, SCHEMES[name], gpu)) for name in (wide, "fp8", "int4", "fp4")]
    native_fp8 = any(name == "fp8" and one.level == "native" for name, one in every)
    return [
        (name, one)
        for name, one in every
        if one.runs and (name != "fp4" or one.level == "native") and (name != "fp8" or native_fp8)
    ]


def _own_support(engine: str, dtype: str, gpu: CatalogDevice, facts: ModelFacts) -> Support:
    mxfp4 = dtype == "fp4" and "mxfp4" in (facts.quantization or "")
    return supports(engine, "mxfp4" if mxfp4 else SCHEMES[dtype], gpu)


def kv_dtype_for(weight_dtype: str, asked: str | None) -> str:
    """The engine's default: 16 bits, whatever the weights are."""
    return canonical_dtype(asked) if asked else "bfloat16"


def layouts(facts: ModelFacts, gpu: CatalogDevice, count: int) -> Iterator[Layout]:
    """Ways to spread over `count` GPUs of one host (or several hosts of such)."""
    for tp in (degree for degree in (1, 2, 4, 8, 16) if degree <= count):
        if count % tp or facts.heads % tp or tp > gpu.per_host:
            continue
        rest = count // tp
        if rest == 1:
            yield Layout(tp=tp)
            if facts.experts and tp > 1 and facts.experts % tp == 0:
                yield Layout(tp=tp, ep=tp)
            continue
        yield Layout(tp=tp, dp=rest)
        if facts.experts and tp == 1 and facts.experts % rest == 0:
            yield Layout(dp=rest, ep=rest)
        if rest <= facts.layers and (tp == gpu.per_host or not gpu.is_nvlinked):
            yield Layout(tp=tp, pp=rest)


def queries(  # noqa: PLR0913
    facts: ModelFacts,
    gpu: CatalogDevice,
    counts: Sequence[int],
    dtypes: Sequence[str],
    *,
    engine: str,
    model: str,
    load: Load,
    kv_dtype: str | None,
    utilization: float,
) -> list[Query]:
    """All of them. Raises BadInput for a count that nothing can be divided by."""
    found = [
        Query(
            facts=facts,
            model=model,
            device=gpu.device,
            load=load,
            engine=predictor_engine(engine),
            weight_dtype=dtype,
            kv_dtype=kv_dtype_for(dtype, kv_dtype),
            layout=layout,
            memory_utilization=utilization,
        )
        for count in counts
        for layout in layouts(facts, gpu, count)
        for dtype in dtypes
    ]
    if not found:
        shown = ", ".join(str(count) for count in counts)
        raise BadInput(
            f"{shown} GPU: нет раскладки, на которую делятся {facts.heads} голов внимания",
            "Попробуйте 1, 2, 4 или 8 GPU",
        )
    return found
