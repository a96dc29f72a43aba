"""Runs in the engine's own environment: the reference server with a KV cache of too few bits.

Usage: rounded_kv.py BITS FOLDER-OF-THE-SERVER, then the server's own arguments.
"""

import runpy
import sys
from pathlib import Path

import torch
from transformers.cache_utils import DynamicLayer


def rounded(tensor: torch.Tensor, bits: int) -> torch.Tensor:
    """Per token and head, to one of 2^bits values."""
    most = 2 ** (bits - 1) - 1
    step = tensor.float().abs().amax(-1, keepdim=True).clamp_min(1e-12) / most
    return ((tensor.float() / step).round().clamp(-most - 1, most) * step).to(tensor.dtype)


def main() -> None:
    bits, folder = int(sys.argv[1]), sys.argv[2]
    whole = DynamicLayer.update

    def update(self, key_states, value_states, *args, **kwargs):  # type: ignore[no-untyped-def]
        """What is kept is rounded; a prompt is read before it is kept, as engines do it."""
        first = not self.is_initialized or self.keys.shape[-2] == 0
        whole(self, key_states, value_states, *args, **kwargs)
        new = key_states.shape[-2]
        self.keys[..., -new:, :] = rounded(key_states, bits)
        self.values[..., -new:, :] = rounded(value_states, bits)
        if first:
            return key_states, value_states
        return self.keys, self.values

    DynamicLayer.update = update
    sys.argv = [str(Path(folder) / "transformers_server.py"), *sys.argv[3:]]
    sys.path.insert(0, folder)
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
