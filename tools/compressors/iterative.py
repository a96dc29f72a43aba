"""Pruning by magnitude in rounds with healing between them; rewinding for a lottery ticket."""

from tools._recipe import Option
from tools.compressors.base import TEXT, TRAINING, Compressor
from tools.compressors.magnitude import SPARSITY
from tools.quantizers.base import Quantizer

_OWN = {
    "rounds": Option("int", 3, "кругов", least=1, most=20),
    "rewind": Option("bool", False, "возвращать веса к началу (lottery ticket)"),
}

COMPRESSOR: Quantizer = Compressor(
    name="iterative", options=SPARSITY | _OWN | TEXT | TRAINING, trains=True
)
