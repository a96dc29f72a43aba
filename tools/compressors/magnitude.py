"""Magnitude pruning: the smallest weights become zero. No text needed."""

from tools._recipe import Option
from tools.compressors.base import Compressor
from tools.quantizers.base import Quantizer

SPARSITY = {"sparsity": Option("float", 0.5, "доля нулей (у 2-4 половина)", least=0.0, most=0.95)}

COMPRESSOR: Quantizer = Compressor(
    name="magnitude", schemes=("unstructured", "2-4"), options=SPARSITY
)
