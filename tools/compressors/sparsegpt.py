"""SparseGPT: weights by the inverse Hessian, the others make up for each that goes."""

from tools.compressors.base import TEXT, Compressor
from tools.compressors.magnitude import SPARSITY
from tools.quantizers.base import Quantizer

COMPRESSOR: Quantizer = Compressor(
    name="sparsegpt", schemes=("unstructured", "2-4"), options=SPARSITY | TEXT
)
