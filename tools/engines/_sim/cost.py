"""What a step costs: a memory-bound decode, a compute-bound prefill, and the world's noise."""

import argparse
import hashlib
import math
import random
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise

_HOST_S = 0.003
_WEIGHTS_S = 0.020
"""Reading the float32 weights with one thread."""
_SEQUENCE_S = 0.0004
_PREFILL_TOKEN_S = 0.0003
_DTYPE = {"auto": 1.0, "float32": 1.0, "bfloat16": 0.55, "float16": 0.6}
_QUANTIZATION = {"none": 1.0, "w8a8": 0.75, "int4": 0.6}
_SCALING = 0.8
"""Speed grows with threads to this power."""
_LOSS_NATS = {"bfloat16": 0.0005, "float16": 0.0005, "fp8": 0.003, "w8a8": 0.004, "int4": 0.12}
_ACCEPTED = 0.4
"""How often a speculated token holds, given that the one before it did."""
_VERIFY = 0.06
"""Share of a step that each speculated token adds."""


class Cost:
    """Seconds per step, already scaled by --time-scale."""

    def __init__(self, options: argparse.Namespace, environ: Mapping[str, str]) -> None:
        self._options = options
        self.threads = int(environ.get("SIM_THREADS", "1"))
        self.kv_tokens = int(environ.get("SIM_KVCACHE_TOKENS", "16384"))
        self._noise = random.Random(f"steps {options.seed} {options.port}")
        launch = random.Random(f"launch {options.seed} {options.port}").gauss(0, 1)
        self._scale = float(options.time_scale) * math.exp(options.launch_noise * launch)
        self.draft_tokens = int((options.speculative_config or {}).get("num_speculative_tokens", 0))

    def step_s(self, decoding: int, prefill_tokens: int) -> float:
        """Seconds of a step that adds a token to `decoding` sequences and reads a prompt."""
        options = self._options
        width = _DTYPE[options.dtype] * _QUANTIZATION[options.quantization]
        kv = 0.85 if options.kv_cache_dtype == "fp8" else 1.0
        eager = 1.25 if options.enforce_eager else 1.0
        speculation = 1 + _VERIFY * self.draft_tokens
        device: float = eager / self.threads**_SCALING
        decode = speculation * (_WEIGHTS_S * width + _SEQUENCE_S * kv * decoding)
        prefill = _PREFILL_TOKEN_S * math.sqrt(width) * prefill_tokens
        host = _HOST_S * (0.5 if options.async_scheduling else 1.0)
        return (host + device * (decode + prefill)) * self._world()

    def _world(self) -> float:
        """Drift follows the wall clock: whatever runs at the same moment suffers the same."""
        options = self._options
        phase = 2 * math.pi * time.time() / options.drift_period_s
        noise = math.exp(options.noise * self._noise.gauss(0, 1))
        return self._scale * noise * (1 + float(options.drift) * math.sin(phase))

    def accepted(self, seed: str) -> int:
        """How many of the speculated tokens hold at this place of this text."""
        chance = random.Random(seed)
        held = 0
        while held < self.draft_tokens and chance.random() < _ACCEPTED:
            held += 1
        return held

    def logprobs(self, ids: Sequence[int]) -> list[float]:
        """Pseudo log-probabilities of ids[1:], a function of the text, less the quality lost."""
        options = self._options
        settings = (options.dtype, options.kv_cache_dtype, options.quantization)
        loss = sum(_LOSS_NATS.get(setting, 0.0) for setting in settings)
        return [
            -0.05 - 4 * _unit(f"{before} {token}") ** 2 - loss * 2 * _unit(f"loss {before} {token}")
            for before, token in pairwise(ids)
        ]


def _unit(text: str) -> float:
    """A number in [0, 1) that only depends on the text."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest()) / 2**48
