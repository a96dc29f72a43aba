"""Wanda: weights by their size times the norm of their input, row by row."""

from tools.compressors.base import TEXT, Compressor
from tools.compressors.magnitude import SPARSITY
from tools.quantizers.base import Quantizer

COMPRESSOR: Quantizer = Compressor(
    name="wanda", schemes=("unstructured", "2-4"), options=SPARSITY | TEXT
)
