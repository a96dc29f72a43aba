"""torchao: INT8 weight only, and INT8 with dynamic activations.

INT4 is left out (0.18): on a CPU its plain form keeps four-bit values in whole bytes, larger than
INT8, and transformers can't build the packed one.
"""

from tools.quantizers._by_transformers import ByTransformers
from tools.quantizers.base import Quantizer, ServedBy

_SCHEMES = ("int8-weight-only", "int8-dynamic")

QUANTIZER: Quantizer = ByTransformers(
    name="torchao",
    served={
        scheme: (ServedBy(engine="transformers", scheme=f"torchao-{scheme}"),)
        for scheme in _SCHEMES
    },
)
