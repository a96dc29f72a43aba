"""Attention heads go, in groups that share a key and value head; then healing."""

from tools.compressors.base import TEXT, TRAINING, Compressor
from tools.compressors.layers import RATIO
from tools.quantizers.base import Quantizer

COMPRESSOR: Quantizer = Compressor(name="heads", options=RATIO | TEXT | TRAINING, trains=True)
