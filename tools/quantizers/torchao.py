"""torchao: INT8 and INT4 weight only, and INT8 with dynamic activations."""

from tools._recipe import Option
from tools.quantizers._by_transformers import ByTransformers
from tools.quantizers.base import Quantizer, ServedBy

_SCHEMES = ("int8-weight-only", "int4-weight-only", "int8-dynamic")

QUANTIZER: Quantizer = ByTransformers(
    name="torchao",
    served={
        scheme: (ServedBy(engine="transformers", scheme=f"torchao-{scheme}"),)
        for scheme in _SCHEMES
    },
    options={
        "group_size": Option("int", 32, "весов с общим масштабом, для int4", least=8),
    },
)
