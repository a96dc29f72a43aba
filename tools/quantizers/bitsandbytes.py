"""bitsandbytes: NF4 with double quantization, and LLM.int8()."""

from tools.quantizers._by_transformers import ByTransformers
from tools.quantizers.base import Quantizer, ServedBy

QUANTIZER: Quantizer = ByTransformers(
    name="bitsandbytes",
    served={
        "nf4": (ServedBy(engine="transformers", scheme="bnb-nf4"),),
        "llm-int8": (ServedBy(engine="transformers", scheme="bnb-int8"),),
    },
)
