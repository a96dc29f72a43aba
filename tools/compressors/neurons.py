"""Neurons of the feed-forward layers go, those that add least to the output; then healing."""

from tools.compressors.base import TEXT, TRAINING, Compressor
from tools.compressors.layers import RATIO
from tools.quantizers.base import Quantizer

COMPRESSOR: Quantizer = Compressor(name="neurons", options=RATIO | TEXT | TRAINING, trains=True)
