"""Whole layers go, those that change the hidden state least; a few steps of healing after it."""

from tools._recipe import Option
from tools.compressors.base import TEXT, TRAINING, Compressor
from tools.quantizers.base import Quantizer

RATIO = {"ratio": Option("float", 0.1, "какую долю убрать", least=0.01, most=0.9)}

COMPRESSOR: Quantizer = Compressor(name="layers", options=RATIO | TEXT | TRAINING, trains=True)
