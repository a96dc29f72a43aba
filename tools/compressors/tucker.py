"""Tucker decomposition of attention weights as (head, dimension, hidden); multiplied back."""

from tools.compressors.base import Compressor
from tools.compressors.svd import KEEP
from tools.quantizers.base import Quantizer

COMPRESSOR: Quantizer = Compressor(name="tucker", options=KEEP)
