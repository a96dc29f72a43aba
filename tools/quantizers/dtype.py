"""FP16 and BF16: half the bytes of float32, served by everything."""

from tools.quantizers._by_transformers import ByTransformers
from tools.quantizers.base import Quantizer, ServedBy


def _everywhere(scheme: str) -> tuple[ServedBy, ...]:
    return tuple(ServedBy(engine=engine, scheme=scheme) for engine in ("vllm", "transformers"))


QUANTIZER: Quantizer = ByTransformers(
    name="dtype", served={"bf16": _everywhere("bfloat16"), "fp16": _everywhere("float16")}
)
