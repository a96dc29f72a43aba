"""Truncated SVD of the linear layers, weighted by what reaches them; multiplied back."""

from tools._recipe import Option
from tools.compressors.base import TEXT, Compressor
from tools.quantizers.base import Quantizer

KEEP = {
    "keep": Option("float", 0.8, "доля чисел, которая остаётся в множителях", least=0.05, most=1.0)
}

COMPRESSOR: Quantizer = Compressor(name="svd", options=KEEP | TEXT)
