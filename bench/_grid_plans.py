"""What `bench.record_grid` measures: settings and workloads of vLLM, on a CPU and on a GPU."""

import random
from dataclasses import dataclass
from itertools import product

from bench._served import closed
from knowledge.types import FlagValue, Objective, Workload

Settings = dict[str, FlagValue]
_AGAIN_EVERY = 12
"""So often the default is measured once more: how far a machine is from standing still."""


@dataclass(frozen=True)
class Plan:
    """One start serves every workload of a configuration."""

    fixed: Settings
    """The user's own flags: part of the default and of every configuration."""
    axes: dict[str, tuple[FlagValue | None, ...]]
    workloads: tuple[tuple[Workload, Objective], ...]
    rare: tuple[str, FlagValue | None] | None = None
    """A setting that takes long to start: one configuration of four has it."""

    def settings(self) -> list[Settings]:
        """All combinations, the default first, in an order that a limit may cut anywhere."""
        found = [
            self.fixed | {k: v for k, v in zip(self.axes, values, strict=True) if v is not None}
            for values in product(*self.axes.values())
        ]
        rest = found[1:]
        random.Random(0).shuffle(rest)
        if self.rare is not None:
            name, value = self.rare
            rare = [one for one in rest if one.get(name) == value]
            often = [one for one in rest if one.get(name) != value]
            rest = []
            while rare or often:
                source = rare if rare and (len(rest) % 4 == 0 or not often) else often
                rest.append(source.pop())
        return [found[0], *rest]

    def order(self, limit: int | None, part: int = 0, parts: int = 1) -> list[Settings]:
        """Of the first `limit`, every `parts`-th, with the default again and again between them."""
        default, *rest = self.settings()[:limit]
        found = [default]
        for at, one in enumerate(rest[part::parts], start=1):
            found.append(one)
            if at % _AGAIN_EVERY == 0:
                found.append(default)
        return found


CPU = Plan(
    fixed={"dtype": "float32"},
    axes={
        "enforce-eager": (None, True),
        "max-num-seqs": (None, 4, 16),
        "max-num-batched-tokens": (None, 512, 8192),
        "enable-prefix-caching": (None, False),
        "block-size": (None, 32),
        "$VLLM_CPU_OMP_THREADS_BIND": (None, "0-1", "0"),
    },
    workloads=(
        (closed("chat", 8, 64, 32), Objective.THROUGHPUT),
        (closed("rag", 4, 448, 16).replace(shared_prefix_tokens=320), Objective.LATENCY),
        (closed("stream", 1, 64, 48), Objective.TPOT),
    ),
    rare=("enforce-eager", None),
)
"""216. vLLM's own dtype emulates bfloat16 on a CPU without it, and nothing else would matter."""
GPU = Plan(
    fixed={"compilation-config": '{"mode": 0, "cudagraph_mode": "FULL"}'},
    axes={
        "quantization": (None, "fp8"),
        "kv-cache-dtype": (None, "fp8"),
        "max-num-seqs": (None, 32, 128),
        "max-num-batched-tokens": (None, 2048, 16384),
        "enable-prefix-caching": (None, False),
        "stream-interval": (None, 4),
        "async-scheduling": (None, False),
        "attention-backend": (None, "FLASHINFER"),
    },
    workloads=(
        (closed("chat", 64, 256, 128), Objective.THROUGHPUT),
        (closed("rag", 16, 2048, 32).replace(shared_prefix_tokens=1536), Objective.LATENCY),
        (closed("stream", 1, 256, 128), Objective.TPOT),
    ),
)
"""576, with the quick start: compilation would take two minutes of each."""
PLANS = {"cpu": CPU, "cuda": GPU}
